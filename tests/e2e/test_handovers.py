"""Hand-overs that nobody could see in time by looking: the next look is a minute away, and none of them takes that long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from controlplane.admin import Admin
from controlplane.fixtures import MakePod
from controlplane.pod import lease_role

from .journal import PATIENCE, Journal
from .processes import Starter

pytestmark = pytest.mark.e2e

PATIENT = {"lease_duration": 300, "renew_deadline": 240, "retry_period": 2 * PATIENCE, "request_timeout": 20}


@pytest.mark.parametrize("leases", [[], ["job"]], ids=["one watch of the namespace", "a watch of its own"])
def test_a_release_is_taken_when_it_happens(
    start: Starter, make_pod: MakePod, journal: Journal, leases: list[str]
) -> None:
    pods = [make_pod(roles=[lease_role(*leases)]) for _ in range(3)]
    leader = start("loop", lease="job", config=PATIENT, pod=pods[0])
    leader.wait_for("effect")
    followers = [start("loop", lease="job", config=PATIENT, pod=pod) for pod in pods[1:]]
    for follower in followers:
        follower.wait_for("HolderChanged")
    leader.terminate()
    journal.wait_for("effect", after=journal.wait_for("TermEnded", leader.who).at)
    (successor,) = {entry.who for entry in journal.entries("TermStarted")} - {leader.who}
    next(each for each in followers if each.who == successor).terminate()
    (other,) = (each for each in followers if each.who != successor)
    other.wait_for("effect")


def test_a_request_to_step_down_is_heeded_when_it_is_made(start: Starter, admin: Admin, namespace: str) -> None:
    leader = start("loop", lease="job", config=PATIENT)
    identity = leader.wait_for("effect").identity
    follower = start("loop", lease="job", config=PATIENT)
    follower.wait_for("HolderChanged", holder=identity)
    admin.patch_lease(namespace, "job", {"metadata": {"annotations": {"singleton-jobs/step-down": identity}}})
    follower.wait_for("effect")
    assert leader.running


def test_what_runs_at_most_every_so_often_goes_on_elsewhere(start: Starter) -> None:
    how: dict[str, Any] = {"lease": "job", "config": PATIENT, "interval": 0.5}
    leader = start("seldom", **how)
    leader.wait_for("ran")
    follower = start("seldom", **how)
    follower.wait_for("HolderChanged")
    leader.terminate()
    follower.wait_for("ran")


def test_whoever_waits_for_a_lock_has_it_when_it_is_given_back(start: Starter, tmp_path: Path) -> None:
    gun = tmp_path / "gun"
    first = start("exclusive_call", lease="job", config=PATIENT, gun=str(gun))
    first.wait_for("began")
    second = start("exclusive_call", lease="job", config=PATIENT, gun=str(gun), wait=2 * PATIENCE)
    second.wait_for("HolderChanged")
    gun.touch()
    second.wait_for("began")
    assert second.wait() == 0
