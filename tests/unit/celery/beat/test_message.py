"""What a message carries, from what is known of its fire: pure functions."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from singleton_jobs import Fire
from singleton_jobs_celery.message import bound, expiry, task_id, until
from unit.celery.beat.site import MINUTE, SECOND

NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)
NONE = timedelta(0)


def fire(time=NOON, job="celery:report", uid="u"):
    return Fire(job, time, SimpleNamespace(uid=uid))


def test_a_message_is_good_until_the_next_fire():
    assert expiry(NOON + SECOND, NOON + MINUTE, 15, NONE) == NOON + MINUTE


@pytest.mark.parametrize("following", [NOON + 2 * SECOND, NOON - MINUTE, None])
def test_and_for_as_long_as_a_lease(following):
    assert expiry(NOON, following, 15, NONE) == NOON + 15 * SECOND


def test_a_fire_that_is_claimed_late_leaves_as_much_time():
    assert expiry(NOON + 55 * SECOND, NOON + MINUTE, 15, NONE) == NOON + 70 * SECOND


def test_a_delay_is_added_and_one_that_has_passed_takes_nothing_away():
    assert expiry(NOON, NOON + MINUTE, 15, 90 * SECOND) == NOON + 150 * SECOND
    assert expiry(NOON, NOON + MINUTE, 15, -90 * SECOND) == NOON + MINUTE


def test_sent_four_minutes_late_with_a_countdown_it_is_good_until_after_its_eta():
    claimed, countdown = NOON + 4 * MINUTE, 200 * SECOND
    assert expiry(claimed, NOON + 5 * MINUTE, 15, countdown) > claimed + countdown


FIRST = {"retries": 0, "parent": None, "redelivered": False}


@pytest.mark.parametrize("id", ["id", "an id with blanks"])
def test_the_first_delivery_expires(id):
    assert until(bound(NOON, id), id, **FIRST) == NOON


@pytest.mark.parametrize("other", [{"retries": 1}, {"parent": "id"}, {"redelivered": True}, {"id": "another"}])
def test_nothing_else_does(other):
    assert until(bound(NOON, "id"), **{"id": "id", **FIRST, **other}) is None


def test_the_ids_of_one_fire_differ_and_are_the_same_wherever_they_are_made():
    ids = [task_id(fire(), number) for number in range(4)]
    assert len(set(ids)) == len(ids)
    assert ids == [task_id(fire(), number) for number in range(4)]


def test_ids_tell_fires_entries_and_leases_apart():
    every = [fire(), fire(NOON + SECOND), fire(job="celery:other"), fire(uid="v")]
    assert len({task_id(each, number) for each in every for number in range(2)}) == 2 * len(every)
