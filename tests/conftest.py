"""What all tests share. They run against the installed wheel: nothing here puts the checkout on the path."""

import os
import signal
from collections import Counter

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the end-to-end tests' modules evenly among the others: they wait most of the time, while the others do not.

    At the end of a run they would wait for one another alone.
    """
    waits = {item.path for item in items if item.get_closest_marker("e2e")}
    total = Counter(item.path in waits for item in items)
    before: Counter[bool] = Counter()
    place: dict[object, float] = {}  # of a module, among those of its kind
    for item in items:
        kind = item.path in waits
        place.setdefault(item.path, before[kind] / total[kind])
        before[kind] += 1
    items.sort(key=lambda item: place[item.path])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    """With SINGLETON_JOBS_REQUIRE_E2E=1 an end-to-end test that is skipped has failed."""
    report = yield
    required = os.environ.get("SINGLETON_JOBS_REQUIRE_E2E") == "1"
    if required and report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("e2e"):
        report.outcome = "failed"
        report.longrepr = f"an end-to-end test may not be skipped here: {report.longrepr}"
    return report
