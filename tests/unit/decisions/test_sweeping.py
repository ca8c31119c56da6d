"""Which leases of keys are deleted by whoever comes by, and when somebody does."""

import math
from dataclasses import replace

import pytest

from singleton_jobs.config import Config
from singleton_jobs.decisions.sweeping import DENIED_REST, Sweeping
from singleton_jobs.errors import AccessDenied, StoreError
from unit.harness import DURATION, WALL, Least, Most, moment, renewed, stored

PAUSE = 4 / 3 * DURATION
DAY = 86_400.0


def sweeping(chance=None, **timing):
    return Sweeping(Config(**timing), chance or Least())


def ledger(until):
    times = moment(0.0).isoformat(), moment(until).isoformat()
    return '{"v":1,"jobs":{"fn:sync":["%s","nonce","d",null,[],"%s"]}}' % times


def lists(made, at, **leases):
    """What a whole list that was received ``at`` has deleted."""
    over = made.see({name.replace("_", "."): found for name, found in leases.items()}, at, WALL + at)
    made.end(at)
    return over


# What is over


def test_a_lease_that_somebody_holds_is_left_alone_at_first_sight():
    assert lists(sweeping(), 0.0, sync_a=stored()) == {}


def test_a_holder_that_was_unchanged_for_the_records_own_duration_is_dead():
    made, known = sweeping(), stored(duration=20)
    lists(made, 0.0, sync_a=known)
    assert lists(made, 19.9, sync_a=known) == {}
    assert lists(made, 20.0, sync_a=known) == {"sync.a": known}


def test_a_renewal_starts_the_wait_anew():
    made, known = sweeping(), stored()
    lists(made, 0.0, sync_a=known)
    again = renewed(known, 10.0)
    assert lists(made, 16.0, sync_a=again) == {}
    assert lists(made, 30.9, sync_a=again) == {}
    assert lists(made, 31.0, sync_a=again) == {"sync.a": again}


def test_an_edit_of_an_annotation_is_no_life_and_what_is_deleted_is_the_newest():
    made, known = sweeping(), stored()
    lists(made, 0.0, sync_a=known)
    edited = replace(known, version=9)
    assert lists(made, 15.0, sync_a=edited) == {"sync.a": edited}


def test_another_lease_of_the_same_name_is_another():
    made = sweeping()
    lists(made, 0.0, sync_a=stored())
    assert lists(made, 20.0, sync_a=stored(uid="uid-2")) == {}


def test_one_that_was_away_meanwhile_is_not_known_any_more():
    made, known = sweeping(), stored()
    lists(made, 0.0, sync_a=known)
    lists(made, 20.0)
    assert lists(made, 40.0, sync_a=known) == {}


def test_what_the_store_itself_calls_dead_is_deleted_at_first_sight():
    gone = stored(abandoned=True)
    old = stored(served_at=moment(100.0), written_at=moment(24.0))
    fresh = stored(served_at=moment(100.0), written_at=moment(26.0))
    assert lists(sweeping(), 0.0, sync_a=gone, sync_b=old, sync_c=fresh) == {"sync.a": gone, "sync.b": old}


def test_a_free_one_is_deleted_at_first_sight():
    free = stored("")
    assert lists(sweeping(), 0.0, sync_a=free) == {"sync.a": free}


def test_a_mark_keeps_a_free_one_until_it_is_over_by_the_stores_time():
    kept = stored("", ledger=ledger(DAY), served_at=moment(DAY - 1))
    over = stored("", ledger=ledger(DAY), served_at=moment(DAY))
    assert lists(sweeping(), 0.0, sync_a=kept, sync_b=over) == {"sync.b": over}


def test_where_the_store_tells_no_time_the_hosts_counts():
    made, free = sweeping(), stored("", ledger=ledger(DAY))
    assert lists(made, DAY - 1, sync_a=free) == {}
    assert lists(made, DAY, sync_a=free) == {"sync.a": free}


def test_a_mark_keeps_a_dead_holders_lease_too():
    made, known = sweeping(), stored(ledger=ledger(DAY), served_at=moment(20.0))
    lists(made, 0.0, sync_a=known)
    assert lists(made, 20.0, sync_a=known) == {}
    over = replace(known, served_at=moment(DAY))
    assert lists(made, 40.0, sync_a=over) == {"sync.a": over}


def test_what_cannot_be_read_is_left_alone():
    unreadable = StoreError("rubbish")
    assert lists(sweeping(), 0.0, sync_a=unreadable, sync_b=stored("", ledger="rubbish")) == {}


def test_pages_are_one_list():
    made, known = sweeping(), stored()
    for at in (0.0, 20.0):
        over = made.see({"sync.a": known}, at, WALL) | made.see({"sync.b": known}, at + 0.1, WALL)
        made.end(at + 0.2)
    assert sorted(over) == ["sync.a", "sync.b"]


def test_only_what_the_last_list_showed_is_remembered():
    made = sweeping()
    for round in range(5):
        lists(made, 20.0 * round, **{f"sync_{round}": stored()})
    assert len(made._known) == 1


# When somebody looks


def test_nobody_looks_before_a_key_is_used():
    assert sweeping().due == math.inf


@pytest.mark.parametrize(("chance", "pause"), [(Least(), PAUSE), (Most(), 1.2 * PAUSE)])
def test_the_first_look_comes_a_jittered_while_after_the_first_use(chance, pause):
    made = sweeping(chance)
    assert made.used(100.0)
    assert made.due == pytest.approx(100.0 + pause)


def test_uses_in_between_change_nothing():
    made = sweeping()
    made.used(0.0)
    assert not made.used(19.0)
    assert made.due == PAUSE


def test_two_lists_without_anything_end_it_until_the_next_use():
    made = sweeping()
    made.used(0.0)
    lists(made, 20.0)
    assert made.due == 20.0 + PAUSE
    lists(made, 40.0)
    assert made.due == math.inf
    assert made.used(50.0)
    assert made.due == 50.0 + PAUSE


def test_a_use_in_between_asks_for_two_more():
    made = sweeping()
    made.used(0.0)
    lists(made, 20.0)
    made.used(30.0)
    lists(made, 40.0)
    assert made.due == 40.0 + PAUSE


@pytest.mark.parametrize("left", [stored(), stored(""), stored(abandoned=True)])
def test_what_is_held_or_was_deleted_is_looked_at_again(left):
    made = sweeping()
    made.used(0.0)
    for at in (20.0, 40.0, 60.0):
        lists(made, at, sync_a=left)
        assert made.due == at + PAUSE


def test_for_marks_alone_nobody_looks_before_the_first_is_over():
    made, day = sweeping(), moment(DAY - 1000)
    made.used(0.0)
    for at in (20.0, 40.0):
        lists(made, at, sync_a=stored("", ledger=ledger(DAY), served_at=day), sync_b=stored("", ledger="rubbish"))
    assert made.due == pytest.approx(40.0 + 1000 + PAUSE)


def test_a_longer_lease_is_looked_for_less_often():
    made = sweeping(lease_duration=60)
    made.used(0.0)
    assert made.due == 80.0


def test_an_error_is_tried_again_and_what_was_seen_stays():
    made, known = sweeping(), stored()
    made.used(0.0)
    lists(made, 0.0, sync_a=known)
    made.see({}, 20.0, WALL)
    made.failed(StoreError("no answer"), 20.0)
    assert made.due == 20.0 + PAUSE
    assert lists(made, 40.0, sync_a=known) == {"sync.a": known}


def test_whoever_may_not_list_does_not_for_a_while():
    made = sweeping()
    made.used(0.0)
    made.failed(AccessDenied("403"), 20.0)
    assert made.due == math.inf
    made.used(30.0)
    assert made.due == 20.0 + DENIED_REST
    made.failed(AccessDenied("403"), 620.0)
    made.used(2000.0)
    assert made.due == 2000.0 + PAUSE


def test_a_use_has_the_next_list_come_soon_however_long_marks_count():
    made = sweeping()
    made.used(0.0)
    kept = stored("", ledger=ledger(DAY), served_at=moment(0.0))
    for at in (PAUSE, 2 * PAUSE):
        assert lists(made, at, sync_a=kept) == {}
    assert made.due > DAY
    assert made.used(1000.0)
    assert made.due == 1000.0 + PAUSE
