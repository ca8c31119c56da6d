"""Giving a lease back, leaving it to run out, and competing again."""

import math
from dataclasses import replace

from singleton_jobs.errors import Conflict
from unit.harness import (
    DEADLINE,
    ME,
    OTHER,
    PERIOD,
    acknowledged,
    follower,
    leader,
    reads,
    renews,
    stored,
    unknown,
    waits,
    writes,
)


def releasing(made, now=1.0, **options):
    made.release(now, **options)
    return made


def refused(made, now=1.0):
    """A release that finds something else stored than was seen, and looks."""
    writes(releasing(made, now), now)
    made.failed(Conflict("edited meanwhile"), now)
    reads(made, now)
    return made


def test_a_release_ends_the_hold_here_before_anything_is_sent():
    made = leader()
    hold = made.hold
    made.release(1.0)
    assert (made.hold, hold.until, made.held_until) == (None, -math.inf, -math.inf)


def test_a_release_replaces_exactly_what_was_seen_and_asks_for_nothing_first():
    made = leader()
    renews(made, 2.0, 2)
    seen = made.seen
    made.release(2.5)
    assert writes(made, 2.5).replaces is seen


def test_a_release_without_a_hold_reads_first():
    made = leader()
    made.expire(DEADLINE)
    made.release(DEADLINE)
    reads(made, DEADLINE)


def test_a_release_writes_an_empty_holder_and_the_shortest_duration():
    record = writes(releasing(leader()), 1.0).record
    assert (record.holder_identity, record.lease_duration_seconds) == ("", 1)


def test_a_release_keeps_transitions_and_acquire_time():
    made = leader()
    before = made.seen.record
    record = writes(releasing(made), 1.0).record
    assert (record.lease_transitions, record.acquire_time) == (before.lease_transitions, before.acquire_time)


def test_an_acknowledged_release_is_known_as_such():
    made = releasing(leader())
    write = writes(made, 1.0)
    made.wrote(acknowledged(write, 2), sent_at=1.0, now=1.1)
    assert (made.releasing, made.released, made.may_be_stored) == (False, True, False)


def test_a_record_that_is_anothers_by_now_is_not_released():
    made = refused(leader())
    made.saw(stored(OTHER, version=9), 1.1)
    assert waits(made, 1.1) == math.inf
    assert not made.released


def test_a_record_that_names_us_by_somebody_elses_hand_is_not_released():
    made = refused(leader())
    made.saw(stored(ME, version=9, acquired=500, renewed=500), 1.1)
    assert waits(made, 1.1) == math.inf


def test_a_vanished_lease_is_not_released():
    made = refused(leader())
    made.saw(None, 1.1)
    assert waits(made, 1.1) == math.inf
    assert not made.released


def test_a_conflict_of_a_release_is_followed_by_a_read_at_once():
    made = releasing(leader())
    writes(made, 1.0)
    made.failed(Conflict("edited meanwhile"), 1.1)
    reads(made, 1.1)


def test_a_release_succeeds_over_a_foreign_edit():
    made = releasing(leader())
    ours = made.seen
    writes(made, 1.0)
    made.failed(Conflict("edited meanwhile"), 1.1)
    reads(made, 1.1)
    made.saw(replace(ours, version=7), 1.2)
    write = writes(made, 1.2)
    made.wrote(acknowledged(write, 8), sent_at=1.2, now=1.3)
    assert made.released


def test_a_release_waits_for_the_renewal_under_way_and_replaces_it():
    made = leader()
    renewal = writes(made, 2.0)
    made.release(2.1)
    made.wrote(acknowledged(renewal, 2), sent_at=2.0, now=2.2)
    assert made.hold is None
    assert writes(made, 2.2).replaces.version == 2


def test_a_renewal_that_landed_unseen_is_released_too():
    made = leader()
    renewal = writes(made, 2.0)
    made.release(2.1)
    made.failed(unknown(), 4.0)
    reads(made, 4.0)
    made.saw(acknowledged(renewal, 2), 4.1)
    assert writes(made, 4.1).record.holder_identity == ""


def test_a_renewal_that_lands_between_read_and_release_is_released_after_all():
    made = leader()
    renewal = writes(made, 2.0)
    made.release(2.1)
    made.failed(unknown(), 4.0)
    reads(made, 4.0)
    made.saw(made.seen, 4.1)
    writes(made, 4.1)
    made.failed(Conflict("the renewal landed late"), 4.2)
    reads(made, 4.2)
    made.saw(acknowledged(renewal, 2), 4.3)
    assert writes(made, 4.3).replaces.version == 2


def test_a_release_whose_answer_is_lost_is_not_claimed():
    made = releasing(leader())
    writes(made, 1.0)
    made.failed(unknown(), 2.0)
    assert (made.releasing, made.released, made.may_be_stored) == (False, False, True)


def test_a_second_try_finds_that_the_lost_release_landed():
    made = releasing(leader())
    lost = writes(made, 1.0)
    made.failed(unknown(), 2.0)
    made.release(3.0)
    reads(made, 3.0)
    made.saw(acknowledged(lost, 2), 3.1)
    assert made.released


def test_a_lease_freed_by_somebody_else_was_not_released_here():
    made = refused(leader())
    made.saw(stored("", version=9, renewed=500), 1.1)
    assert not made.released


def test_after_a_release_nothing_is_sent():
    made = releasing(leader())
    write = writes(made, 1.0)
    made.wrote(acknowledged(write, 2), sent_at=1.0, now=1.1)
    assert waits(made, 1.1) == math.inf


def test_a_start_after_a_release_reads_first():
    made = releasing(leader())
    write = writes(made, 1.0)
    made.wrote(acknowledged(write, 2), sent_at=1.0, now=1.1)
    waits(made, 1.1)
    made.start(100.0)
    reads(made, 100.0)


def test_stepping_down_rests_before_competing_again():
    made = releasing(leader(), again=True, rest=2 * PERIOD)
    write = writes(made, 1.0)
    made.wrote(acknowledged(write, 2), sent_at=1.0, now=1.5)
    assert waits(made, 1.5) == 1.5 + 2 * PERIOD
    reads(made, 5.5)


def test_after_stepping_down_our_own_record_is_a_strangers():
    made = releasing(leader(), again=True, rest=2 * PERIOD)
    ours = made.seen
    writes(made, 1.0)
    made.failed(unknown(), 1.5)
    reads(made, 5.5)
    made.saw(ours, 5.5)
    waits(made, 5.5)


def test_after_a_plain_release_our_own_record_is_ours():
    made = releasing(leader())
    ours = made.seen
    writes(made, 1.0)
    made.failed(unknown(), 1.5)
    made.start(2.0)
    reads(made, 2.0)
    made.saw(ours, 2.0)
    writes(made, 2.0)


def test_it_is_ours_also_by_the_name_that_it_bears():
    made = releasing(leader())
    ours = made.seen
    writes(made, 1.0)
    made.failed(unknown(), 1.5)
    made.rename("another name of ours")
    made.start(2.0)
    reads(made, 2.0)
    made.saw(ours, 2.0)
    assert writes(made, 2.0).record.holder_identity == "another name of ours"


def test_a_copy_of_it_under_another_name_is_a_strangers():
    made = releasing(leader())
    ours = made.seen
    writes(made, 1.0)
    made.failed(unknown(), 1.5)
    made.start(2.0)
    reads(made, 2.0)
    made.saw(replace(ours, record=replace(ours.record, holder_identity="other_1")), 2.0)
    waits(made, 2.0)


def test_a_hold_keeps_its_name():
    made = leader()
    made.rename("another name of ours")
    assert made.identity == ME
    assert writes(made, PERIOD).record.holder_identity == ME


def test_a_candidate_that_rests_says_busy():
    made = leader()
    made.release(1.0, again=True, rest=4.0)
    made.saw(None, 1.1)
    made.answer = None
    waits(made, 1.2)
    assert made.answer == "busy"


def test_an_abandoned_hold_ends_here_and_sends_nothing():
    made = leader()
    hold = made.hold
    made.abandon(1.0, "its work goes on")
    assert waits(made, 1.0) == math.inf
    assert (hold.until, hold.reason) == (-math.inf, "its work goes on")


def test_an_acquisition_given_up_is_handed_back_when_it_turns_out_to_have_landed():
    made = follower(stored(""))
    acquisition = writes(made, 0.0)
    made.stop(0.5)
    made.wrote(acknowledged(acquisition, 2), sent_at=0.0, now=1.0)
    assert made.hold is None
    assert writes(made, 1.0).record.holder_identity == ""


def test_an_acquisition_given_up_whose_answer_is_lost_is_looked_for():
    made = follower(stored(""))
    acquisition = writes(made, 0.0)
    made.stop(0.5)
    made.failed(unknown(), 2.0)
    reads(made, 2.0)
    made.saw(acknowledged(acquisition, 2), 2.1)
    assert writes(made, 2.1).record.holder_identity == ""


def test_a_candidate_stopped_while_it_reads_sends_nothing_more():
    made = follower(stored())
    reads(made, PERIOD)
    made.stop(2.1)
    made.saw(stored(""), 2.2)
    assert waits(made, 2.2) == math.inf


def test_a_start_after_an_unfinished_release_competes_once_that_is_through():
    made = releasing(leader())
    write = writes(made, 1.0)
    made.start(1.05)
    made.wrote(acknowledged(write, 2), sent_at=1.0, now=1.1)
    reads(made, 1.1)
    made.saw(acknowledged(write, 2), 1.2)
    assert writes(made, 1.2).record.lease_transitions == 2


def test_renewals_go_on_until_the_release():
    made = leader()
    for version, now in enumerate((2.0, 4.0, 6.0), start=2):
        renews(made, now, version)
    assert made.held_until == 6.0 + DEADLINE
    made.release(6.5)
    assert writes(made, 6.5).replaces.version == 4
