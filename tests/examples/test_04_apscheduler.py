"""examples/04-apscheduler.py"""

import re
import signal
from datetime import datetime, timedelta
from typing import Any

import pytest

from cli.program import Program
from manifests import manifest

from .conftest import EXAMPLES, RunExample

ROLE = manifest("rbac.yaml", "Role")

REPORT = re.compile(r"^report for (\S+) sent by (pod-[ab])_", re.MULTILINE)


def reports(*replicas: Program) -> list[str]:
    return sorted(time for replica in replicas for time, _ in REPORT.findall(replica.output))


def assert_each_second_once(times: list[str]) -> None:
    seconds = [datetime.strptime(time, "%H:%M:%S") for time in times]
    steps = {(later - earlier) % timedelta(days=1) for earlier, later in zip(seconds, seconds[1:])}
    assert steps == {timedelta(seconds=1)}, times


@pytest.mark.parametrize(("end", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 0)], ids=["SIGTERM", "SIGINT"])
def test_one_of_two_reports_and_the_other_goes_on(run_example: RunExample, end: signal.Signals, status: int):
    first = run_example("04-apscheduler.py", "pod-a")
    first.wait_for("sent by pod-a_", times=2)
    second = run_example("04-apscheduler.py", "pod-b")
    first.wait_for("sent by pod-a_", times=4)
    assert second.count("sent by") == 0
    assert first.stop(end) == status, first.output
    assert "Traceback" not in first.output
    second.wait_for("sent by pod-b_", times=3)
    assert second.stop() == 143
    assert "Traceback" not in second.output
    assert_each_second_once(reports(first, second))


@pytest.mark.e2e
def test_a_killed_ones_reports_are_made_up_for(make_pod: Any, run_example: RunExample):
    pods = [make_pod(name, roles=[ROLE]) for name in ("pod-a", "pod-b")]
    first = run_example("04-apscheduler.py", "pod-a", **pods[0].env, SINGLETON_JOBS_LEASE_DURATION="6")
    first.wait_for("sent by pod-a_", times=2)
    second = run_example("04-apscheduler.py", "pod-b", **pods[1].env, SINGLETON_JOBS_LEASE_DURATION="6")
    first.wait_for("sent by pod-a_", times=5)
    first.stop(signal.SIGKILL)
    second.wait_for("sent by pod-b_", times=12)
    second.stop()
    assert_each_second_once(reports(first, second))
