"""What all tests share. They run against the installed wheel: nothing here puts the checkout on the path."""

import os
import signal

import pytest

pytest_plugins = ["controlplane.fixtures"]

os.environ.pop("KUBERNETES_SERVICE_HOST", None)  # whatever these tests run in, it is not their cluster
for name in [
    name for name in os.environ if name.startswith("SINGLETON_JOBS_") and name != "SINGLETON_JOBS_REQUIRE_E2E"
]:
    del os.environ[name]
for number in (signal.SIGINT, signal.SIGHUP):
    # A shell's background ignores the one, nohup the other, and so would every program that a test starts: what is caught
    # is not inherited.
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, lambda *_: None)


def pytest_report_header() -> str:
    """Say what is being tested."""
    import singleton_jobs

    return f"singleton_jobs: {os.path.dirname(singleton_jobs.__file__)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    """With SINGLETON_JOBS_REQUIRE_E2E=1 an end-to-end test that is skipped has failed."""
    report = yield
    required = os.environ.get("SINGLETON_JOBS_REQUIRE_E2E") == "1"
    if required and report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("e2e"):
        report.outcome = "failed"
        report.longrepr = f"an end-to-end test may not be skipped here: {report.longrepr}"
    return report
