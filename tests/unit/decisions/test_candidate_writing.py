"""What a candidate writes: a record unlike the one it replaces, over exactly the version it saw."""

from dataclasses import replace
from datetime import timedelta

import pytest

from singleton_jobs.errors import Conflict
from unit.harness import (
    DEADLINE,
    ME,
    WALL,
    acknowledged,
    follower,
    leader,
    moment,
    reads,
    renews,
    stored,
    unknown,
    waits,
    writes,
)


def renew_times(made, walls, step=2.0):
    times, now, version = [made.seen.record.renew_time], 0.0, made.seen.version
    for at_wall in walls:
        now, version = now + step, version + 1
        write = writes(made, now, at_wall)
        times.append(write.record.renew_time)
        made.wrote(acknowledged(write, version), sent_at=now, now=now)
    return times


def whole_seconds(times):
    return [time.replace(microsecond=0) for time in times]


def test_a_frozen_wall_clock_does_not_freeze_renew_time():
    times = renew_times(leader(), [WALL] * 5)
    assert times == [moment(2.0 * n) for n in range(6)]


def test_a_wall_clock_that_steps_back_does_not_take_renew_time_back():
    times = renew_times(leader(), [WALL + 2, WALL - 3600, WALL - 3598, WALL - 3596])
    assert times == [moment(2.0 * n) for n in range(5)]


def test_a_wall_clock_that_steps_forward_is_followed():
    assert renew_times(leader(), [WALL + 2, WALL + 3600])[-1] == moment(3600)


def test_renew_time_moves_by_whole_seconds_if_a_second_passed():
    times = renew_times(leader(lease_duration=7.5), [WALL + 0.9] * 5, step=1.0)
    assert len(set(whole_seconds(times))) == len(times)


def test_every_renew_time_differs_even_within_one_instant():
    made = leader()
    first = writes(made, 2.0, WALL)
    made.failed(unknown(), 2.0)
    made._next = 2.0
    assert writes(made, 2.0, WALL).record.renew_time != first.record.renew_time


@pytest.mark.parametrize("ahead", [-0.7, 0.0, 0.7])
def test_a_record_taken_over_differs_in_seconds_from_the_one_it_replaces(ahead):
    known = stored("", renewed=ahead)
    time = writes(follower(known), 0.0).record.renew_time
    assert abs(time - known.record.renew_time) >= timedelta(seconds=1)


def test_a_handed_back_record_differs_from_the_one_it_replaces():
    made = leader()
    made.release(0.0)
    assert writes(made, 0.0, WALL).record.renew_time != moment(0.0)


def test_an_answer_with_the_version_it_replaced_is_no_renewal():
    made = leader(0.0, version=5)
    write = writes(made, 2.0)
    made.wrote(acknowledged(write, 5), sent_at=2.0, now=2.1)
    assert made.held_until == DEADLINE


def test_an_answer_with_the_version_it_replaced_is_no_acquisition():
    made = follower(stored("", version=5))
    made.wrote(acknowledged(writes(made, 0.0), 5), sent_at=0.0, now=0.1)
    assert made.hold is None


def test_an_absent_lease_is_created_not_replaced():
    assert writes(follower(None), 0.0).replaces is None


def test_an_acquisition_swaps_exactly_the_version_seen():
    known = stored("", version=7)
    assert writes(follower(known), 0.0).replaces is known


def test_an_expired_record_is_swapped_at_its_freshest_version():
    made = follower(stored(version=7))
    edited = stored(version=9)
    made.saw(edited, 15.0)
    assert writes(made, 15.0).replaces is edited


def test_a_renewal_swaps_the_version_of_the_last_acknowledged_write():
    made = leader(version=3)
    renews(made, 2.0, 8)
    assert writes(made, 4.0).replaces.version == 8


def test_a_renewal_after_a_foreign_edit_swaps_the_edited_version():
    made = leader(version=3)
    writes(made, 2.0)
    made.failed(Conflict("edited"), 2.1)
    edited = replace(made.seen, version=4)
    made.saw(edited, 2.2)
    assert writes(made, 2.2).replaces is edited


def test_a_release_that_was_refused_swaps_the_version_it_fetched():
    made = leader(version=3)
    made.release(1.0)
    writes(made, 1.0)
    made.failed(Conflict("edited meanwhile"), 1.0)
    reads(made, 1.0)
    edited = replace(made.seen, version=4)
    made.saw(edited, 1.1)
    assert writes(made, 1.1).replaces is edited


def test_each_acquisition_increments_the_transitions():
    assert writes(follower(stored("", transitions=41)), 0.0).record.lease_transitions == 42


def test_taking_our_own_record_again_is_a_new_term_too():
    made = leader(0.0)
    made.expire(DEADLINE)
    reads(made, DEADLINE)
    made.saw(made.seen, DEADLINE)
    assert writes(made, DEADLINE).record.lease_transitions == 2


def test_the_first_acquisition_counts_one():
    assert writes(follower(None), 0.0).record.lease_transitions == 1


def test_the_acquiring_write_names_us_and_our_duration():
    record = writes(follower(stored("", duration=600)), 0.0).record
    assert (record.holder_identity, record.lease_duration_seconds) == (ME, 15)


def test_a_fractional_duration_is_written_rounded_up():
    assert writes(follower(None, lease_duration=4.2), 0.0).record.lease_duration_seconds == 5


def test_acquire_time_and_renew_time_start_equal():
    record = writes(follower(None), 0.0).record
    assert record.acquire_time == record.renew_time == moment(0.0)


def test_a_swap_leaves_the_ledger_alone():
    assert writes(follower(stored("", ledger="marks")), 0.0).ledger is None


def test_an_unknown_write_is_settled_by_its_renew_time_when_a_conflict_shows_that_it_landed():
    made = leader(version=1)
    hold, lost = made.hold, writes(made, 2.0)
    made.failed(unknown(), 4.0)
    writes(made, 5.0)
    made.failed(Conflict("not at version 1 any more"), 5.1)
    made.saw(acknowledged(lost, 2), 5.2)
    assert made.hold is hold
    assert writes(made, 5.2).replaces.version == 2


def test_a_read_of_the_old_version_does_not_settle_an_unknown_write():
    made = follower(stored("", version=4))
    lost = writes(made, 0.0)
    made.failed(unknown(), 1.0)
    made.saw(stored("", version=4), 3.0)
    assert made.may_be_stored
    made.failed(Conflict("it landed late"), 3.1)
    made.saw(acknowledged(lost, 5), 5.5)
    assert writes(made, 5.5).record.lease_transitions == 3


def test_a_read_past_the_version_a_lost_write_was_to_replace_settles_it():
    made = follower(stored("", version=4))
    writes(made, 0.0)
    made.failed(unknown(), 1.0)
    made.saw(stored(version=5, renewed=1.0), 3.0)
    assert not made.may_be_stored


def test_a_follower_whose_write_failed_reads_before_it_writes_again():
    made = follower(stored("", version=4))
    writes(made, 0.0)
    made.failed(unknown(), 1.0)
    reads(made, waits(made, 1.0))
