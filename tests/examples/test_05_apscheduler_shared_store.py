"""examples/05-apscheduler-shared-store.py"""

import signal
from pathlib import Path
from typing import Any

import pytest
from manifests import manifest

from .conftest import EXAMPLES, RunExample

ROLE = manifest("rbac.yaml", "Role")

EXAMPLE = "05-apscheduler-shared-store.py"


@pytest.mark.e2e
def test_what_a_follower_adds_the_leader_runs(make_pod: Any, run_example: RunExample, tmp_path: Path):
    shared = {"DATABASE": f"sqlite:///{tmp_path}/jobs.sqlite3"}
    pods = [make_pod(name, roles=[ROLE]) for name in ("pod-a", "pod-b")]
    first = run_example(EXAMPLE, "pod-a", **pods[0].env, **shared)
    first.wait_for("drink water (by pod-a_")
    second = run_example(EXAMPLE, "pod-b", "call Ann", **pods[1].env, **shared)
    second.wait_for("added: call Ann")
    first.wait_for("reminder: call Ann (by pod-a_")
    assert first.stop(signal.SIGTERM) == 143
    second.wait_for("drink water (by pod-b_", times=2)
    assert second.stop(signal.SIGTERM) == 143
    output = first.output + second.output
    assert output.count("reminder: call Ann") == 1
    assert "Traceback" not in output


def test_reminders_outlive_all_replicas(run_example: RunExample, tmp_path: Path):
    shared = {"DATABASE": f"sqlite:///{tmp_path}/jobs.sqlite3"}
    first = run_example(EXAMPLE, "pod-a", "call Ann", "call Bob", **shared)
    first.wait_for("added: call Bob")
    first.stop(signal.SIGKILL)
    assert first.count("reminder: call") == 0
    second = run_example(EXAMPLE, "pod-b", **shared)
    second.wait_for("reminder: call Ann (by pod-b_")
    second.wait_for("reminder: call Bob (by pod-b_")
    assert second.stop(signal.SIGINT) == 0
    assert second.count("reminder: call") == 2
    assert "Traceback" not in second.output
