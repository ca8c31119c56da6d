"""Beat goes on where the lease is taken, when it is taken: no look of a follower is due in time."""

from __future__ import annotations

import pytest

from ..test_handovers import PATIENT
from .beats import Beats

pytestmark = pytest.mark.e2e


def test_the_next_leader_sends_without_waiting_for_a_look(beats: Beats) -> None:
    beats.several({"entry": 1.0}, 2, settings=PATIENT, config=PATIENT)
    leader, (follower,) = beats.leader(), beats.followers()
    beats.wait_sent_by(leader)
    assert leader.end() == 0
    beats.wait_sent_by(follower)
    beats.end_all()
    beats.verdict().assert_once()
