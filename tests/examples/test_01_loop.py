"""examples/01-loop.py"""

import signal

import pytest

from .conftest import RunExample


@pytest.mark.parametrize(("end", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 0)], ids=["SIGTERM", "SIGINT"])
def test_one_of_two_reports_and_the_other_takes_over(run_example: RunExample, end: signal.Signals, status: int):
    first = run_example("01-loop.py", "pod-a")
    first.wait_for("sent by pod-a_", times=1)
    second = run_example("01-loop.py", "pod-b")
    first.wait_for("sent by pod-a_", times=3)
    assert second.output == ""
    assert first.stop(end) == status, first.output
    assert "Traceback" not in first.output
    second.wait_for("sent by pod-b_")
    assert second.stop() == 143


def test_a_killed_one_is_replaced_too(run_example: RunExample):
    first = run_example("01-loop.py", "pod-a")
    first.wait_for("sent by pod-a_")
    second = run_example("01-loop.py", "pod-b")
    first.stop(signal.SIGKILL)
    second.wait_for("sent by pod-b_")
