"""A job in another process knows its fire and its term."""

import asyncio
import os
import pickle
from datetime import UTC, datetime

import pytest

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED
from apscheduler.executors.pool import ProcessPoolExecutor
from singleton_jobs import Fire, current_fire
from singleton_jobs_apscheduler.runs import NOT_RUN, Run, Runs, guarded, run_in_process
from unit.apscheduler import work as programs
from unit.apscheduler.site import HOUR, KEY, SECOND, now, submitted
from unit.apscheduler.work import Worker, tell, work, work_async
from unit.stage import QUICK, seen_by, until

WHEN = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def term(start):
    return start().leadership.term


def runs(term, *times):
    return Runs([Run(time, term, Fire(KEY, time, term)) for time in times])


def test_a_pools_process_runs_jobs_under_copies_of_their_fire_and_term(start, space):
    mark = now() - HOUR - SECOND
    space.mark(mark)
    scheduler = start(
        {"func": tell, "trigger": "interval", "hours": 1, "id": "job", "misfire_grace_time": 1800},
        {"func": Worker("method").tell, "id": "method", "misfire_grace_time": 60},
        {"func": work, "id": "bad", "args": (lambda: None,), "misfire_grace_time": 60},
        executors={"default": ProcessPoolExecutor(1)},
    )
    scheduler.look()
    scheduler.wait_for(lambda: len(scheduler.events(EVENT_JOB_EXECUTED)) == 2)
    got = {event.job_id: event.retval for event in scheduler.events(EVENT_JOB_EXECUTED)}
    pid, key, time, valid, token = got["job"]
    assert pid != os.getpid()
    assert (key, time, valid) == (KEY, mark + HOUR, True)
    assert token == scheduler.leadership.term.fencing_token
    assert got["method"] == ("method", "aps:default:method")
    until(lambda: not scheduler.leadership._part.candidacy.work.active)  # also the one that no process can be told of
    assert not scheduler.events(EVENT_JOB_ERROR)
    until(lambda: space.ledger()[KEY].state == "d")
    scheduler.shutdown()


def test_what_a_process_is_told_survives_the_way_there(term):
    there = pickle.loads(pickle.dumps(runs(term, WHEN, WHEN + HOUR)))
    assert list(there) == [WHEN, WHEN + HOUR]
    assert there.current.fire.time == WHEN + HOUR
    assert there.current.term.is_valid
    assert pickle.loads(pickle.dumps(NOT_RUN)) is NOT_RUN


def test_each_run_of_one_submission_has_its_own_fire(term):
    both = runs(term, WHEN, WHEN + HOUR)
    for _ in both:
        assert run_in_process(both, "unit.apscheduler.work:work", 7) == "worked"
    assert [(args, fire.time) for args, fire, _ in programs.RAN] == [((7,), WHEN), ((7,), WHEN + HOUR)]
    assert current_fire() is None


def test_what_cannot_be_brought_back_stays_in_its_process(term, caplog):
    given = runs(term, WHEN)
    assert run_in_process(given, "unit.apscheduler.work:give_lock") is None
    assert "give_lock" in caplog.text
    with pytest.raises(RuntimeError, match="^unit.apscheduler.work.Torn: a hole in the bag$") as caught:
        run_in_process(given, "unit.apscheduler.work:tear")
    assert caught.traceback[-1].name == "tear"
    with pytest.raises(ValueError, match="no good"):
        run_in_process(given, "unit.apscheduler.work:fail")


def test_a_copy_of_an_ended_term_does_not_start_a_run(start, clock, space):
    leadership = start().leadership
    given = runs(leadership.term, WHEN)
    space.fault = "down"
    clock.push(QUICK.lease_duration)
    seen_by(leadership._part.candidacy, lambda: leadership._part.candidacy.term is None)
    assert run_in_process(pickle.loads(pickle.dumps(given)), "unit.apscheduler.work:work") is NOT_RUN
    assert not programs.RAN


def test_a_coroutine_does_not_start_under_an_ended_term(start, clock, space):
    leadership = start().leadership
    given = runs(leadership.term, WHEN)
    assert asyncio.run(guarded(work_async, given)(1)) == "worked"
    space.fault = "down"
    clock.push(QUICK.lease_duration)
    seen_by(leadership._part.candidacy, lambda: leadership._part.candidacy.term is None)
    assert asyncio.run(guarded(work_async, given)(2)) is NOT_RUN
    assert [args for args, _, _ in programs.RAN] == [(1,)]


def test_a_run_that_an_outdated_copy_kept_from_starting_is_handed_over_again(start, space, ran):
    """A pool's process was slow to begin: its copy of the term had run out, the term itself goes on."""
    from apscheduler.events import JobExecutionEvent
    from unit.apscheduler.site import Held

    mark = now() - HOUR - SECOND
    space.mark(mark)
    held = Held()
    scheduler = start(
        {"func": work, "trigger": "interval", "hours": 1, "id": "job", "misfire_grace_time": 1800},
        executors={"default": held},
    )
    scheduler.look()
    held.wait_given()
    job, times = held.given.pop(0)
    (time,) = list(times)
    held._run_job_success(job.id, [JobExecutionEvent(EVENT_JOB_EXECUTED, job.id, "default", time, retval=NOT_RUN)])
    assert not scheduler.events(EVENT_JOB_EXECUTED)
    assert scheduler.leadership._part.candidacy.work.active
    held.let_go()
    assert [fire.time for _, fire, _ in ran] == [mark + HOUR]
    assert len(scheduler.wait_events(EVENT_JOB_EXECUTED)) == 1
    assert not scheduler.leadership._part.candidacy.work.active
    assert scheduler._executors["default"]._instances == {}
    scheduler.look()
    assert submitted(scheduler) == 1  # listeners hear of it once


def test_a_coroutine_function_is_refused_by_a_process_pool(start, caplog):
    scheduler = start({"func": work_async, "id": "job"}, executors={"default": ProcessPoolExecutor(1)})
    scheduler.look()
    assert any("AsyncIOExecutor" in str(record.exc_info) + record.getMessage() for record in caplog.records)
    assert not scheduler.events(EVENT_JOB_EXECUTED)
