"""When a follower may take a lease."""

import math
from dataclasses import replace

import pytest

from unit.harness import (
    ME,
    PERIOD,
    acknowledged,
    candidate,
    follower,
    moment,
    reads,
    stored,
    unknown,
    waits,
    writes,
)


def watch(made, known, until, *, step=PERIOD):
    """Read ``known`` at every poll up to ``until``; the time of the last."""
    now = 0.0
    while now + step < until:
        now += step
        reads(made, now)
        made.saw(known, now)
    return now


def test_a_started_candidate_reads_first():
    reads(candidate(), 0.0)


def test_a_candidate_that_was_not_started_does_nothing():
    made = candidate()
    made.stop(0.0)
    assert waits(made, 0.0) == math.inf


def test_an_absent_lease_is_created_at_once():
    writes(follower(None, 1.0), 1.0)


def test_an_empty_holder_is_free_at_first_sight():
    writes(follower(stored("")), 0.0)


def test_a_record_is_taken_only_after_its_own_duration_unchanged():
    made, known = follower(stored(duration=20)), stored(duration=20)
    watch(made, known, 20.0)
    assert waits(made, 19.9) == 20.0
    reads(made, 20.0)
    made.saw(known, 20.0)
    writes(made, 20.0)


def test_a_records_own_duration_counts_not_ours():
    made = follower(stored(duration=300))
    made.saw(stored(duration=300), 299.9)
    waits(made, 299.9)


def test_a_foreign_record_without_a_duration_gets_ours():
    made = follower(stored(duration=0))
    made.saw(stored(duration=0), 14.9)
    waits(made, 14.9)
    made.saw(stored(duration=0), 15.0)
    writes(made, 15.0)


def test_the_wait_is_timed_from_the_receipt_of_the_first_sight():
    made = candidate()
    reads(made, 0.0)
    made.saw(stored(), 2.5)
    made.saw(stored(), 17.4)
    waits(made, 17.4)
    made.saw(stored(), 17.5)
    writes(made, 17.5)


def test_an_old_renew_time_does_not_shorten_the_wait():
    made = follower(stored(renewed=-100_000))
    waits(made, 0.0)


def test_a_renew_time_in_the_future_does_not_lengthen_the_wait():
    made = follower(stored(renewed=100_000))
    made.saw(stored(renewed=100_000), 15.0)
    writes(made, 15.0)


def test_an_annotation_edit_does_not_keep_a_dead_holder_alive():
    made = follower(stored(version=1))
    for second in range(1, 15):
        made.saw(stored(version=1 + second, ledger=f"edit {second}"), float(second))
        waits(made, float(second))
    made.saw(stored(version=20), 15.0)
    assert writes(made, 15.0).replaces.version == 20


@pytest.mark.parametrize(
    "change",
    [{"renewed": 1.0}, {"acquired": 1.0}, {"transitions": 2}, {"holder": "third_1"}, {"duration": 16}, {"uid": "new"}],
    ids=lambda change: next(iter(change)),
)
def test_any_change_of_the_record_starts_the_wait_anew(change):
    made = follower(stored())
    made.saw(stored(version=2, **change), 14.0)
    made.saw(stored(version=2, **change), 15.5)
    waits(made, 15.5)


def test_a_record_is_taken_one_duration_after_its_last_change():
    made, changed = follower(stored()), stored(version=2, renewed=13.0)
    made.saw(changed, 14.0)
    made.saw(changed, 28.9)
    waits(made, 28.9)
    made.saw(changed, 29.0)
    writes(made, 29.0)


def test_an_older_version_of_the_same_object_is_ignored():
    made = follower(stored(version=9, renewed=5.0))
    made.saw(stored(version=8, renewed=3.0), 1.0)
    made.saw(stored(version=9, renewed=5.0), 15.0)
    writes(made, 15.0)


def test_an_older_version_that_looks_free_is_not_taken():
    made = follower(stored(version=9))
    waits(made, 0.0)
    made.saw(stored("", version=8), 1.0)
    assert waits(made, 1.0) == 1.0 + PERIOD
    assert made.seen.version == 9


def test_a_lower_version_of_a_new_object_counts():
    made = follower(stored(version=9))
    made.saw(stored("", version=2, uid="uid-2"), 1.0)
    writes(made, 1.0)


def test_observations_outlive_an_attempt():
    made = follower(stored())
    made.stop(1.0)
    made.start(15.0)
    reads(made, 15.0)
    made.saw(stored(), 15.0)
    writes(made, 15.0)


def test_a_later_attempt_reads_before_it_takes():
    made = follower(stored())
    made.stop(1.0)
    made.start(100.0)
    reads(made, 100.0)
    made.saw(stored(version=2, renewed=99.0), 100.0)
    waits(made, 100.0)


def test_the_stores_own_clock_frees_a_stale_record_at_first_sight():
    made = follower(stored(served_at=moment(0), written_at=moment(-76)))
    writes(made, 0.0)


def test_a_record_not_stale_enough_is_waited_out():
    waits(follower(stored(served_at=moment(0), written_at=moment(-75))), 0.0)


def test_staleness_can_be_turned_off():
    known = stored(served_at=moment(0), written_at=moment(-10_000))
    waits(follower(known, stale_after=None), 0.0)


def test_staleness_needs_the_stores_clock():
    waits(follower(stored(renewed=-10_000, served_at=moment(0))), 0.0)


def test_a_holder_known_to_be_dead_is_replaced_at_once():
    writes(follower(stored(abandoned=True)), 0.0)


def test_without_observed_time_a_record_is_judged_by_its_renew_time():
    made = follower(stored(renewed=-15.0), use_observed_time=False)
    writes(made, 0.0)


def test_without_observed_time_a_fresh_renew_time_is_waited_for():
    made = follower(stored(renewed=-14.0), use_observed_time=False)
    assert waits(made, 0.0) == pytest.approx(1.0)


def test_a_record_that_names_us_but_was_not_written_here_waits_out_its_duration():
    made = follower(stored(ME))
    waits(made, 0.0)
    made.saw(stored(ME), 15.0)
    writes(made, 15.0)


def test_a_record_of_our_own_lost_write_is_taken_at_once():
    made = follower(None)
    lost = writes(made, 0.0)
    made.failed(unknown(), 1.0)
    made.saw(acknowledged(lost, 1), 3.0)
    writes(made, 3.0)


@pytest.mark.parametrize(
    "change", [{"renew_time": moment(50)}, {"acquire_time": moment(50)}], ids=lambda c: next(iter(c))
)
def test_a_record_of_our_own_with_other_times_is_a_strangers(change):
    made = follower(stored(""))
    lost = writes(made, 0.0)
    made.failed(unknown(), 1.0)
    landed = acknowledged(lost, 2)
    made.saw(replace(landed, record=replace(landed.record, **change)), 3.0)
    waits(made, 3.0)


def test_our_own_write_under_another_uid_is_a_restored_manifest():
    made = follower(stored("", version=4))
    lost = writes(made, 0.0)
    made.failed(unknown(), 1.0)
    made.saw(acknowledged(lost, 5, uid="uid-2"), 3.0)
    waits(made, 3.0)


def test_a_barred_candidate_does_not_compete():
    made = follower(stored(""))
    made.barred = True
    assert waits(made, 0.0) == math.inf


def test_a_candidate_competes_again_when_the_bar_is_lifted():
    made = follower(stored(""))
    made.barred = True
    waits(made, 0.0)
    made.barred = False
    writes(made, 0.0)


def test_the_fencing_token_is_the_version_of_the_acquiring_write():
    made = follower(stored("", version=5))
    made.wrote(acknowledged(writes(made, 0.0), 9), sent_at=0.0, now=0.0)
    assert made.hold.token == 9
