"""Jobs that are added: their ids, their grace, and what becomes of those that are there already."""

import logging
import uuid

import pytest

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.jobstores.memory import MemoryJobStore
from singleton_jobs import Config, ConfigError
from singleton_jobs_apscheduler import SingletonJobStore, guard
from unit.apscheduler.site import (
    DAY,
    HOUR,
    KEY,
    MINUTE,
    NEEDED,
    SECOND,
    Delegate,
    Guarded,
    follows,
    leads,
    now,
    submitted,
)
from unit.apscheduler.work import work

INTERVAL = {"func": work, "trigger": "interval", "id": "job", "misfire_grace_time": 1800}
GENERATED = uuid.uuid4().hex


@pytest.fixture
def plain(replica, shut):
    """A scheduler one of whose stores is a singleton one, and that is not guarded otherwise."""
    scheduler = Guarded(timezone="UTC")
    shut.append(scheduler)
    scheduler.add_jobstore(SingletonJobStore("memory", "nightly", replica=replica), "single")
    return scheduler


# ids


@pytest.mark.parametrize("id", [None, GENERATED], ids=["none", "generated"])
def test_a_guarded_scheduler_refuses_a_job_without_an_id_of_its_own(make, id):
    scheduler = make()
    with pytest.raises(ConfigError, match=r'add_job\(work, …, id="work"\)'):
        scheduler.add_job(work, "cron", id=id)
    assert scheduler.get_jobs() == []


@pytest.mark.parametrize("id", [None, GENERATED], ids=["none", "generated"])
def test_a_running_guarded_scheduler_refuses_it_too(start, id):
    scheduler = start()
    with pytest.raises(ConfigError, match="id"):
        scheduler.add_job(work, "cron", id=id)
    assert scheduler.get_jobs() == []


def test_a_decorated_job_needs_an_id(make):
    scheduler = make()
    with pytest.raises(ConfigError, match='id="work"'):
        scheduler.scheduled_job("cron")(work)
    assert scheduler.scheduled_job("cron", id="job")(work) is work


def test_a_guard_refuses_a_scheduler_with_a_job_without_an_id(replica):
    scheduler = Guarded(timezone="UTC")
    scheduler.add_job(work, "cron", id="fine")
    scheduler.add_job(work, "cron")
    with pytest.raises(ConfigError, match='id="work"'):
        guard(scheduler, "nightly", replica=replica)
    assert type(scheduler) is Guarded


def test_a_singleton_store_refuses_a_job_without_an_id_at_the_start(plain):
    plain.add_job(work, "cron", jobstore="single")
    with pytest.raises(ConfigError, match='id="work"'):
        plain.start()


def test_a_singleton_store_of_a_running_scheduler_refuses_it_at_once(plain):
    plain.start()
    with pytest.raises(ConfigError, match='id="work"'):
        plain.add_job(work, "cron", jobstore="single")
    with pytest.raises(ConfigError, match='id="work"'):
        plain.scheduled_job("cron", jobstore="single")(work)
    assert plain.get_jobs() == []


def test_other_stores_take_jobs_without_ids(plain):
    plain.start()
    plain.add_job(work, "cron")
    assert len(plain.get_jobs()) == 1


def test_a_job_given_by_its_text_names_its_function(make):
    with pytest.raises(ConfigError, match=r'add_job\(work, …, id="work"\)'):
        make().add_job("unit.apscheduler.work:work", "cron")


def test_an_id_that_only_looks_random_is_the_programs_own(make):
    scheduler = make()
    scheduler.add_job(work, "cron", id="0123456789abcdef")
    scheduler.add_job(work, "cron", id=GENERATED + "-nightly")
    assert len(scheduler.get_jobs()) == 2


@pytest.mark.parametrize("id", ["", "line\nbreak", "x" * 300], ids=["empty", "newline", "long"])
def test_an_id_that_no_ledger_takes_is_refused(make, id):
    with pytest.raises((ConfigError, TypeError)):
        make().add_job(work, "cron", id=id)


# grace


def test_a_job_without_a_grace_gets_one_that_outlives_a_take_over(start, caplog):
    with caplog.at_level(logging.INFO, "singleton_jobs"):
        scheduler = start({"func": work, "trigger": "cron", "id": "job"})
    assert scheduler.get_job("job").misfire_grace_time == NEEDED
    (line,) = [record for record in caplog.records if "misfire_grace_time" in record.getMessage()]
    assert line.levelno == logging.INFO
    assert f"{NEEDED} s" in line.getMessage()


@pytest.mark.parametrize("given", ["job", "scheduler"])
def test_a_grace_that_is_too_short_is_kept_and_warned_of_once(make, clock, given, caplog):
    defaults = {"misfire_grace_time": 5} if given == "scheduler" else {}
    own = {"misfire_grace_time": 5} if given == "job" else {}
    scheduler = make(job_defaults=defaults)
    scheduler.add_job(work, "cron", id="job", **own)
    with caplog.at_level(logging.INFO, "singleton_jobs"):
        scheduler.start()
        leads(scheduler.leadership)
        scheduler.look()
        scheduler.look()
    assert scheduler.get_job("job").misfire_grace_time == 5
    (line,) = [record for record in caplog.records if "misfire_grace_time" in record.getMessage()]
    assert line.levelno == logging.WARNING
    assert "5 s" in line.getMessage()
    assert str(NEEDED) in line.getMessage()


@pytest.mark.parametrize("grace", [None, NEEDED, 3600], ids=["unlimited", "just-enough", "hour"])
def test_a_grace_that_is_long_enough_is_not_mentioned(start, grace, caplog):
    with caplog.at_level(logging.INFO, "singleton_jobs"):
        scheduler = start({"func": work, "trigger": "cron", "id": "job", "misfire_grace_time": grace})
        scheduler.look()
    assert scheduler.get_job("job").misfire_grace_time == grace
    assert not [record for record in caplog.records if "misfire_grace_time" in record.getMessage()]


def test_the_schedulers_own_default_grace_is_used(start):
    scheduler = start({"func": work, "trigger": "cron", "id": "job"}, job_defaults={"misfire_grace_time": 900})
    assert scheduler.get_job("job").misfire_grace_time == 900


def test_the_grace_needed_grows_with_the_lease_duration(make, make_replica):
    scheduler = make(on=make_replica(config=Config(lease_duration=60, retry_period=5)))
    scheduler.add_job(work, "cron", id="job")
    scheduler.start()
    assert scheduler.get_job("job").misfire_grace_time == 76


def test_a_short_grace_of_a_row_that_another_replica_wrote_is_warned_of(start, make_replica, caplog):
    inner = Delegate()
    start({**INTERVAL, "hours": 1, "misfire_grace_time": 5}, jobstores={"default": inner}, lease="other")
    caplog.clear()
    with caplog.at_level(logging.WARNING, "singleton_jobs"):
        start(jobstores={"default": inner}).look()
    (line,) = [record for record in caplog.records if "misfire_grace_time" in record.getMessage()]
    assert str(NEEDED) in line.getMessage()


# in place of others


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_an_unchanged_job_that_is_added_again_keeps_its_next_run_time(start, shared):
    store = Delegate() if shared else MemoryJobStore()
    scheduler = start({**INTERVAL, "hours": 1}, jobstores={"default": store})
    scheduler.look()
    before = scheduler.get_job("job")
    when = before.next_run_time
    scheduler.add_job(**INTERVAL, hours=1, replace_existing=True)
    scheduler.look()
    assert scheduler.get_job("job").next_run_time == when


def test_an_unchanged_job_that_is_added_again_while_its_fire_is_due_still_runs(make, space, ran):
    mark = now() - HOUR - SECOND
    space.mark(mark)
    space.put("other", "")
    inner = Delegate()
    first = make(lease="other", jobstores={"default": inner})
    first.add_job(**INTERVAL, hours=1, start_date=mark, next_run_time=mark + HOUR)
    first.start()
    leads(first.leadership)
    second = make(jobstores={"default": inner})
    second.add_job(**INTERVAL, hours=1, replace_existing=True)
    second.start()
    leads(second.leadership)
    second.run(EVENT_JOB_EXECUTED)
    assert [fire.time for _, fire, _ in ran] == [mark + HOUR]


def test_a_paused_job_that_is_added_again_stays_paused(start):
    scheduler = start({**INTERVAL, "hours": 1}, jobstores={"default": Delegate()})
    scheduler.pause_job("job")
    scheduler.add_job(**INTERVAL, hours=1, replace_existing=True)
    assert scheduler.get_job("job").next_run_time is None


def test_a_job_that_is_added_again_runs_with_its_new_arguments(start, space, ran):
    space.mark(now() - HOUR - SECOND)
    scheduler = start({**INTERVAL, "hours": 1, "args": ("old",)})
    scheduler.add_job(**INTERVAL, hours=1, args=("new",), replace_existing=True)
    scheduler.run(EVENT_JOB_EXECUTED)
    assert [args for args, _, _ in ran] == [("new",)]


def test_a_changed_schedule_takes_effect_from_the_mark_on(start, space, ran):
    mark = now() - 10 * MINUTE
    space.mark(mark)
    scheduler = start({**INTERVAL, "hours": 1}, jobstores={"default": Delegate()})
    scheduler.look()
    scheduler.add_job(**INTERVAL, minutes=15, replace_existing=True)
    scheduler.look()
    assert scheduler.get_job("job").next_run_time == mark + 15 * MINUTE
    assert not ran


def test_a_changed_schedule_does_not_run_what_it_would_have_missed(start, space, ran):
    space.mark(now() - 10 * DAY)
    scheduler = start({**INTERVAL, "weeks": 3}, jobstores={"default": Delegate()})
    scheduler.look()
    scheduler.add_job(**{**INTERVAL, "trigger": "cron"}, minute=(now() + HOUR / 2).minute, replace_existing=True)
    scheduler.look()
    assert now() < scheduler.get_job("job").next_run_time <= now() + HOUR
    assert not submitted(scheduler)


def test_a_follower_that_adds_a_job_again_leaves_the_row_as_it_is(make, make_replica):
    inner = Delegate()
    leader, follower = (make(on=make_replica(), jobstores={"default": inner}) for _ in range(2))
    leader.add_job(**INTERVAL, hours=1)
    leader.start()
    leads(leader.leadership)
    leader.look()
    when = inner.rows.lookup_job("job").next_run_time
    follower.add_job(**INTERVAL, hours=1, replace_existing=True)
    inner.calls.clear()
    follower.start()
    follows(follower.leadership)
    assert "update_job" not in inner.calls  # the leader may have moved it on since it was read
    assert inner.rows.lookup_job("job").next_run_time == when


def test_a_follower_that_adds_a_job_again_with_other_arguments_changes_the_row(make, make_replica):
    inner = Delegate()
    leader, follower = (make(on=make_replica(), jobstores={"default": inner}) for _ in range(2))
    leader.add_job(**INTERVAL, hours=1)
    leader.start()
    leads(leader.leadership)
    leader.look()
    when = inner.rows.lookup_job("job").next_run_time
    follower.add_job(**INTERVAL, hours=1, args=("new",), replace_existing=True)
    follower.start()
    row = inner.rows.lookup_job("job")
    assert (row.args, row.next_run_time) == (("new",), when)


def test_a_job_that_a_follower_adds_to_a_shared_store_is_run_by_the_leader(make, make_replica, ran):
    inner = Delegate()
    leader, follower = (make(on=make_replica(), jobstores={"default": inner}) for _ in range(2))
    leader.start()
    leads(leader.leadership)
    assert leader.look() <= 1
    follower.start()
    follows(follower.leadership)
    follower.add_job(work, id="job")
    follower.look()
    leader.run(EVENT_JOB_EXECUTED)
    assert len(ran) == 1
    assert leader.leadership._part.candidacy.fires.mark(KEY)
    leader.look()
    assert inner.rows.get_all_jobs() == []


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_a_first_run_that_was_asked_for_is_run_at_once(start, ran, shared):
    asked = now()
    store = Delegate() if shared else MemoryJobStore()
    scheduler = start({**INTERVAL, "hours": 1, "next_run_time": asked}, jobstores={"default": store})
    scheduler.run(EVENT_JOB_EXECUTED)
    assert len(ran) == 1
    assert scheduler.get_job("job").next_run_time == asked + HOUR
    assert scheduler.leadership._part.candidacy.fires.mark(KEY).fire == asked


def test_a_first_run_that_every_replica_asks_for_is_not_run_by_the_next_leader_too(make, make_replica, ran):
    first, second = (make(on=make_replica()) for _ in range(2))
    first.add_job(**INTERVAL, hours=1, next_run_time=now())
    first.start()
    leads(first.leadership)
    first.run(EVENT_JOB_EXECUTED)
    second.add_job(**INTERVAL, hours=1, next_run_time=now())
    second.start()
    first.shutdown()
    leads(second.leadership)
    second.look()
    assert len(ran) == 1
    assert second.get_job("job").next_run_time > now() + 50 * MINUTE
