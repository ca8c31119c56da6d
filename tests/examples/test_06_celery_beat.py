"""examples/06-celery-beat"""

import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from databases.fixtures import redis_server, redis_url  # noqa: F401

from cli.program import Program

from .conftest import EXAMPLES

pytestmark = pytest.mark.e2e

FOLDER = EXAMPLES / "06-celery-beat"
REPORT = re.compile(r"report for (\S+) by token (\d+)$", re.MULTILINE)


@pytest.fixture
def celery(tmp_path: Path, redis_url: str) -> Iterator[Callable[..., Program]]:  # noqa: F811
    """`celery(pod, line of the README)`: what it starts, as one of several replicas."""
    with ExitStack() as stack:

        def run(pod: str, line: str, **environment: str) -> Program:
            settings = {
                "POD_NAME": pod,
                "PYTHONPATH": str(FOLDER),
                "CELERY_BROKER": redis_url,
                "SINGLETON_JOBS_STORE": f"sqlite://{tmp_path}/leases.sqlite3",
            }
            command = [sys.executable, "-m", *line.split()]
            return stack.enter_context(Program(command, tmp_path / pod, **settings | environment))

        yield run


def commands() -> tuple[str, str, str]:
    (block,) = re.findall(r"^```console\n(.*?)^```$", (FOLDER / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    worker, first, second = block.splitlines()
    return worker, first, second


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_one_of_two_beats_sends_and_the_other_goes_on(celery: Callable[..., Program], end: signal.Signals) -> None:
    start_worker, start_first, start_second = commands()
    worker = celery("worker", start_worker)
    first = celery("pod-a", start_first)
    worker.wait_for("report for", times=2)
    second = celery("pod-b", start_second)
    worker.wait_for("report for", times=5)
    first.stop(end)
    worker.wait_for("report for", times=8)
    second.stop()
    worker.stop()
    assert "Traceback" not in first.output + second.output
    reports = REPORT.findall(worker.output)
    assert len({token for _, token in reports}) == 2
    times = [datetime.fromisoformat(time) for time, _ in reports]
    assert all((later - earlier) % timedelta(seconds=1) == timedelta(0) for earlier, later in zip(times, times[1:]))
    assert len(set(times)) == len(times)
