"""A due fire starts where the lease is taken, when it is taken: no look of a follower is due in time."""

from __future__ import annotations

import pytest

from ..test_handovers import PATIENT
from .replicas import Schedulers

pytestmark = pytest.mark.e2e


def test_the_next_leader_fires_without_waiting_for_a_look(schedulers: Schedulers) -> None:
    jobs = [{"id": "tick", "trigger": "interval", "at": {"seconds": 1}}]
    leader, follower = schedulers.several(2, jobs=jobs, config=PATIENT)
    if schedulers.leader() is not leader:
        leader, follower = follower, leader
    leader.process.wait_for("run", job="tick")
    assert leader.end() == 0
    follower.process.wait_for("run", job="tick")
