"""What was once wrong at the edges: zones, moved plans, threads, shutdowns at a bad moment."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from apscheduler.events import EVENT_JOB_EXECUTED, EVENT_JOB_SUBMITTED
from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from singleton_jobs import ConfigError
from singleton_jobs.decisions.ledger import Mark
from singleton_jobs.replica import replica_on
from singleton_jobs_apscheduler import SingletonExecutor, SingletonJobStore, executor, guard
from singleton_jobs_apscheduler.schedule import Schedule, begin
from unit.apscheduler.site import DAY, HOUR, SECOND, Guarded, leads, now
from unit.apscheduler.work import work
from unit.stage import LIMIT, until

TOKYO = ZoneInfo("Asia/Tokyo")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
JOB = {"func": work, "id": "job", "misfire_grace_time": 60}


class Nightly(BaseTrigger):
    """Somebody's own: three in the morning, wherever it is asked."""

    asked = 0

    def get_next_fire_time(self, previous_fire_time, now):
        self.asked += 1
        due = (previous_fire_time or now).replace(hour=3, minute=0, second=0, microsecond=0)
        return due if previous_fire_time is None and due >= now else due + DAY


def test_a_trigger_is_asked_in_the_schedulers_zone():
    first = Schedule(Nightly(), None, NOON.astimezone(TOKYO)).first(NOON)
    assert first.astimezone(TOKYO).hour == 3


def test_a_trigger_inside_another_is_asked_in_its_own_zone():
    inner = CalendarIntervalTrigger(days=2, hour=3, start_date="2026-06-01", timezone=TOKYO)
    schedule = Schedule(OrTrigger([inner]), None, NOON)
    fire = schedule.first(NOON)
    assert schedule.following(fire) - fire == 2 * DAY


def test_a_long_backlog_is_asked_for_once_a_fire():
    trigger = Nightly()
    schedule = Schedule(trigger, Mark(NOON, "n", "d"), NOON + 100 * DAY)
    schedule.following(NOON + 99 * DAY)
    assert trigger.asked == 1 + 1  # and for its zone


def test_a_run_now_soon_after_a_jittered_fire_is_not_that_fire():
    schedule = Schedule(CronTrigger(minute=0, jitter=300, timezone="UTC"), Mark(NOON, "n", "d"), NOON + 60 * SECOND)
    assert schedule.unclaimed(NOON + 60 * SECOND) is None
    assert schedule.unclaimed(NOON + HOUR + 60 * SECOND) == NOON + HOUR


HOURLY = CronTrigger(minute=0, timezone="UTC")


@pytest.mark.parametrize(
    ("planned", "led_until", "due"),
    [
        (NOON + HOUR, NOON + 5 * SECOND, NOON),  # moved on by a leader that then died: nobody has claimed it
        (NOON + HOUR, NOON + 600 * SECOND, NOON + HOUR),  # moved on long before that: by somebody, on purpose
        (NOON, NOON + 600 * SECOND, NOON),  # never moved on
    ],
    ids=["died", "skipped", "waiting"],
)
def test_a_fire_that_was_skipped_on_purpose_stays_skipped(planned, led_until, due):
    start = begin(
        HOURLY, Mark(NOON - HOUR, "n", "d"), planned, NOON + 900 * SECOND, HOUR, shared=True, asked=False,
        led_until=led_until,
    )  # fmt: skip
    assert start.next_run_time == due


def test_a_fire_whose_jitter_is_not_over_was_not_skipped():
    start = begin(
        CronTrigger(minute=0, jitter=3000, timezone="UTC"), Mark(NOON - HOUR, "n", "d"), NOON + 2400 * SECOND,
        NOON + 2460 * SECOND, 2 * HOUR, shared=True, asked=False, led_until=NOON + 2280 * SECOND,
    )  # fmt: skip
    assert NOON <= start.next_run_time <= NOON + 3000 * SECOND


def test_an_alias_that_keys_could_not_be_told_apart_by_is_refused(make):
    with pytest.raises(ConfigError, match="colon"):
        make(
            jobstores={"a:b": SingletonJobStore("memory", "nightly", replica=replica_on(make().leadership._part.core))}
        ).start()


def test_an_executor_with_a_lease_is_refused_once_the_scheduler_runs(replica, shut):
    scheduler = Guarded(timezone="UTC")
    shut.append(scheduler)
    scheduler.start()
    with pytest.raises(ConfigError, match="before"):
        scheduler.add_executor(SingletonExecutor("debug", "nightly", replica=replica), "late")


def test_an_unpatched_gevent_executor_is_refused(make):
    kind = type("GeventExecutor", (DebugExecutor,), {"__module__": "apscheduler.executors.gevent"})
    with pytest.raises(ConfigError, match="patch_all"):
        make(executors={"default": kind()}).start()


def test_a_program_that_is_ending_claims_nothing_for_its_pools(start, space, monkeypatch, ran):
    scheduler = start(executors={"default": ThreadPoolExecutor(1)})
    monkeypatch.setattr(executor, "_exiting", threading.Event())
    executor._exiting.set()
    scheduler.add_job(**JOB)
    scheduler.look()
    assert not space.ledger()
    until(lambda: not scheduler.leadership.is_leader)
    assert not ran


def test_listeners_hear_of_a_submission_on_the_schedulers_thread(start):
    scheduler = start(JOB)
    threads = []
    scheduler.add_listener(lambda event: threads.append(threading.get_ident()), EVENT_JOB_SUBMITTED)
    scheduler.run(EVENT_JOB_EXECUTED)
    scheduler.look()
    assert threads == [threading.get_ident()]


def test_a_run_is_over_once_it_counts_no_more(start, monkeypatch):
    scheduler = start(JOB)
    guarded, fires = scheduler._executors["default"], scheduler._jobstores["default"]._fires
    counts = []
    progressed = fires.progressed

    def note(submission, *, over):
        counts.append((over, guarded._instances.get("job", 0)))
        progressed(submission, over=over)

    monkeypatch.setattr(fires, "progressed", note)
    scheduler.look()
    assert counts == [(False, 1), (True, 0)]


def test_an_executor_that_is_wrapped_while_it_works_goes_on_counting(replica, shut):
    scheduler = Guarded(timezone="UTC")
    shut.append(scheduler)
    scheduler.start()
    inner = scheduler._executors["default"]
    inner._instances["job"] = 1
    scheduler.add_jobstore(SingletonJobStore("memory", "nightly", replica=replica), "once")
    assert scheduler._executors["default"]._instances is inner._instances


def test_claims_of_two_leases_wait_for_nobody_but_themselves(replica, shut):
    stores = {name: SingletonJobStore("memory", name, replica=replica) for name in ("default", "other")}
    scheduler = Guarded(jobstores=stores, timezone="UTC")
    shut.append(scheduler)
    scheduler.start()
    for name, store in stores.items():
        leads(store.leadership)
        scheduler.add_job(**{**JOB, "id": name}, jobstore=name)
    scheduler.look()
    assert len(scheduler._executors["default"]._waiters) == 2


def test_after_a_start_that_failed_a_shutdown_gives_the_lease_back(make):
    scheduler = make()
    scheduler.add_job(**JOB)
    scheduler.add_job(**JOB)  # the same id again
    with pytest.raises(KeyError):
        scheduler.start()
    scheduler._pending_jobs.clear()
    scheduler._jobstores["default"].remove_all_jobs()
    scheduler.start()
    leads(scheduler.leadership)
    scheduler.shutdown()
    until(lambda: not scheduler.leadership.is_leader)


def test_a_job_may_shut_its_scheduler_down(make, ran):
    scheduler = make(executors={"default": ThreadPoolExecutor(1)})
    ended = threading.Event()

    def stop():
        scheduler.shutdown()
        ended.set()

    scheduler.add_job(stop, id="stop", misfire_grace_time=60)
    scheduler.start()
    leads(scheduler.leadership)
    scheduler._process_jobs()
    assert ended.wait(LIMIT)
    until(lambda: not scheduler.leadership.is_leader)


def test_a_scheduler_that_starts_while_another_drains_leads_afterwards(make):
    begun, go = threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert go.wait(LIMIT)

    old, new = make(executors={"default": ThreadPoolExecutor(1)}), make()
    old.add_job(slow, id="slow", misfire_grace_time=60)
    old.start()
    leads(old.leadership)
    old._process_jobs()
    assert begun.wait(LIMIT)
    old.shutdown(wait=False)
    new.start()
    go.set()
    until(lambda: new.leadership.is_leader and not new.leadership._part.candidacy.work.draining)


def on_a_loop(replica, main):
    async def whole():
        scheduler = AsyncIOScheduler(timezone="UTC")
        leadership = guard(scheduler, "nightly", replica=replica)
        scheduler.start()
        assert await leadership.wait_async(LIMIT)
        return await main(scheduler, leadership)

    return asyncio.run(whole())


def test_a_plain_function_that_outlives_a_loops_shutdown_keeps_the_lease(replica):
    begun, go = threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert go.wait(LIMIT)

    async def main(scheduler, leadership):
        scheduler.add_job(slow, id="slow", misfire_grace_time=60)
        assert await asyncio.to_thread(begun.wait, LIMIT)
        scheduler.shutdown()
        while scheduler.running:
            await asyncio.sleep(0)
        for _ in range(10):  # whatever the shutdown has called for
            await asyncio.sleep(0)
        kept = leadership.is_leader and bool(leadership._part.candidacy.work.active)
        go.set()
        return leadership, kept

    leadership, kept = on_a_loop(replica, main)
    assert kept
    until(lambda: not leadership.is_leader)


def test_a_loop_that_ends_without_a_shutdown_gives_the_lease_back(replica):
    async def main(scheduler, leadership):
        return leadership

    leadership = on_a_loop(replica, main)
    leadership._part.candidacy.changed.notify()  # as each renewal does
    until(lambda: not leadership.is_leader)


def test_an_exit_in_the_midst_of_a_submission_ends_the_program(
    start, monkeypatch
):  # APScheduler alone logs it, and goes on
    scheduler = start({"func": work, "trigger": "date", "id": "job", "run_date": now()})

    def exit(*_):
        raise SystemExit(143)

    monkeypatch.setattr(executor.ClaimingExecutor, "_do_submit_job", exit)
    with pytest.raises(SystemExit):
        until(scheduler.look)
    scheduler.look()
