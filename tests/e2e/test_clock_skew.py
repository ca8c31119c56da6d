"""A replica whose wall clock is an hour off, beside one whose clock is right, on one API server."""

from __future__ import annotations

import time

import pytest

from .journal import Journal, boot_time
from .processes import Starter

pytestmark = pytest.mark.e2e

EAGER = {"lease_duration": 3}
HOUR = 3600.0


@pytest.mark.parametrize("off", [-HOUR, HOUR])
def test_a_replica_whose_clock_is_off_never_leads_while_another_claims_every_fire(start: Starter, off: float) -> None:
    begin, fires = time.time() + 3, 60
    right = start("claimer", lease="job", config=EAGER, begin=begin, fires=fires)
    right.wait_for("granted")
    wrong = start("skewed", lease="job", config=EAGER, begin=begin, off=off, wrong=[0, HOUR])
    told = wrong.wait_for("ClockOff")
    assert abs(told.seconds - off) < 5
    right.wait_for("done")
    granted = [entry.number for entry in right.entries("granted")]
    assert granted == list(range(granted[0], fires))  # a slow machine may come to lead late
    assert not wrong.entries("granted")
    right.terminate()
    time.sleep(2 * EAGER["lease_duration"])  # also when nobody else does
    assert not wrong.entries("TermStarted")
    assert "set the host's clock" in wrong.output


def test_a_leader_whose_clock_is_set_wrong_hands_over_and_leads_again_once_it_is_right(
    start: Starter, journal: Journal
) -> None:
    begin = time.time() + 1
    first = start("skewed", lease="job", config=EAGER, begin=begin, off=HOUR, wrong=[5, 15])
    first.wait_for("granted")
    second = start("claimer", lease="job", config=EAGER, begin=begin, fires=1000)
    ended = first.wait_for("TermEnded")
    assert not ended.lost
    assert first.entries("ClockOff")
    second.wait_for("granted", count=3)
    first.wait_for("right")
    now = boot_time()
    second.kill()
    first.wait_for("granted", after=now)
    numbers = [entry.number for entry in journal.entries("granted")]
    assert len(numbers) == len(set(numbers))
    assert len(first.entries("ClockOff")) == 1
