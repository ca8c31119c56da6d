"""What a candidate makes of what a watch tells, and of what it does not."""

from dataclasses import replace

import pytest

from singleton_jobs.config import Config
from singleton_jobs.decisions.actions import Read, Wait
from singleton_jobs.decisions.candidate import Candidate
from singleton_jobs.errors import Conflict
from singleton_jobs.locks.watching import Sight
from unit.claimants import ledger
from unit.harness import (
    DEADLINE,
    DURATION,
    ME,
    OTHER,
    PERIOD,
    Most,
    acknowledged,
    candidate,
    follower,
    leader,
    moment,
    reads,
    renewed,
    stored,
    unknown,
    waits,
    writes,
)

BENEATH = DURATION / 2  # seconds from one poll beneath a watch to the next


def sight(lease, version=None):
    return Sight(lease, version if version is not None else lease.version)


def told(made, lease, now, version=None):
    made.told(sight(lease, version), now)
    return made


def test_what_is_told_says_nothing_of_the_time():  # it may be acted on much later, as after a machine's sleep
    made = follower(replace(stored("", ledger=ledger()), served_at=moment(0.0)))
    made.decide(0.0, moment(0.0).timestamp())
    made.told(sight(replace(stored("", ledger=ledger(), version=20), served_at=moment(1.0))), 1.0)
    assert made.decide(1.0, moment(3600.0).timestamp()).record.holder_identity == ME
    assert made.clock_off == 0.0


def test_whoever_has_only_been_told_for_long_asks_for_the_time_before_it_takes_a_lease_with_fires():
    known = replace(stored(ledger=ledger()), served_at=moment(0.0))
    made = follower(known)
    made.decide(0.0, moment(0.0).timestamp())
    for second in range(1, 20):
        told(made, renewed(replace(known, version=second), second), second)
    told(made, stored("", ledger=ledger(), version=30), 20.0)
    assert isinstance(made.decide(20.0, moment(3620.0).timestamp()), Read)
    made.saw(replace(stored("", ledger=ledger(), version=30), served_at=moment(20.0)), 20.0)
    assert isinstance(made.decide(20.0, moment(3620.0).timestamp()), Wait)
    assert made.clock_off == 3600.0


def test_whoever_has_only_been_told_for_long_takes_a_lease_with_fires_once_its_clock_is_known():
    made = follower(stored(ledger=ledger()))
    told(made, stored("", ledger=ledger(), version=30), 20.0)
    reads(made, 20.0)
    made.saw(stored("", ledger=ledger(), version=30), 20.1)
    writes(made, 20.1)


def test_a_lease_without_fires_is_taken_as_it_was_told():
    made = told(follower(stored()), stored("", version=30), 20.0)
    writes(made, 20.0)


def test_edits_faster_than_renewals_do_not_put_these_off_for_ever():
    made = leader()
    version = 1
    for _ in range(3):
        writes(made, PERIOD)
        made.failed(Conflict("edited"), PERIOD)
        reads(made, PERIOD)
        made.saw(replace(made.seen, version=(version := version + 1)), PERIOD)
    due = waits(made, PERIOD)
    for step in range(20):
        told(made, replace(made.seen, version=(version := version + 1)), PERIOD + step * PERIOD / 200)
    assert waits(made, due - 0.01) == due
    writes(made, due)


def test_an_echo_of_what_was_refused_as_old_does_not_spare_the_read():
    made = leader()
    writes(made, PERIOD)
    made.failed(Conflict("edited"), PERIOD)
    told(made, made.seen, PERIOD)
    reads(made, PERIOD)


def test_an_echo_of_what_a_race_was_lost_over_is_not_taken_again():
    free = stored("", version=5)
    made = told(follower(stored()), free, 3.0)
    writes(made, 3.0)
    made.failed(Conflict("taken"), 3.1)
    told(made, free, 3.1)
    assert waits(made, 3.1) == 3.1 + BENEATH


def test_an_edit_of_a_lease_that_is_still_free_asks_for_a_decision():
    made = told(follower(stored()), stored("", version=5), 3.0)
    writes(made, 3.0)
    made.failed(Conflict("edited"), 3.1)
    assert made.told(sight(stored("", version=6)), 3.2)
    writes(made, 3.2)


# Followers


def test_whoever_is_told_asks_only_after_a_silence_of_half_a_duration():
    made = told(follower(stored()), stored(), 0.5)
    assert waits(made, 0.5) == 0.5 + BENEATH
    told(made, renewed(stored(), 2.0), 2.5)
    assert waits(made, 2.5) == 2.5 + BENEATH
    reads(made, 2.5 + BENEATH)


def test_whoever_is_told_nothing_any_more_asks_again_as_before():
    made = told(follower(stored()), stored(), 0.5)
    waits(made, 0.5)
    made.told(None, 1.0)
    assert waits(made, 1.0) == 1.0 + PERIOD
    made.saw(stored(), 1.0 + PERIOD)
    assert waits(made, 1.0 + PERIOD) == 1.0 + 2 * PERIOD


def test_a_release_that_is_told_is_taken_within_a_spread_without_a_read():
    made = told(follower(stored(), chance=Most()), stored("", version=2), 3.0)
    assert waits(made, 3.0) == 3.01
    assert writes(made, 3.01).replaces.version == 2


def test_a_release_that_another_was_faster_to_take_is_left_alone():
    made = told(follower(stored(), chance=Most()), stored("", version=2), 3.0)
    told(made, stored("third_1", version=3), 3.005)
    assert waits(made, 3.01) == 3.005 + BENEATH


def test_those_who_meet_spread_more_and_then_less_again():
    made, version, at = follower(stored(), chance=Most()), 1, 3.0
    spreads = []
    for refused in (True, True, True, True, True, False, False, True):
        told(made, stored("", version=version + 1), at)
        take_at = waits(made, at)
        spreads.append(round(take_at - at, 3))
        if refused:
            writes(made, take_at)
            made.failed(Conflict("another version"), take_at)
        told(made, stored(f"third_{version}", version=version + 2), take_at)
        waits(made, take_at)
        version, at = version + 2, at + 10
    assert spreads == [0.01, 0.02, 0.04, 0.08, 0.16, 0.16, 0.08, 0.04]


def test_a_crashed_holder_is_taken_over_at_the_very_instant():
    made = told(follower(stored()), stored(version=2, renewed=1.0), 2.0)
    waits(made, 2.0)
    reads(made, 2.0 + BENEATH)
    made.saw(stored(version=2, renewed=1.0), 2.0 + BENEATH)
    assert waits(made, 2.0 + BENEATH) == 2.0 + DURATION
    reads(made, 2.0 + DURATION)
    made.saw(stored(version=2, renewed=1.0), 2.0 + DURATION)
    writes(made, 2.0 + DURATION)


def test_what_is_told_again_keeps_no_dead_holder_alive():
    made = follower(stored())
    for second in range(1, 15):
        told(made, stored(version=1 + second, ledger=f"edit {second}"), float(second))
    made.saw(stored(version=15), DURATION)
    writes(made, DURATION)


@pytest.mark.parametrize("late", [stored("", version=2), None])
def test_what_comes_late_is_not_believed(late):
    made = told(follower(stored(version=3)), late, 1.0, version=2)
    assert waits(made, 1.0) < DURATION
    assert made.seen.version == 3


def test_a_deletion_that_is_told_is_waited_out():
    made = told(follower(stored()), None, 1.0, version=2)
    assert made.seen is None
    waits(made, 1.0)
    told(made, None, 1.0 + DURATION, version=2)
    assert writes(made, 1.0 + DURATION).replaces is None


def test_nothing_is_told_to_whoever_does_not_compete():
    made = Candidate(ME, Config(), Most())
    made.told(sight(stored("")), 1.0)
    assert waits(made, 1.0) == float("inf")


def test_a_refusal_is_waited_out_as_without_a_watch():
    made = told(follower(stored()), stored(), 0.5)
    made.failed(unknown(), 1.0)
    assert waits(made, 1.0) == 1.0 + PERIOD


# Holders


def test_no_sight_extends_a_hold():
    made = leader()
    told(made, renewed(made.seen, 9.0), 9.0)
    assert made.held_until == DEADLINE
    made.expire(DEADLINE)
    assert made.hold is None


@pytest.mark.parametrize("by", [OTHER, ""])
def test_a_hold_ends_when_it_is_told_to_be_anothers(by):
    made = told(leader(), stored(by, version=9), 1.0)
    assert made.hold is None


def test_a_hold_outlives_what_was_so_before():
    made = told(leader(version=5), stored("", version=4), 1.0)
    assert made.hold
    told(made, None, 1.0, version=4)
    assert made.hold


def test_a_request_to_step_down_is_told():
    made = leader()
    asking = {"metadata": {"annotations": {"singleton-jobs/step-down": ME}}}
    known = made.seen
    told(made, type(known)(known.record, None, known.uid, 2, raw=asking), 1.0)
    assert made.asked_to_step_down


# Releases


def test_a_release_is_not_judged_by_a_watch_that_may_lag():
    made = leader()
    write = acknowledged(writes(made, PERIOD), 2)  # on its way
    made.failed(unknown(), PERIOD + 1)
    made.release(PERIOD + 1)
    told(made, stored("", version=2), PERIOD + 1)
    assert made.releasing
    writes(made, PERIOD + 1)
    made.failed(Conflict("the renewal has landed"), PERIOD + 1)
    told(made, stored("", version=3), PERIOD + 1)
    reads(made, PERIOD + 1)
    made.saw(write, PERIOD + 2)
    assert writes(made, PERIOD + 2).record.holder_identity == ""


# What asks for a decision


def test_a_renewal_that_is_told_asks_for_nothing():
    made = follower(stored())
    assert made.told(sight(stored(version=2)), 0.5)
    waits(made, 0.5)
    assert not made.told(sight(stored(version=3, renewed=2.0)), 2.5)
    assert waits(made, 0.5 + BENEATH) == 2.5 + BENEATH


@pytest.mark.parametrize(
    "news",
    [
        stored("", version=2),
        stored("third_1", version=2),
        stored(version=2, duration=3.0),
        stored(version=2, uid="new"),
    ],
    ids=["freed", "taken", "shorter", "made anew"],
)
def test_anything_else_asks_for_a_decision(news):
    made = follower(stored())
    made.told(sight(stored()), 0.5)
    assert made.told(sight(news), 1.0)
    assert made.told(None, 1.5)
