"""guard(): one line that covers all of a scheduler, whatever is added to it, before or after."""

import pytest

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.blocking import BlockingScheduler
from singleton_jobs import Config, ConfigError, Leadership
from singleton_jobs_apscheduler import SingletonJobStore, guard
from singleton_jobs_apscheduler.executor import ClaimingExecutor
from unit.apscheduler.site import Delegate, Guarded, follows, leads, now
from unit.apscheduler.work import work
from unit.stage import until


def test_a_guard_gives_the_leadership(replica):
    leadership = guard(Guarded(), "nightly", replica=replica)
    assert isinstance(leadership, Leadership)
    assert leadership is replica.leadership("nightly")
    assert leadership._part.candidacy is None


def test_nothing_is_asked_of_the_store_before_the_start(make, space):
    scheduler = make()
    scheduler.add_job(work, id="job")
    assert space.requests == 0
    scheduler.start()
    leads(scheduler.leadership)


@pytest.mark.parametrize("first", ["guard", "job"])
def test_jobs_are_guarded_that_were_added_before_or_after(replica, shut, ran, first):
    scheduler = Guarded(timezone="UTC")
    shut.append(scheduler)
    if first == "job":
        scheduler.add_job(work, id="job")
    leadership = guard(scheduler, "nightly", replica=replica)
    if first == "guard":
        scheduler.add_job(work, id="job")
    scheduler.start()
    leads(leadership)
    scheduler.run(EVENT_JOB_EXECUTED)
    assert ran[0][1].job == "aps:default:job"


@pytest.mark.parametrize("kind", [Guarded, BackgroundScheduler, BlockingScheduler], ids=lambda kind: kind.__name__)
def test_a_guarded_scheduler_is_what_it_was(replica, kind):
    scheduler = kind(timezone="UTC")
    guard(scheduler, "nightly", replica=replica)
    assert isinstance(scheduler, kind)
    assert type(scheduler).__name__ == kind.__name__
    assert type(scheduler).__module__ == kind.__module__
    other = kind(timezone="UTC")
    assert type(other) is kind
    guard(other, "other", replica=replica)
    assert type(other) is type(scheduler)


@pytest.mark.parametrize(
    "bad", [None, "scheduler", object(), BackgroundScheduler], ids=["none", "text", "object", "class"]
)
def test_only_schedulers_are_guarded(replica, bad):
    with pytest.raises(TypeError, match="scheduler of APScheduler 3"):
        guard(bad, "nightly", replica=replica)


@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_a_started_scheduler_is_refused(replica, shut, paused):
    scheduler = Guarded(timezone="UTC")
    shut.append(scheduler)
    scheduler.start(paused=paused)
    with pytest.raises(ConfigError, match=r"before scheduler.start\(\)"):
        guard(scheduler, "nightly", replica=replica)
    assert type(scheduler) is Guarded


@pytest.mark.parametrize("lease", ["nightly", "other"])
def test_a_second_guard_is_refused(replica, lease):
    scheduler = Guarded(timezone="UTC")
    guard(scheduler, "nightly", replica=replica)
    with pytest.raises(ConfigError, match="guarded already"):
        guard(scheduler, lease, replica=replica)


@pytest.mark.parametrize("lease", ["", "UPPER CASE", "-", "a" * 300])
def test_a_bad_lease_name_is_refused(replica, lease):
    scheduler = Guarded(timezone="UTC")
    with pytest.raises(ConfigError):
        guard(scheduler, lease, replica=replica)
    assert type(scheduler) is Guarded


@pytest.mark.parametrize("poll", [0, -1, float("inf"), "1", None], ids=str)
@pytest.mark.parametrize("with_store", [False, True], ids=["bare", "with-store"])
def test_a_bad_poll_is_refused_at_once(replica, poll, with_store):
    scheduler = Guarded(jobstores={"default": MemoryJobStore()} if with_store else {}, timezone="UTC")
    with pytest.raises(ConfigError, match="poll"):
        guard(scheduler, "nightly", replica=replica, poll=poll)
    assert type(scheduler) is Guarded


def test_the_timing_is_that_of_the_guard(replica):
    config = Config(lease_duration=30)
    assert guard(Guarded(), "nightly", config=config, replica=replica)._part.config == config


def test_two_schedulers_of_a_process_may_share_a_lease(make, ran):
    one, two = make(), make()
    assert one.leadership is two.leadership
    one.add_job(work, id="one", jobstore="one")
    two.add_job(work, id="two", jobstore="two")
    one.add_jobstore("memory", "one")
    two.add_jobstore("memory", "two")
    one.start()
    two.start()
    leads(one.leadership)
    one.run(EVENT_JOB_EXECUTED)
    one.shutdown()
    assert one.leadership.is_leader  # the other goes on
    two.run(EVENT_JOB_EXECUTED)
    assert [fire.job for _, fire, _ in ran] == ["aps:one:one", "aps:two:two"]
    two.shutdown()
    assert not one.leadership.is_leader


# stores and executors


def test_stores_and_executors_that_are_there_are_guarded(make):
    scheduler = make(
        jobstores={"default": MemoryJobStore(), "other": {"type": "memory"}},
        executors={"default": DebugExecutor(), "pool": {"type": "threadpool", "max_workers": 1}},
    )
    scheduler.start()
    assert {alias: type(store) for alias, store in scheduler._jobstores.items()} == {
        "default": SingletonJobStore,
        "other": SingletonJobStore,
    }
    assert {alias: type(executor) for alias, executor in scheduler._executors.items()} == {
        "default": ClaimingExecutor,
        "pool": ClaimingExecutor,
    }


@pytest.mark.parametrize("store", ["memory", MemoryJobStore()], ids=["alias", "instance"])
@pytest.mark.parametrize("started", [False, True], ids=["before-start", "after-start"])
def test_stores_and_executors_that_are_added_later_are_guarded(make, store, started, ran):
    scheduler = make()
    if started:
        scheduler.start()
    scheduler.add_jobstore(store, "late")
    scheduler.add_executor("debug", "late")
    if not started:
        scheduler.start()
    leads(scheduler.leadership)
    scheduler.add_job(work, id="job", jobstore="late", executor="late")
    scheduler.run(EVENT_JOB_EXECUTED)
    assert ran[0][1].job == "aps:late:job"
    scheduler.remove_jobstore("late")
    scheduler.remove_executor("late")
    assert scheduler.get_jobs() == []


def test_an_alias_that_is_taken_is_refused(make):
    scheduler = make(jobstores={"default": MemoryJobStore()}, executors={"default": DebugExecutor()})
    with pytest.raises(ValueError, match="already has a job store"):
        scheduler.add_jobstore("memory")
    with pytest.raises(ValueError, match="already has an executor"):
        scheduler.add_executor("debug")


@pytest.mark.parametrize("wrong", [None, object()], ids=["none", "object"])
def test_what_is_no_store_or_executor_is_refused(make, wrong):
    scheduler = make()
    with pytest.raises(TypeError):
        scheduler.add_jobstore(wrong)
    with pytest.raises(TypeError):
        scheduler.add_executor(wrong)


def test_configure_after_the_guard_keeps_it(make, ran):
    scheduler = make()
    scheduler.configure(
        jobstores={"default": MemoryJobStore()}, executors={"default": DebugExecutor()}, timezone="Europe/Berlin"
    )
    scheduler.add_job(work, id="job")
    scheduler.start()
    leads(scheduler.leadership)
    scheduler.run(EVENT_JOB_EXECUTED)
    assert ran[0][1].job == "aps:default:job"


def test_a_store_of_the_same_lease_is_taken_as_it_is(replica, shut):
    store = SingletonJobStore("memory", "nightly", replica=replica)
    scheduler = Guarded(jobstores={"default": store}, timezone="UTC")
    shut.append(scheduler)
    guard(scheduler, "nightly", replica=replica)
    assert scheduler._jobstores["default"] is store


@pytest.mark.parametrize("first", ["guard", "store"])
def test_a_store_of_another_lease_is_refused(replica, first):
    store = SingletonJobStore("memory", "other", replica=replica)
    scheduler = Guarded(timezone="UTC")
    with pytest.raises(ConfigError, match="(?s)nightly.*other"):
        if first == "guard":
            guard(scheduler, "nightly", replica=replica)
            scheduler.add_jobstore(store)
        else:
            scheduler.add_jobstore(store)
            guard(scheduler, "nightly", replica=replica)
    if first == "store":
        assert type(scheduler) is Guarded


def test_a_guard_that_is_refused_changes_nothing(replica):
    scheduler = Guarded(jobstores={"default": MemoryJobStore()}, executors={"default": DebugExecutor()})
    scheduler.add_job(work, "cron")
    with pytest.raises(ConfigError):
        guard(scheduler, "nightly", replica=replica)
    assert type(scheduler._jobstores["default"]) is MemoryJobStore
    assert type(scheduler._executors["default"]) is DebugExecutor


# a singleton store beside others


def test_a_plain_store_beside_a_singleton_one_runs_everywhere(make_replica, shut, space, ran):
    space.put("nightly", "other_1")
    scheduler = Guarded(
        jobstores={
            "default": MemoryJobStore(),
            "single": SingletonJobStore("memory", "nightly", replica=make_replica()),
        },
        timezone="UTC",
    )
    shut.append(scheduler)
    scheduler.add_job(work, args=("everywhere",))
    scheduler.add_job(work, args=("once",), id="job", jobstore="single")
    scheduler.start()
    follows(scheduler._jobstores["single"].leadership)
    scheduler.run(EVENT_JOB_EXECUTED)
    assert ran == [(("everywhere",), None, None)]


def test_the_last_pass_after_a_shutdown_leaves_a_plain_store_alone_too(replica, shut):
    plain = Delegate()
    single = SingletonJobStore("memory", "nightly", replica=replica)
    scheduler = Guarded(jobstores={"default": plain, "single": single}, timezone="UTC")
    shut.append(scheduler)
    scheduler.add_job(work, "date", run_date=now())
    scheduler.start()
    scheduler.shutdown()
    before = list(plain.calls)
    assert scheduler.look() is None
    assert plain.calls == before


def test_singleton_stores_of_two_leases_run_where_each_is_led(make_replica, shut, space, ran):
    space.put("away", "other_1")
    replica = make_replica()
    scheduler = Guarded(timezone="UTC")
    shut.append(scheduler)
    for lease in ("here", "away"):
        scheduler.add_jobstore(SingletonJobStore("memory", lease, replica=replica), lease)
        scheduler.add_job(work, id=lease, jobstore=lease)
    scheduler.start()
    follows(scheduler._jobstores["away"].leadership)
    leads(scheduler._jobstores["here"].leadership)
    scheduler.run(EVENT_JOB_EXECUTED)
    assert [fire.job for _, fire, _ in ran] == ["aps:here:here"]


def test_a_singleton_store_added_to_a_running_scheduler_competes(replica, shut, ran):
    scheduler = Guarded(timezone="UTC", executors={"default": ThreadPoolExecutor(1)})
    shut.append(scheduler)
    scheduler.start()
    store = SingletonJobStore("memory", "nightly", replica=replica)
    scheduler.add_jobstore(store, "single")
    leads(store.leadership)
    scheduler.add_job(work, id="job", jobstore="single")
    scheduler.run(EVENT_JOB_EXECUTED)
    assert ran[0][1].job == "aps:single:job"


# shutdown


def test_a_shutdown_gives_the_lease_back(start, space):
    scheduler = start()
    scheduler.shutdown()
    assert not scheduler.leadership.is_leader
    assert space.holder("nightly") == ""


def test_a_shutdown_of_a_scheduler_that_never_ran_asks_nothing(make, space):
    scheduler = make()
    scheduler.start(paused=True)
    scheduler.shutdown()
    assert space.requests == 0


def test_a_scheduler_may_be_started_again(start, ran):
    scheduler = start()
    scheduler.shutdown()
    scheduler.add_job(work, id="job")
    scheduler.start()
    leads(scheduler.leadership)
    scheduler.run(EVENT_JOB_EXECUTED)
    assert len(ran) == 1


def test_two_replicas_of_one_program_take_turns(make, make_replica, ran):
    first, second = (make(on=make_replica()) for _ in range(2))
    when = now()
    for scheduler in (first, second):
        scheduler.add_job(work, "date", run_date=when, id="job", misfire_grace_time=60)
    first.start()
    leads(first.leadership)
    second.start()
    follows(second.leadership)
    second.look()
    first.run(EVENT_JOB_EXECUTED)
    first.shutdown()
    leads(second.leadership)
    second.look()
    assert second.get_jobs() == []
    assert not second.events(EVENT_JOB_EXECUTED)
    assert len(ran) == 1


def test_background_and_guard_run_by_themselves(replica, shut, ran):
    scheduler = BackgroundScheduler(timezone="UTC", executors={"default": DebugExecutor()})
    leadership = guard(scheduler, "nightly", replica=replica)
    scheduler.add_job(work, id="job", misfire_grace_time=60)
    scheduler.start()
    shut.append(scheduler)
    leads(leadership)
    until(lambda: ran and not leadership._part.candidacy.work.active)
    until(lambda: not scheduler._jobstores["default"]._inner.store.get_all_jobs())
    assert ran[0][1].job == "aps:default:job"
