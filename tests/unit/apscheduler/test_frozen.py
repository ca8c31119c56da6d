"""The wall clock steps back or stands still under a running leader."""

from datetime import timedelta

import pytest
from freezegun import freeze_time

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.jobstores.memory import MemoryJobStore
from unit.apscheduler.site import KEY, SECOND, Delegate, leads, now
from unit.apscheduler.work import work

JOB = {"func": work, "trigger": "interval", "seconds": 20, "id": "job", "misfire_grace_time": 1800}


@pytest.fixture
def frozen():
    with freeze_time(now(), ignore=["kubernetes"]) as clock:
        yield clock


@pytest.fixture(params=["own", "shared"])
def leader(start, frozen, request):
    return start(JOB, jobstores={"default": MemoryJobStore() if request.param == "own" else Delegate()})


def test_each_interval_fires_once_as_time_goes_by(leader, frozen, ran):
    begun = now()
    for _ in range(41):
        leader.look()
        frozen.tick(SECOND)
    assert [fire.time for _, fire, _ in ran] == [begun + 20 * SECOND, begun + 40 * SECOND]


def test_a_clock_that_steps_back_repeats_no_fire(leader, frozen, ran):
    begun = now()
    leader.look()
    frozen.tick(20 * SECOND)
    leader.run(EVENT_JOB_EXECUTED)
    frozen.tick(-15 * SECOND)
    for _ in range(36):
        leader.look()
        frozen.tick(SECOND)
    assert [fire.time for _, fire, _ in ran] == [begun + 20 * SECOND, begun + 40 * SECOND]


def test_a_new_leader_whose_clock_is_behind_repeats_no_fire(make, make_replica, frozen, ran):
    first, second = (make(on=make_replica()) for _ in range(2))
    begun = now()
    for scheduler in (first, second):
        scheduler.add_job(**JOB)
    first.start()
    leads(first.leadership)
    first.look()
    frozen.tick(20 * SECOND)
    first.run(EVENT_JOB_EXECUTED)
    first.shutdown()
    frozen.tick(-10 * SECOND)
    second.start()
    leads(second.leadership)
    for _ in range(32):
        second.look()
        frozen.tick(SECOND)
    assert [fire.time for _, fire, _ in ran] == [begun + 20 * SECOND, begun + 40 * SECOND]


def test_a_clock_that_jumps_forth_runs_the_latest_missed_fire_with_coalesce(leader, frozen, ran):
    begun = now()
    leader.look()
    frozen.tick(50 * SECOND)
    leader.run(EVENT_JOB_EXECUTED)
    leader.look()
    assert [fire.time for _, fire, _ in ran] == [begun + 40 * SECOND]
    assert leader.leadership._part.candidacy.fires.mark(KEY).fire == begun + 40 * SECOND


def test_the_leader_of_a_shared_store_looks_again_at_the_next_fire_or_the_poll(start, frozen):
    scheduler = start(JOB, jobstores={"default": Delegate()}, poll=timedelta(seconds=15))
    assert scheduler.look() == 15
    frozen.tick(15 * SECOND)
    assert scheduler.look() == 5


def test_the_leader_of_its_own_store_looks_again_at_the_next_fire(start, frozen):
    scheduler = start(JOB, jobstores={"default": MemoryJobStore()}, poll=timedelta(seconds=15))
    assert scheduler.look() == 20
