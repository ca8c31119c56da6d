"""Programs that are started again: what their definitions take from the clock then costs no fire."""

import logging
from datetime import timedelta

import pytest

from apscheduler.events import EVENT_JOB_EXECUTED, EVENT_JOB_MISSED
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from singleton_jobs_apscheduler.schedule import Schedule
from unit.apscheduler.site import DAY, HOUR, KEY, MINUTE, SECOND, leads, now, sql_store, submitted
from unit.apscheduler.work import work

MONTH = 30 * DAY
JOB = {"func": work, "id": "job", "misfire_grace_time": 600, "replace_existing": True}


def at(due, **bounds):
    """Once an hour, at the minute and second of ``due``."""
    return CronTrigger(minute=due.minute, second=due.second, timezone="UTC", **bounds)


LINES = {
    "cron-start": lambda due: at(due, start_date=now()),
    "cron-both": lambda due: at(due, start_date=now(), end_date=now() + MONTH),
    "cron-end": lambda due: at(due, end_date=now() + MONTH),
    "cron-start-soon": lambda due: at(due, start_date=now() + 20 * SECOND),
    "or": lambda due: OrTrigger([at(due, start_date=now()), CronTrigger(month=1, day=1, start_date=now())]),
    "and": lambda due: AndTrigger([at(due, start_date=now()), CronTrigger(second=due.second, timezone="UTC")]),
    "interval-start": lambda due: IntervalTrigger(hours=1, start_date=now(), timezone="UTC"),
    "interval-end": lambda due: IntervalTrigger(hours=1, end_date=now() + MONTH, timezone="UTC"),
    "or-interval": lambda due: OrTrigger([IntervalTrigger(hours=1, start_date=now()), CronTrigger(month=1, day=1)]),
}


@pytest.fixture
def due():
    """Missed two minutes ago."""
    return now().replace(microsecond=0) - 2 * MINUTE


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    if request.param == "memory":
        return MemoryJobStore
    return lambda: sql_store(f"sqlite:///{tmp_path}/jobs.sqlite3")


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_what_was_due_before_the_program_was_started_again_runs_once(make, space, store, due, ran, line, caplog):
    if store is not MemoryJobStore:  # what the program before has left
        space.put("other", "")
        before = make(lease="other", jobstores={"default": store()})
        before.add_job(**JOB, trigger=line(due), next_run_time=due)
        before.start()
    space.mark(due - HOUR)
    caplog.set_level(logging.INFO, "singleton_jobs")
    scheduler = make(jobstores={"default": store()})
    scheduler.add_job(**JOB, trigger=line(due))
    scheduler.start()
    leads(scheduler.leadership)
    scheduler.run(EVENT_JOB_EXECUTED)
    scheduler.look()
    assert [fire and fire.time for _, fire, _ in ran] == [due]
    assert submitted(scheduler) == 1
    assert scheduler.get_job("job").next_run_time == due + HOUR
    told = [record.getMessage() for record in caplog.records if " move" in record.getMessage()]
    assert len(told) <= 1
    if isinstance(line(due), CronTrigger) and (store is not MemoryJobStore or line(due).start_date):
        assert told


def test_a_fire_that_a_moving_start_would_hide_is_told_as_missed_if_it_is_too_old(start, space, due, ran):
    space.mark(due - HOUR)
    scheduler = start({**JOB, "misfire_grace_time": 30, "trigger": at(due, start_date=now())})
    (missed,) = scheduler.run(EVENT_JOB_MISSED)
    assert missed.scheduled_run_time == due
    assert not ran


def test_all_that_was_missed_runs_in_order_and_is_claimed(start, space, due, ran):
    trigger = CronTrigger(second=due.second, start_date=now() + 40 * SECOND, timezone="UTC")
    space.mark(due - 3 * MINUTE)
    scheduler = start({**JOB, "trigger": trigger, "coalesce": False})
    scheduler.run(EVENT_JOB_EXECUTED, 4)
    assert [fire and fire.time for _, fire, _ in ran][:4] == [due + minute * MINUTE for minute in (-2, -1, 0, 1)]
    scheduler.modify_job("job", args=("changed",))
    scheduler.look()
    assert scheduler.get_job("job").next_run_time == due + 3 * MINUTE or len(ran) > 4


def test_a_start_that_is_set_to_next_month_is_obeyed(make, space, store, due, ran):
    start_date = (now() + MONTH).replace(microsecond=0)
    space.mark(due - HOUR)
    for trigger in (at(due), at(due, start_date=start_date)):
        scheduler = make(jobstores={"default": store()})
        scheduler.add_job(**{**JOB, "trigger": trigger})
    scheduler.start()
    leads(scheduler.leadership)
    scheduler.look()
    assert scheduler.get_job("job").next_run_time >= start_date
    assert not submitted(scheduler)


def test_an_interval_in_a_shared_store_whose_start_is_set_to_next_month_is_obeyed(make, space, tmp_path):
    start_date = (now() + MONTH).replace(microsecond=0)
    url = f"sqlite:///{tmp_path}/jobs.sqlite3"
    for bounds in ({}, {"start_date": start_date}):
        scheduler = make(jobstores={"default": sql_store(url)}, lease="nightly" if bounds else "other")
        scheduler.add_job(**JOB, trigger="interval", hours=1, **bounds)
        space.mark(now() - MINUTE)
        scheduler.start()
    leads(scheduler.leadership)
    scheduler.look()
    assert scheduler.get_job("job").next_run_time == start_date


def test_a_start_that_hides_what_was_missed_and_may_have_been_set_is_obeyed_and_told(start, space, due, ran, caplog):
    space.mark(due - HOUR)
    with caplog.at_level(logging.WARNING, "singleton_jobs"):
        scheduler = start({**JOB, "misfire_grace_time": 7200, "trigger": at(due, start_date=now() + 20 * MINUTE)})
        scheduler.look()
    (line,) = [record.getMessage() for record in caplog.records if "start_date" in record.getMessage()]
    assert line.startswith("job job: what it missed before its start_date is not made up for")
    assert not submitted(scheduler)


def test_a_schedule_whose_fields_are_computed_at_each_start_is_another_one_each_time_and_that_is_told(
    make, space, tmp_path, due, caplog
):
    url = f"sqlite:///{tmp_path}/jobs.sqlite3"
    space.put("other", "")
    for minute in (due, due + MINUTE):
        scheduler = make(jobstores={"default": sql_store(url)}, lease="other")
        scheduler.add_job(**JOB, trigger=at(minute))
        with caplog.at_level(logging.INFO, "singleton_jobs"):
            scheduler.start()
    (line,) = [record for record in caplog.records if "not the stored one any more" in record.getMessage()]
    assert line.getMessage().startswith("job job: ")


def test_a_row_keeps_its_first_start_and_takes_the_newest_end(make, tmp_path, due):
    url, rows = f"sqlite:///{tmp_path}/jobs.sqlite3", []
    for _ in range(2):
        scheduler = make(jobstores={"default": sql_store(url)})
        scheduler.add_job(**JOB, trigger=at(due, start_date=now(), end_date=now() + MONTH))
        scheduler.start()
        rows.append(scheduler.get_job("job").trigger)
    assert rows[0].start_date == rows[1].start_date
    assert rows[0].end_date < rows[1].end_date


def test_a_job_that_is_removed_and_added_again_later_is_a_new_definition(start, space, due):
    space.mark(due - HOUR)
    scheduler = start({**JOB, "trigger": at(due)})
    scheduler.look()
    scheduler.remove_job("job")
    scheduler.add_job(**JOB, trigger=at(due, start_date=now() + timedelta(days=9)))
    scheduler.look()
    assert scheduler.get_job("job").next_run_time > now() + 8 * DAY
    mark = scheduler.leadership._part.candidacy.fires.mark(KEY)
    assert Schedule(scheduler.get_job("job").trigger, mark, now()).first(now()) > now() + 8 * DAY
