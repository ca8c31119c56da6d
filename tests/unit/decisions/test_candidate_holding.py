"""A hold: how long it is valid, what extends it, what ends it."""

import math
from dataclasses import replace

import pytest

from singleton_jobs.decisions.actions import Read, Write
from singleton_jobs.errors import AccessDenied, Conflict
from unit.harness import (
    DEADLINE,
    ME,
    OTHER,
    PERIOD,
    TIMEOUT,
    acknowledged,
    candidate,
    follower,
    leader,
    moment,
    reads,
    renews,
    stored,
    unknown,
    wall,
    waits,
    writes,
)


def test_nothing_is_held_before_a_write_was_acknowledged():
    made = follower(None)
    writes(made, 0.0)
    assert made.held_until == -math.inf


def test_a_hold_is_valid_until_sent_at_plus_renew_deadline():
    made = follower(None)
    write = writes(made, 3.0)
    made.wrote(acknowledged(write, 1), sent_at=3.0, now=5.5)
    assert made.held_until == 3.0 + DEADLINE


def test_a_renewal_extends_the_hold_from_its_sending_not_from_its_answer():
    made = leader(0.0)
    write = writes(made, 2.0)
    made.wrote(acknowledged(write, 2), sent_at=2.0, now=4.5)
    assert made.held_until == 2.0 + DEADLINE


def test_a_read_that_names_us_creates_no_hold():
    made = follower(None)
    write = writes(made, 0.0)
    made.failed(unknown(), 2.0)
    reads(made, 5.0)
    made.saw(acknowledged(write, 1), 5.0)
    assert made.hold is None


def test_a_read_that_shows_our_lost_renewal_does_not_extend_the_hold():
    made = leader(0.0)
    write = writes(made, 2.0)
    made.failed(unknown(), 4.0)
    made.saw(acknowledged(write, 2), 4.5)
    assert made.held_until == DEADLINE


def test_an_unacknowledged_renewal_does_not_extend_the_hold():
    made = leader(0.0)
    writes(made, 2.0)
    made.failed(unknown(), 4.0)
    assert made.held_until == DEADLINE


def test_the_first_look_at_the_deadline_latches_the_loss():
    made = leader(0.0)
    hold = made.hold
    made.expire(DEADLINE)
    assert (made.hold, hold.until, hold.ended_at) == (None, -math.inf, DEADLINE)


def test_a_hold_is_valid_just_before_its_deadline():
    made = leader(0.0)
    made.expire(math.nextafter(DEADLINE, 0))
    assert made.hold is not None


def test_a_late_acknowledgement_revives_nothing():
    made = leader(0.0)
    write = writes(made, 9.0)
    made.expire(10.0)
    made.wrote(acknowledged(write, 2), sent_at=9.0, now=10.5)
    assert made.hold is None


def test_an_acknowledgement_read_after_the_deadline_revives_nothing_though_nobody_looked_in_between():
    made = leader(0.0)
    hold = made.hold
    write = writes(made, 9.0)
    made.wrote(acknowledged(write, 2), sent_at=9.0, now=10.0)
    assert made.hold is None
    assert hold.until == -math.inf


def test_an_acquisition_acknowledged_after_its_own_deadline_starts_no_term():
    made = follower(None)
    write = writes(made, 0.0)
    made.wrote(acknowledged(write, 1), sent_at=0.0, now=DEADLINE)
    assert made.hold is None


def test_an_ended_hold_stays_ended_when_the_lease_is_taken_again():
    made = leader(0.0)
    first = made.hold
    write = writes(made, 9.0)
    made.wrote(acknowledged(write, 2), sent_at=9.0, now=10.5)
    reads(made, 10.5)
    made.saw(acknowledged(write, 2), 10.5)
    again = writes(made, 10.5)
    made.wrote(acknowledged(again, 3), sent_at=10.5, now=10.6)
    assert made.hold is not first
    assert first.until == -math.inf


def test_a_request_of_a_holder_never_outlasts_its_hold():
    made = leader(0.0)
    assert made.patience(9.0) == 1.0
    assert made.patience(2.0) == pytest.approx(TIMEOUT)


def test_a_followers_request_gets_the_whole_timeout():
    assert candidate().patience(100.0) == pytest.approx(TIMEOUT)


def test_a_steady_leader_sends_one_write_per_retry_period_and_no_read():
    made, now, version, sent = leader(0.0), 0.0, 1, []
    while now < 200:
        action = made.decide(now, wall(now))
        assert not isinstance(action, Read)
        if isinstance(action, Write):
            sent.append(now)
            version += 1
            made.wrote(acknowledged(action, version), sent_at=now, now=now + 0.01)
        else:
            now = action.until
    assert sent == [pytest.approx(PERIOD * n) for n in range(1, 100)]


def test_renewals_of_one_phase_fall_on_one_grid():
    early, late = leader(0.3), leader(1.1)
    assert waits(early, 1.2) == waits(late, 1.2) == pytest.approx(2.0)


def test_a_holders_conflict_is_followed_by_a_read_at_once():
    made = leader(0.0)
    writes(made, 2.0)
    made.failed(Conflict("someone wrote"), 2.1)
    reads(made, 2.1)


def test_a_foreign_edit_met_by_a_conflict_ends_no_term():
    made = leader(0.0)
    hold, write = made.hold, writes(made, 2.0)
    made.failed(Conflict("someone wrote"), 2.1)
    made.saw(acknowledged(write._replace(record=made.seen.record), 5), 2.2)
    renews(made, 2.2, 6)
    assert made.hold is hold
    assert made.held_until == 2.2 + DEADLINE


@pytest.mark.parametrize(
    "changed",
    [
        {"holder": OTHER},
        {"holder": ""},
        {"uid": "uid-2"},
        {"acquired": 7.0},
        {"transitions": 9},
    ],
    ids=lambda changed: next(iter(changed)) + "=" + repr(next(iter(changed.values()))),
)
def test_a_term_continues_only_with_equal_uid_holder_acquire_time_and_transitions(changed):
    made = leader(0.0)
    writes(made, 2.0)
    made.failed(Conflict("someone wrote"), 2.1)
    made.saw(stored(**{"holder": ME, "acquired": 0.0, "renewed": 0.0, "transitions": 1, "version": 4} | changed), 2.2)
    assert made.hold is None


def test_a_vanished_lease_is_a_loss():
    made = leader(0.0)
    hold = made.hold
    made.saw(None, 1.0)
    assert made.hold is None
    assert hold.reason == "the lease was deleted"


def test_a_failed_renewal_is_tried_again_within_the_hold():
    made = leader(0.0)
    writes(made, 2.0)
    made.failed(unknown(), 4.0)
    assert waits(made, 4.0) == 4.0 + PERIOD / 2
    writes(made, 5.0)


def test_a_wished_delay_is_honoured_inside_the_remaining_hold():
    made = leader(0.0)
    writes(made, 2.0)
    made.failed(unknown(retry_after=3.0), 2.1)
    assert waits(made, 2.2) == pytest.approx(5.1)


def test_a_wished_delay_beyond_the_remaining_hold_is_not_waited_for():
    made = leader(0.0)
    writes(made, 2.0)
    made.failed(unknown(retry_after=60.0), 2.1)
    assert waits(made, 2.2) == pytest.approx(3.1)


def test_a_holder_denied_access_tries_again_within_its_hold():
    made = leader(0.0)
    writes(made, 2.0)
    made.failed(AccessDenied("no"), 2.1)
    assert waits(made, 2.2) == pytest.approx(3.1)


def test_edits_faster_than_the_renewals_are_met_with_a_short_pause():
    made, version = leader(0.0), 1
    hold = made.hold
    for _ in range(3):
        writes(made, 2.0)
        made.failed(Conflict("someone wrote"), 2.0)
        version += 1
        made.saw(stored(ME, acquired=0.0, renewed=0.0, version=version), 2.0)
    assert waits(made, 2.0) == pytest.approx(2.0 + PERIOD / 10)
    assert made.hold is hold


def test_the_fencing_token_is_the_version_of_the_acquiring_write():
    made = leader(0.0, version=41)
    renews(made, 2.0, 57)
    assert made.hold.token == 41


def test_a_hold_ends_where_its_deadline_was_not_where_that_was_noticed():
    made = leader(0.0)
    hold = made.hold
    made.decide(500.0, wall(500.0))
    assert hold.ended_at == DEADLINE


def test_a_lost_leader_reads_at_once():
    made = leader(0.0)
    reads(made, DEADLINE)


def test_a_renewal_keeps_acquire_time_and_transitions():
    write = renews(leader(0.0), 2.0, 2)
    assert (write.record.acquire_time, write.record.lease_transitions) == (moment(0.0), 1)
