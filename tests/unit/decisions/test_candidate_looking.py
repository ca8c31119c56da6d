"""When a follower looks again: vanished leases, polls, spreading, failures, and the answer of an attempt."""

from datetime import timedelta

import pytest

from singleton_jobs.errors import AccessDenied, Conflict
from unit.harness import (
    DURATION,
    OTHER,
    PERIOD,
    Most,
    candidate,
    follower,
    leader,
    moment,
    reads,
    renewed,
    stored,
    unknown,
    wall,
    waits,
    writes,
)


def test_a_live_record_that_vanished_is_waited_out_before_creating():
    made = follower(stored(duration=20))
    made.saw(None, 5.0)
    assert waits(made, 5.0) == 7.0
    made.saw(None, 24.9)
    waits(made, 24.9)
    made.saw(None, 25.0)
    writes(made, 25.0)


def test_a_live_record_found_gone_after_a_stall_is_waited_out():
    made = follower(stored())
    made.saw(None, 100.0)
    waits(made, 100.0)


def test_a_dead_record_that_vanished_is_created_at_once():
    made = follower(stored())
    made.saw(stored(), 15.0)
    made.saw(None, 15.5)
    writes(made, 15.5)


def test_a_free_record_that_vanished_is_created_at_once():
    made = follower(stored(""))
    made.saw(None, 0.1)
    writes(made, 0.1)


def test_a_leader_whose_lease_vanished_waits_its_own_record_out():
    made = leader(0.0)
    made.saw(None, 4.0)
    waits(made, 4.0)
    made.saw(None, 18.9)
    waits(made, 18.9)
    made.saw(None, 19.0)
    writes(made, 19.0)


def test_a_vanished_lease_is_created_with_the_last_ledger_seen():
    made = follower(stored("", ledger="marks"))
    made.saw(None, 1.0)
    write = writes(made, 1.0)
    assert (write.replaces, write.ledger) == (None, "marks")


def test_a_record_that_came_back_ends_the_wait_for_the_vanished_one():
    made = follower(stored())
    made.saw(None, 1.0)
    made.saw(stored("", version=9, uid="uid-2"), 2.0)
    writes(made, 2.0)


def test_a_follower_polls_once_per_retry_period_and_jitter():
    assert waits(follower(stored()), 0.0) == PERIOD
    assert waits(follower(stored(), chance=Most()), 0.0) == pytest.approx(1.2 * PERIOD)


def test_a_follower_acts_at_the_expiry_it_computed_if_that_is_before_its_next_poll():
    made = follower(stored())
    made.saw(stored(), 14.5)
    assert waits(made, 14.5) == DURATION


def test_after_a_seen_release_followers_spread():
    made = follower(stored(), chance=Most())
    made.saw(stored("", version=2), 1.0)
    assert waits(made, 1.0) == pytest.approx(1.01)
    writes(made, 1.01)


def test_a_lease_free_at_first_sight_is_taken_without_spreading():
    writes(follower(stored(""), chance=Most()), 0.0)


def test_the_loser_of_a_race_waits_for_its_next_poll():
    made = follower(stored(""))
    writes(made, 0.0)
    made.failed(Conflict("another was first"), 0.1)
    assert waits(made, 0.1) == 0.1 + PERIOD


def test_a_follower_whose_read_failed_polls_on():
    made = candidate()
    reads(made, 0.0)
    made.failed(unknown(), 1.0)
    assert waits(made, 1.0) == 1.0 + PERIOD


def test_a_failed_read_does_not_restart_the_wait():
    made = follower(stored())
    reads(made, 2.0)
    made.failed(unknown(), 4.0)
    made.saw(stored(), 15.0)
    writes(made, 15.0)


def test_nothing_is_taken_on_the_strength_of_a_failed_read():
    made = follower(stored())
    made.failed(unknown(), 20.0)
    assert waits(made, 20.0) == 20.0 + PERIOD


def test_denied_access_is_tried_again_after_half_a_minute():
    made = candidate()
    reads(made, 0.0)
    made.failed(AccessDenied("no"), 1.0)
    assert waits(made, 1.0) == 31.0


def test_a_follower_honours_a_wished_delay():
    made = candidate()
    made.failed(unknown(retry_after=7.0), 0.0)
    assert waits(made, 0.0) == 7.0


def test_a_follower_bounds_a_wished_delay():
    made = candidate()
    made.failed(unknown(retry_after=86_400.0), 0.0)
    assert waits(made, 0.0) == 30.0


def test_followers_of_a_live_holder_never_write():
    made, known, now = follower(stored(), chance=Most()), stored(), 0.0
    for _ in range(200):
        now = waits(made, now)
        reads(made, now)
        known = renewed(known, now - 0.5)
        made.saw(known, now)
    assert made.seen.record.holder_identity == OTHER


@pytest.mark.parametrize(("known", "answer"), [(stored(), "busy"), (stored(""), None)], ids=["held by another", "free"])
def test_the_attempts_answer_is_known_once_a_held_record_was_judged(known, answer):
    made = follower(known)
    made.decide(0.0, wall(0.0))
    assert made.answer == answer


def test_the_attempts_answer_is_held_once_the_write_was_acknowledged():
    assert leader().answer == "held"


def test_the_attempts_answer_is_failed_when_the_store_did_not_answer():
    made = candidate()
    made.failed(unknown(), 1.0)
    assert made.answer == "failed"


def test_written_at_ahead_of_served_at_is_not_stale():
    known = stored(served_at=moment(0), written_at=moment(0) + timedelta(hours=1))
    waits(follower(known), 0.0)
