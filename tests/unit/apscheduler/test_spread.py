"""Jobs that any replica may run, each fire on one, under a lease of their own."""

import asyncio

import pytest

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_MISSED, EVENT_JOB_REMOVED
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from singleton_jobs import ConfigError, current_fire
from singleton_jobs.decisions.ledger import Attempt
from singleton_jobs.events import FireEnded, FireInterrupted, MarkLowered, TermEnded, TermStarted
from singleton_jobs_apscheduler import SingletonJobStore, Spread, guard
from singleton_jobs_apscheduler.spread_fires import worker
from unit.apscheduler import work as work_module
from unit.apscheduler.site import HOUR, KEY, MINUTE, SECOND, Delegate, Guarded, Held, now
from unit.apscheduler.work import fail, work, work_async
from unit.stage import in_thread, until

LEASE = "nightly.job"
JOB = {"func": work, "trigger": "interval", "hours": 1, "id": "job", "misfire_grace_time": 1800}


@pytest.fixture
def make(make_replica, heard, shut):
    """`make(**the scheduler's options)`: a spread scheduler on a replica of its own, not started."""

    def make(on=None, kind=Guarded, poll=1.0, interrupted="skip", max_attempts=3, **options):
        scheduler = kind(timezone="UTC", **options)
        shut.append(scheduler)
        replica = on or make_replica(hooks=[heard])
        scheduler.spread = guard(
            scheduler,
            "nightly",
            spread=True,
            replica=replica,
            poll=poll,
            interrupted=interrupted,
            max_attempts=max_attempts,
        )
        scheduler.replica = replica
        return scheduler

    return make


@pytest.fixture
def start(make):
    """`start(*jobs, **options)`: a spread scheduler at work; each job is the arguments of ``add_job``."""

    def start(*jobs, **options):
        scheduler = make(**options)
        for job in jobs or (JOB,):
            scheduler.add_job(**job)
        scheduler.start()
        return scheduler

    return start


@pytest.fixture(autouse=True)
def faults(caplog):
    """A pass that fails is tried again, and would go unseen."""
    yield
    assert not [record.getMessage() for record in caplog.records if "Error" in record.getMessage() or record.exc_info]


@pytest.fixture
def held():
    return Held()


@pytest.fixture
def due(space):
    """The job has a mark of ``ago``, so that its next fire was due an hour after that."""

    def due(ago=HOUR + 10 * SECOND, lease=LEASE, key=KEY, **more):
        fire = now() - ago
        space.mark(fire, key, lease=lease, **more)
        return fire + HOUR

    return due


def mark(space, key=KEY, lease=LEASE):
    return space.ledger(lease).get(key)


def fires(ran):
    return [fire.time for _, fire, _ in ran]


def ran_and_released(space, ran, number=1, lease=LEASE):
    return lambda: len(ran) >= number and space.holder(lease) == "" and mark(space, lease=lease).state == "d"


def is_free(space, lease=LEASE):
    return lease in space.leases and space.holder(lease) == ""


class AtOnce:
    """Does what the worker is to do before whoever asks for it goes on."""

    def submit(self, task):
        task()


def seen(scheduler, job="job"):
    """How the lease of that job was last seen."""
    return scheduler._jobstores["default"]._leases.get(job).candidacy.candidate.seen


def plan(scheduler, job="job"):
    return scheduler.get_job(job).next_run_time


# One fire


def test_a_due_fire_is_claimed_run_and_marked_as_done_and_the_lease_is_free(space, start, due, ran):
    fire = due()
    scheduler = start()
    scheduler.serve(ran_and_released(space, ran))
    assert fires(ran) == [fire]
    found = mark(space)
    assert (found.fire, found.state, found.by) == (fire, "d", scheduler.spread.identity)


def test_it_takes_two_writes(space, start, due, ran):
    due()
    scheduler = start(poll=60)
    version = space._version
    scheduler.serve(ran_and_released(space, ran))
    assert space._version == version + 2


def test_the_job_knows_its_fire_and_a_term_that_is_valid(space, start, due):
    fire = due()
    seen = []

    def look():
        found = current_fire()
        seen.append((found.time, found.job, found.term.is_valid, space.holder(LEASE)))

    scheduler = start({**JOB, "func": look})
    scheduler.serve(lambda: seen)
    assert seen == [(fire, KEY, True, scheduler.spread.identity)]


def test_the_next_fire_follows_the_one_that_was_run(space, start, due, ran):
    fire = due()
    scheduler = start()
    scheduler.serve(ran_and_released(space, ran))
    scheduler.serve(lambda: plan(scheduler) == fire + HOUR)


def test_listeners_hear_of_the_run(start, due):
    due()
    assert start().run(EVENT_JOB_EXECUTED)[0].job_id == "job"


def test_a_run_that_raises_has_had_its_fire(space, start, due, ran, heard, caplog):
    due()
    scheduler = start({**JOB, "func": fail})
    scheduler.run(EVENT_JOB_ERROR)
    scheduler.serve(ran_and_released(space, ran))
    assert not heard.wait_for(FireEnded).ok
    caplog.clear()


def test_fires_that_were_missed_are_made_up_for_within_the_grace(space, start, due, ran):
    fire = due(3 * HOUR + 10 * SECOND)  # the fires of two hours, one hour and ten seconds ago
    scheduler = start({**JOB, "misfire_grace_time": 2 * 3600, "coalesce": False})
    scheduler.serve(lambda: len(ran) == 2)
    assert fires(ran) == [fire + HOUR, fire + 2 * HOUR]
    assert mark(space).fire == fire + 2 * HOUR


def test_fires_that_were_missed_are_run_as_one_if_they_are_coalesced(space, start, due, ran):
    fire = due(3 * HOUR + 10 * SECOND)
    scheduler = start({**JOB, "misfire_grace_time": 3 * 3600, "coalesce": True})
    scheduler.serve(ran_and_released(space, ran))
    assert fires(ran) == [fire + 2 * HOUR]


def test_what_was_missed_for_longer_than_the_grace_is_told_as_missed(space, start, due, ran):
    due(2 * HOUR - 10 * SECOND)
    scheduler = start({**JOB, "misfire_grace_time": 60})
    assert scheduler.run(EVENT_JOB_MISSED)
    assert ran == []


# A new job


def test_a_new_job_begins_now_and_that_is_kept(space, start, ran):
    scheduler = start()
    scheduler.serve(lambda: is_free(space) and mark(space))
    assert mark(space).nonce == ""
    assert abs(plan(scheduler) - mark(space).fire - HOUR) < SECOND
    assert ran == []


def test_a_restart_does_not_begin_the_interval_of_a_new_job_anew(space, start, make):
    first = start()
    first.serve(lambda: is_free(space) and mark(space))
    planned = plan(first)
    first.shutdown()
    second = start()
    second.serve(lambda: abs(plan(second) - planned) < 0.001 * SECOND)


def test_its_first_fire_is_run(space, start, ran):
    scheduler = start({**JOB, "next_run_time": now()})
    scheduler.serve(ran_and_released(space, ran))


def test_a_first_run_that_a_new_job_asks_for_is_run_by_one(space, start, ran):
    cron = {"func": work, "trigger": "cron", "minute": (now() + 20 * MINUTE).minute, "id": "job"}
    one, other = start({**cron, "next_run_time": now()}), start({**cron, "next_run_time": now()})
    one.serve(lambda: ran and is_free(space))
    one.serve(lambda: plan(one) > now())
    other.serve(lambda: plan(other) > now())
    assert [fire for _, fire, _ in ran] == [None]  # it is off schedule


def test_dates_are_run_once_and_removed(space, start, ran):
    scheduler = start({"func": work, "trigger": "date", "id": "job", "run_date": now()})
    scheduler.run(EVENT_JOB_EXECUTED)
    scheduler.serve(lambda: scheduler.get_job("job") is None)
    other = start({"func": work, "trigger": "date", "id": "job", "run_date": fires(ran)[0], "misfire_grace_time": None})
    other.run(EVENT_JOB_REMOVED)
    assert len(ran) == 1


# Several replicas


def test_of_two_replicas_one_runs_a_fire(space, start, due, ran):
    fire = due()
    one, other = start(), start()
    one.serve(ran_and_released(space, ran))
    other.serve(lambda: plan(other) == fire + HOUR)
    assert fires(ran) == [fire]


def test_replicas_that_have_begun_apart_run_an_interval_once(space, start, ran):
    one = start({**JOB, "seconds": 2, "hours": 0})
    one.serve(lambda: is_free(space) and mark(space))
    other = start({**JOB, "seconds": 2, "hours": 0})
    other.serve(lambda: abs(plan(other) - plan(one)) < 0.001 * SECOND)


def test_who_sees_that_another_has_run_a_fire_goes_on_after_it(space, start, due, ran):
    fire = due(30 * MINUTE)
    scheduler = start()
    scheduler.serve(lambda: abs(plan(scheduler) - fire) < SECOND)
    fire = now()
    space.mark(fire, lease=LEASE, nonce="theirs")
    scheduler.serve(lambda: plan(scheduler) == fire + HOUR)
    assert ran == []


def test_a_job_waits_for_a_run_of_its_own_elsewhere(space, start, due, ran):
    fire = due()
    space.put(LEASE, "somebody")
    scheduler = start()
    for _ in range(3):
        scheduler.look()
    assert ran == []
    space.put(LEASE, "")
    space.mark(fire - HOUR, lease=LEASE)
    scheduler.serve(ran_and_released(space, ran))


def test_other_jobs_do_not_wait_for_it(space, start, due, ran):
    due()
    due(lease="nightly.other", key="aps:default:other")
    space.put("nightly.other", "somebody")
    scheduler = start(JOB, {**JOB, "id": "other"})
    scheduler.serve(ran_and_released(space, ran))


def test_a_fire_that_another_is_running_is_not_run_again(space, start, due, ran):
    fire = due()
    space.put(LEASE, "somebody")
    space.mark(fire, lease=LEASE, nonce="theirs", state="c")
    scheduler = start()
    scheduler.look()
    space.put(LEASE, "")
    space.mark(fire, lease=LEASE, nonce="theirs", state="d")
    scheduler.serve(lambda: plan(scheduler) == fire + HOUR)
    assert ran == []


def test_one_that_waits_for_its_own_last_run_is_not_run_by_it_at_once(space, start, due, ran, held):
    due()
    scheduler = start({**JOB, "max_instances": 3}, executors={"default": held})
    scheduler.serve(lambda: held.given)
    scheduler.modify_job("job", next_run_time=now())
    for _ in range(3):
        scheduler.look()
    assert len(held.given) == 1
    held.let_go()
    scheduler.serve(lambda: held.given)
    held.let_go()
    assert len(ran) == 2


def test_a_replica_that_drains_takes_nothing(space, start, due, ran):
    scheduler = start()
    scheduler.serve(lambda: is_free(space))
    scheduler.replica.close(drain=0)
    due()
    scheduler.look()
    assert (ran, scheduler.look()) == ([], None)


def test_a_paused_scheduler_takes_nothing_until_it_goes_on(space, start, due, ran):
    due()
    scheduler = start()
    scheduler.pause()
    scheduler.look()
    assert ran == []
    scheduler.resume()
    scheduler.serve(ran_and_released(space, ran))


def test_a_shutdown_gives_back_what_nobody_runs_under(space, start, due, held):
    due()
    scheduler = start(executors={"default": held})
    scheduler.serve(lambda: held.given)
    scheduler.shutdown(wait=False)
    held.let_go()
    until(lambda: is_free(space) and mark(space).state == "d")


def test_the_end_of_a_replica_waits_for_what_a_scheduler_that_was_shut_down_gives_back(space, start, due, held):
    due()
    scheduler = start(executors={"default": held})
    scheduler.serve(lambda: held.given)
    space.fault = "down"
    held.let_go()
    scheduler.shutdown()
    close = in_thread(scheduler.replica.close)
    until(lambda: scheduler.replica._core.closed)
    space.fault = None
    close()
    assert (is_free(space), mark(space).state) == (True, "d")


def test_a_scheduler_that_is_started_again_goes_on(space, start, due, ran):
    scheduler = start()
    scheduler.serve(lambda: is_free(space))
    scheduler.shutdown()
    due()
    scheduler.add_job(**JOB)
    scheduler.start()
    scheduler.serve(ran_and_released(space, ran))


# Runs that were cut short


def test_a_run_that_was_cut_short_is_told_by_one_and_not_run_again(space, start, due, heard, ran):
    fire = due(5 * MINUTE)
    space.mark(fire - HOUR, lease=LEASE, nonce="theirs", state="c")
    one, other = start(), start()
    one.serve(lambda: mark(space).state == "d" and is_free(space))
    other.look()
    assert heard.wait_for(FireInterrupted).time == fire - HOUR
    assert sum(isinstance(event, FireInterrupted) for event in heard.events) == 1
    assert ran == []


def test_it_runs_again_if_its_job_wants_that(space, start, due, heard, ran):
    fire = due(5 * MINUTE) - HOUR
    space.mark(fire, lease=LEASE, nonce="theirs", attempts=(Attempt(fire, "theirs", 1),))
    scheduler = start(interrupted="rerun")
    scheduler.serve(ran_and_released(space, ran))
    assert fires(ran) == [fire]
    assert ran[0][1].attempt == 2
    assert mark(space).attempts == ()
    assert heard.wait_for(FireInterrupted).then == "rerun"
    scheduler.serve(lambda: plan(scheduler) == fire + HOUR)


def test_after_its_last_attempt_it_is_given_up_and_told(space, start, due, heard, ran):
    fire = due(5 * MINUTE) - HOUR
    space.mark(fire, lease=LEASE, nonce="theirs", attempts=(Attempt(fire, "theirs", 3),))
    scheduler = start(interrupted="rerun")
    scheduler.serve(lambda: mark(space).attempts == () and is_free(space))
    assert heard.wait_for(FireInterrupted).then == "gave-up"
    assert ran == []


def test_a_job_that_may_not_run_again_by_now_does_not(space, start, due, heard, ran):
    fire = due(5 * MINUTE) - HOUR
    space.mark(fire, lease=LEASE, nonce="theirs", attempts=(Attempt(fire, "theirs", 1),))
    scheduler = start()
    scheduler.serve(lambda: mark(space).attempts == () and is_free(space))
    assert heard.wait_for(FireInterrupted).then == "skipped"
    assert ran == []


def test_a_rerun_comes_before_a_later_fire(space, start, due, ran):
    fire = due() - HOUR
    space.mark(fire, lease=LEASE, nonce="theirs", attempts=(Attempt(fire, "theirs", 1),))
    scheduler = start(interrupted="rerun")
    scheduler.serve(ran_and_released(space, ran, 2))
    assert fires(ran) == [fire, fire + HOUR]


def test_each_end_of_several_runs_is_told_in_time(space, start, due, held):
    fire = due(2 * HOUR + 10 * SECOND)
    scheduler = start(
        {**JOB, "misfire_grace_time": 2 * 3600, "coalesce": False}, interrupted="rerun", executors={"default": held}
    )
    scheduler.serve(lambda: held.given)
    held.let_go()
    held.wait_given()
    until(lambda: [each.fire for each in mark(space).attempts] == [fire + HOUR])
    held.let_go()
    scheduler.serve(lambda: mark(space).attempts == () and is_free(space))


def test_a_rerun_that_no_executor_here_can_do_is_left_to_others(space, start, due, ran):
    fire = due(5 * MINUTE) - HOUR
    space.mark(fire, lease=LEASE, nonce="theirs", attempts=(Attempt(fire, "theirs", 1),))
    due(lease="nightly.other", key="aps:default:other")
    version = space.leases[LEASE][1]
    scheduler = start({**JOB, "executor": "elsewhere"}, {**JOB, "id": "other"}, interrupted="rerun")
    scheduler.serve(lambda: seen(scheduler))
    scheduler.serve(lambda: fires(ran) and is_free(space, "nightly.other"))
    assert (space.leases[LEASE][1], len(mark(space).attempts)) == (version, 1)


# Ends of the scheduler, of a lease and of a job


def test_what_was_granted_as_the_scheduler_ends_runs(space, start, due, ran, heard):
    due()
    scheduler = start(executors={"default": {"type": "threadpool", "max_workers": 1}})
    gate = work_module.threading.Event()
    worker.submit(lambda: gate.wait(5))  # it has yet to hand over what is granted now
    until(lambda: scheduler.look() and space.holder(LEASE))
    end = in_thread(scheduler.shutdown)
    until(lambda: not scheduler.running)
    gate.set()
    end()
    until(ran_and_released(space, ran))
    assert not any(isinstance(event, FireInterrupted) for event in heard.events)


def test_what_was_granted_as_the_replica_ends_runs(space, start, due, ran):
    due()
    scheduler = start()
    gate = work_module.threading.Event()
    worker.submit(lambda: gate.wait(5))
    until(lambda: scheduler.look() and space.holder(LEASE))
    end = in_thread(lambda: scheduler.replica.close(drain=5))
    until(lambda: scheduler.replica._core.closed)
    gate.set()
    end()
    assert ran_and_released(space, ran)()


def test_a_lease_that_was_deleted_is_made_anew_and_its_job_goes_on(space, start, due, ran):
    fire = due(HOUR - 0.3 * SECOND)
    scheduler = start()
    scheduler.serve(lambda: abs(plan(scheduler) - fire) < SECOND)
    with space.mutex:
        space.drop(LEASE)
    until(lambda: seen(scheduler) is None)
    until(lambda: scheduler.look() and ran and is_free(space))
    assert fires(ran) == [fire]


def test_a_job_that_adds_itself_again_as_it_runs_stays(space, start, ran):
    later = now() + HOUR
    scheduler = None

    def again():
        scheduler.add_job(work, "date", run_date=later, id="job")
        ran.append("again")

    scheduler = start({"func": again, "trigger": "date", "id": "job", "run_date": now()})
    scheduler.serve(lambda: ran)
    for _ in range(3):
        scheduler.look()
    assert plan(scheduler) == later


def test_a_run_asked_for_now_that_loses_to_another_is_tried_again(space, start, due, ran):
    fire = due(30 * MINUTE)
    scheduler = start()
    scheduler.serve(lambda: abs(plan(scheduler) - fire) < SECOND)
    reach = space.reach

    async def overtake():
        space.reach = reach
        space.mark(now() - SECOND, lease=LEASE, nonce="theirs")

    scheduler.modify_job("job", next_run_time=now())
    space.reach = overtake
    scheduler.serve(lambda: ran)
    assert [fire for _, fire, _ in ran] == [None]


# What is wrong with the ledger


def test_a_mark_in_the_future_is_lowered_so_that_the_job_goes_on(space, start, due, heard):
    due(-3 * HOUR)
    scheduler = start()
    scheduler.serve(lambda: is_free(space) and mark(space).fire < now() + MINUTE)
    scheduler.serve(lambda: plan(scheduler) < now() + 2 * HOUR)
    assert heard.wait_for(MarkLowered)


# A store that all replicas share


def test_the_row_is_moved_by_the_one_that_ran_the_fire(space, start, due, ran):
    rows = MemoryJobStore()
    fire = due()
    scheduler = start({**JOB, "next_run_time": fire}, jobstores={"default": Delegate(rows)})
    scheduler.serve(ran_and_released(space, ran))
    scheduler.serve(lambda: rows.lookup_job("job").next_run_time == fire + HOUR)


def test_a_row_that_its_runner_did_not_move_is_moved_by_another(space, start, due, ran):
    rows = MemoryJobStore()
    fire = due()
    space.mark(fire, lease=LEASE)
    scheduler = start({**JOB, "next_run_time": fire}, jobstores={"default": Delegate(rows)})
    scheduler.serve(lambda: rows.lookup_job("job").next_run_time == fire + HOUR)
    assert ran == []


def test_a_date_is_removed_by_the_one_that_ran_it_once_it_has_run(space, start, held):
    rows = MemoryJobStore()
    job = {"func": work, "trigger": "date", "id": "job", "run_date": now()}
    scheduler = start(job, jobstores={"default": Delegate(rows)}, executors={"default": held})
    scheduler.serve(lambda: held.given)
    scheduler.look()
    assert rows.lookup_job("job") is not None
    held.let_go()
    scheduler.serve(lambda: rows.lookup_job("job") is None)


def test_a_run_asked_for_now_is_run_by_one(space, start, due, ran):
    rows = MemoryJobStore()
    fire = due(30 * MINUTE)
    cron = {**JOB, "trigger": "cron", "minute": (now() + 20 * MINUTE).minute, "next_run_time": None}
    del cron["hours"]
    stores = [Delegate(rows), Delegate(rows)]
    one = start(cron, jobstores={"default": stores[0]})
    other = start({**cron, "replace_existing": True}, jobstores={"default": stores[1]})
    one.look()
    other.look()
    assert fire > now()
    one.modify_job("job", next_run_time=now())
    one.serve(lambda: ran and is_free(space))
    one.serve(lambda: rows.lookup_job("job").next_run_time > now())
    for _ in range(3):
        other.look()
        one.look()
    assert len(ran) == 1


def test_a_job_that_another_replica_adds_is_found_when_it_is_due(space, start, ran):
    rows = MemoryJobStore()
    scheduler = start({**JOB, "id": "other"}, jobstores={"default": Delegate(rows)})
    scheduler.look()
    adder = start(
        {"func": work, "trigger": "date", "id": "job", "run_date": now()}, jobstores={"default": Delegate(rows)}
    )
    adder.shutdown()
    scheduler.serve(lambda: ran)


# Who is busy


def test_an_executor_that_is_full_leaves_its_fires_to_others_for_a_while(space, start, due, ran):
    gate, begun = work_module.threading.Event(), []
    due(HOUR)
    due(HOUR, lease="nightly.other", key="aps:default:other")

    def wait():
        begun.append(current_fire().job)
        gate.wait(5)

    jobs = [{**JOB, "func": wait}, {**JOB, "func": wait, "id": "other"}]
    scheduler = start(*jobs, executors={"default": {"type": "threadpool", "max_workers": 1}})
    scheduler.serve(lambda: begun)
    for _ in range(3):
        scheduler.look()
    assert len(begun) == 1
    assert sum(space.holder(f"nightly.{name}") != "" for name in ("job", "other")) == 1
    gate.set()
    scheduler.serve(lambda: len(begun) == 2)


# Modes and mistakes


def test_in_mode_always_it_runs_without_asking_anybody(space, make_replica, start, ran):
    scheduler = start({**JOB, "next_run_time": now()}, on=make_replica(mode="always"))
    scheduler.serve(lambda: ran)
    assert (len(ran), space.requests) == (1, 0)


def test_a_date_that_has_run_before_its_pass_is_through_is_removed(make_replica, start, ran, monkeypatch):
    monkeypatch.setattr("singleton_jobs_apscheduler.taking.worker", AtOnce())
    scheduler = start({"func": work, "trigger": "date", "id": "job", "run_date": now()}, on=make_replica(mode="always"))
    scheduler.serve(lambda: ran and scheduler.get_job("job") is None)
    for _ in range(3):
        scheduler.look()
    assert len(ran) == 1


def test_in_mode_never_nothing_runs(space, make_replica, start, ran):
    scheduler = start({**JOB, "next_run_time": now()}, on=make_replica(mode="never"))
    scheduler.look()
    assert (ran, space.requests) == ([], 0)


def test_it_gives_what_can_be_looked_at(make):
    scheduler = make()
    assert isinstance(scheduler.spread, Spread)
    assert (scheduler.spread.lease, repr(scheduler.spread)) == ("nightly", "<Spread under 'nightly'>")


def test_whoever_subscribes_hears_of_each_run(start, due, ran):
    due()
    scheduler, events = start(), []
    cancel = scheduler.spread.subscribe(events.append)
    scheduler.serve(lambda: any(isinstance(event, TermEnded) for event in events))
    assert [event.lease for event in events if isinstance(event, TermStarted)] == [LEASE]
    cancel()
    cancel()


def test_a_guard_asks_for_nothing_before_the_start(make, make_replica):
    scheduler = make(on=make_replica())
    assert scheduler.replica._core._wiring is None  # so that it may be configured, and a fork is somebody else


def test_without_a_store_it_does_not_start(make, make_replica, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    scheduler = make(on=make_replica(store=None))
    with pytest.raises(ConfigError):
        scheduler.start()


def test_a_job_needs_an_id_of_its_own(make):
    with pytest.raises(ConfigError, match="id"):
        make().add_job(work, "interval", hours=1)


def test_one_guard_covers_a_scheduler(make, make_replica):
    with pytest.raises(ConfigError, match="guarded already"):
        guard(make(), "other", spread=True, replica=make_replica())


def test_a_store_with_a_leader_of_its_own_is_refused(make, make_replica, replica):
    with pytest.raises(ConfigError, match="one scheduler, one guard"):
        make(jobstores={"single": SingletonJobStore("memory", "other", replica=replica)})


def test_a_lease_with_a_leader_is_none_of_a_spread_guards_jobs(make, make_replica, shut):
    replica = make_replica()
    make(on=replica)
    with pytest.raises(ConfigError, match="a spread guard"):
        from singleton_jobs import exclusive

        exclusive(lease="nightly", key="name", replica=replica)(lambda name: None)


def test_what_is_no_yes_or_no_is_refused(make_replica):
    with pytest.raises(ConfigError, match="spread must be True or False"):
        guard(Guarded(), "nightly", spread="yes", replica=make_replica())


def test_a_base_that_is_too_long_is_refused(make_replica, shut):
    with pytest.raises(ConfigError, match="too long"):
        guard(Guarded(), "n" * 230, spread=True, replica=make_replica())


def test_ids_that_are_no_names_have_leases_too(space, start, ran):
    scheduler = start({**JOB, "id": "Send Invoices!", "next_run_time": now()})
    scheduler.serve(lambda: ran)
    assert any(name.startswith("nightly.send-invoices--") for name in space.leases)


def test_jobs_of_other_stores_have_leases_of_their_own(space, start, ran):
    scheduler = start({**JOB, "jobstore": "more", "next_run_time": now()}, jobstores={"more": MemoryJobStore()})
    scheduler.serve(lambda: ran)
    assert "nightly.more.job" in space.leases


# Stores that fail


def test_while_the_store_is_away_a_fire_waits_for_it_within_its_grace(space, start, due, ran):
    due()
    space.fault = "down"
    scheduler = start()
    for _ in range(3):
        scheduler.look()
    assert ran == []
    space.fault = None
    scheduler.serve(ran_and_released(space, ran))


def test_an_error_of_the_job_store_makes_no_news_be_forgotten(space, start, due, ran, caplog):
    rows, fire = Delegate(), due(5 * MINUTE) - HOUR
    scheduler = start(jobstores={"default": rows}, interrupted="rerun")
    scheduler.serve(lambda: abs(plan(scheduler) - fire - HOUR) < SECOND)
    rows.broken.add("lookup_job")
    space.mark(fire, lease=LEASE, nonce="theirs", attempts=(Attempt(fire, "theirs", 1),))
    until(lambda: scheduler.look() and "no lookup_job" in caplog.text)
    rows.broken.clear()
    caplog.clear()
    scheduler.serve(ran_and_released(space, ran))
    assert ran[0][1].attempt == 2


def test_a_removed_job_is_not_run_and_its_lease_not_watched(space, start, due, ran):
    due()
    scheduler = start()
    scheduler.remove_job("job")
    scheduler.look()
    scheduler.look()
    assert ran == []


def test_a_job_that_is_added_again_goes_on_from_its_mark(space, start, due, ran):
    fire = due(30 * MINUTE)
    scheduler = start()
    scheduler.serve(lambda: abs(plan(scheduler) - fire) < SECOND)
    scheduler.remove_job("job")
    scheduler.look()
    scheduler.add_job(**JOB)
    scheduler.serve(lambda: abs(plan(scheduler) - fire) < SECOND)


# Coroutines and processes


def test_a_coroutine_runs_on_its_loop(space, make, due, ran):
    due()

    async def program():
        scheduler = make(kind=AsyncIOScheduler)
        scheduler.add_job(**{**JOB, "func": work_async})
        scheduler.start()
        while not (ran and is_free(space) and mark(space).state == "d"):
            await asyncio.sleep(0.01)
        scheduler.shutdown()

    asyncio.run(asyncio.wait_for(program(), 10))
    assert len(ran) == 1
