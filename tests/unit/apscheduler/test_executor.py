"""Runs of guarded jobs: what is told of each, and what becomes of a fire whose term ends."""

import asyncio
import functools
import threading

import pytest

from apscheduler.events import (
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    EVENT_JOB_SUBMITTED,
)
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from singleton_jobs import LeadershipLost, Skipped, current_fire, current_term
from singleton_jobs.events import FireEnded, FireGranted, FireInterrupted, FireMissed, FireSkipped
from singleton_jobs_apscheduler import SingletonExecutor, SingletonJobStore, fires, guard
from unit.apscheduler import work as programs
from unit.apscheduler.site import DAY, HOUR, KEY, SECOND, Delegate, Guarded, Held, follows, leads, now, submitted
from unit.apscheduler.work import fail, work, work_async
from unit.stage import LIMIT, QUICK, in_thread, seen_by, until

ALL = EVENT_JOB_SUBMITTED | EVENT_JOB_EXECUTED | EVENT_JOB_ERROR | EVENT_JOB_MISSED


@pytest.fixture
def mark(space):
    made = now() - HOUR - SECOND
    space.mark(made)
    return made


JOB = {"func": work, "trigger": "interval", "hours": 1, "id": "job", "misfire_grace_time": 1800}


@pytest.fixture
def held():
    return Held()


@pytest.fixture
def leader(start, mark, held):
    """A leader with a due job, whose runs are held back."""
    return lambda **changes: start({**JOB, **changes}, executors={"default": held})


def states(space):
    return {key: mark.state for key, mark in space.ledger().items()}


def lose_term(scheduler, clock, space, meanwhile=lambda: None):
    """The term ends; something happens before the next."""
    space.fault = "down"
    clock.push(QUICK.lease_duration)
    leadership = scheduler.leadership
    seen_by(leadership._part.candidacy, lambda: leadership._part.candidacy.term is None)
    meanwhile()
    space.fault = None


def sent_in_vain(scheduler):
    """Wait until all open claims have been sent to a store that fails."""
    candidacy = scheduler.leadership._part.candidacy
    claims = candidacy.candidate.claims
    seen_by(candidacy, lambda: candidacy.error and claims._open and all(claim.carried for claim in claims._open))


# what is sent


@pytest.fixture
def steps(make, mark, space, monkeypatch):
    """A scheduler that leads and has due jobs, two if none are named, and in what order its claims are sent and its jobs are moved on."""

    def steps(*jobs, between=lambda: None, longest=LIMIT):
        monkeypatch.setattr(fires, "LONGEST", longest)
        scheduler = make()
        for job_id in jobs or ("job", "other"):
            space.mark(mark, f"aps:default:{job_id}")
            scheduler.add_job(**{**JOB, "id": job_id})
        scheduler.start()
        leads(scheduler.leadership)
        taken = []
        candidacy, store = scheduler.leadership._part.candidacy, scheduler._jobstores["default"]
        update_job = store.update_job
        monkeypatch.setattr(candidacy, "wake", lambda wake=candidacy.wake: (taken.append("sent"), wake()))
        monkeypatch.setattr(store, "update_job", lambda job: (taken.append("moved on"), between(), update_job(job)))
        return scheduler, taken

    return steps


def test_what_is_due_at_once_is_claimed_with_the_last_of_it(steps, ran):
    scheduler, taken = steps()
    scheduler.look()
    assert taken == ["moved on", "sent", "moved on"]
    assert [fire.job for _, fire, _ in ran] == [KEY, "aps:default:other"]


def test_a_claim_does_not_wait_long_for_others(steps, clock):
    scheduler, taken = steps("job", "second", "third", between=lambda: clock.push(1), longest=1)
    scheduler.look()
    assert taken == ["moved on", "sent", "moved on", "sent", "moved on"]


def test_a_claim_does_not_wait_for_a_job_that_is_not_submitted(steps, ran, monkeypatch):
    scheduler, taken = steps()
    executor = scheduler._executors["default"]
    submit = executor.submit_job
    monkeypatch.setattr(executor, "submit_job", lambda job, times: submit(job, times) if job.id == "job" else 1 / 0)
    scheduler.look()
    assert taken == ["moved on", "moved on", "sent"]
    assert [fire.job for _, fire, _ in ran] == [KEY]


def test_a_pass_that_breaks_sends_what_was_asked(steps):
    scheduler, taken = steps(between=lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        scheduler._process_jobs()
    assert taken == ["moved on", "sent"]


def test_a_pass_without_due_jobs_sends_nothing(steps):
    scheduler, taken = steps()
    scheduler.look()
    del taken[:]
    scheduler.look()
    assert taken == []


# what is told


def test_a_granted_run_is_told_and_done(leader, held, space, mark, heard):
    scheduler = leader()
    scheduler.look()
    assert space.ledger()[KEY].fire == mark + HOUR
    assert states(space) == {KEY: "c"}
    held.let_go()
    (event,) = scheduler.wait_events(EVENT_JOB_EXECUTED)
    assert (event.job_id, event.jobstore, event.scheduled_run_time, event.retval) == (
        "job",
        "default",
        mark + HOUR,
        "worked",
    )
    assert type(event.job_id) is str
    until(lambda: states(space) == {KEY: "d"})
    fire = mark + HOUR
    assert heard.wait_for(FireGranted, job=KEY, time=fire).seconds >= 0
    assert heard.wait_for(FireEnded, job=KEY, time=fire).ok


def test_a_job_that_raises_is_told_and_done(leader, held, space, mark, heard):
    scheduler = leader(func=fail)
    scheduler.look()
    held.let_go()
    (event,) = scheduler.wait_events(EVENT_JOB_ERROR)
    assert str(event.exception) == "no good"
    assert not heard.wait_for(FireEnded, job=KEY).ok
    assert event.scheduled_run_time == mark + HOUR
    until(lambda: states(space) == {KEY: "d"})
    assert not scheduler.leadership._part.candidacy.work.active


def test_a_run_past_its_grace_is_told_as_missed_and_done(start, space, ran, heard):
    mark = now() - HOUR - 300 * SECOND
    space.mark(mark)
    scheduler = start({**JOB, "misfire_grace_time": 60})
    scheduler.look()
    (event,) = scheduler.wait_events(EVENT_JOB_MISSED)
    assert event.scheduled_run_time == mark + HOUR
    assert not ran
    until(lambda: states(space) == {KEY: "d"})
    assert space.ledger()[KEY].fire == mark + HOUR
    assert heard.wait_for(FireMissed).time == (mark + HOUR)
    assert not [event for event in heard.events if isinstance(event, FireEnded)]


def test_where_every_replica_leads_subscribers_hear_of_missed_fires(make, make_replica, heard):
    scheduler = make(on=make_replica(mode="always"))
    scheduler.leadership.subscribe(heard)
    due = now() - HOUR
    scheduler.add_job(work, "date", run_date=due, id="job", misfire_grace_time=1)
    scheduler.start()
    scheduler.run(EVENT_JOB_MISSED)
    assert heard.wait_for(FireMissed).time == due


def refused(scheduler, space, fire):
    """Somebody else claims ``fire`` while this leader does not see it."""
    candidacy = scheduler.leadership._part.candidacy
    stale = candidacy.fires.marks()
    candidacy.fires.marks = lambda: stale
    space.mark(fire, nonce="theirs")
    scheduler.look()
    del candidacy.fires.marks


def test_a_refused_run_is_told_to_hooks_alone(leader, held, space, mark, heard):
    scheduler = leader()
    refused(scheduler, space, mark + HOUR)
    skipped = heard.wait_for(FireSkipped)
    assert (skipped.lease, skipped.job, skipped.time, skipped.reason) == (
        "nightly",
        KEY,
        (mark + HOUR),
        "refused",
    )
    assert len([event for event in heard.events if isinstance(event, FireSkipped)]) == 1
    assert not held.given
    assert not [event for event in scheduler.told if event.code & ALL]
    assert not scheduler.leadership._part.candidacy.work.active


def test_a_refused_run_makes_room_for_the_next_instance(leader, held, space, mark, ran):
    scheduler = leader(max_instances=1)
    refused(scheduler, space, mark + HOUR)
    scheduler.modify_job("job", next_run_time=now())
    scheduler.look()
    assert not scheduler.events(EVENT_JOB_MAX_INSTANCES)
    held.let_go()
    assert len(ran) == 1


def test_a_run_under_way_takes_up_its_instance(leader, held, ran):
    scheduler = leader(max_instances=1)
    scheduler.look()
    scheduler.modify_job("job", next_run_time=now())
    until(lambda: scheduler.look() and scheduler.events(EVENT_JOB_MAX_INSTANCES))
    held.let_go()
    scheduler.modify_job("job", next_run_time=now())
    scheduler.look()
    held.let_go()
    assert len(ran) == 2


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_a_fire_waits_while_the_one_before_waits_for_its_claim(start, held, space, ran, shared):
    """The time that a store takes to answer is no reason to skip the next fire for good."""
    mark = now() - HOUR - SECOND
    space.mark(mark)
    store = Delegate() if shared else MemoryJobStore()
    job = {**JOB, "start_date": mark, "next_run_time": mark + HOUR}
    scheduler = start(job, executors={"default": held}, jobstores={"default": store})
    space.fault = "down"
    scheduler._process_jobs()
    scheduler.modify_job("job", next_run_time=now())
    for _ in range(3):
        assert 0.5 < scheduler._process_jobs() <= 1  # and nobody spins meanwhile
    before = scheduler.wakeups
    space.fault = None
    held.let_go()
    scheduler.wait_for(lambda: scheduler.wakeups > before)
    scheduler.serve(lambda: held.given)
    held.let_go()
    assert not scheduler.events(EVENT_JOB_MAX_INSTANCES)
    assert [fire and fire.time for _, fire, _ in ran] == [mark + HOUR, None]


def test_while_one_job_waits_for_its_claim_others_do_not(start, held, space):
    space.mark(now() - HOUR - SECOND)
    scheduler = start({**JOB, "max_instances": 1}, executors={"default": held})
    space.fault = "down"
    scheduler._process_jobs()
    scheduler.modify_job("job", next_run_time=now())
    scheduler._process_jobs()
    scheduler.add_job(work, "date", run_date=now() + 0.3 * SECOND, id="other")
    assert scheduler._process_jobs() < 0.35
    candidacy = scheduler.leadership._part.candidacy
    until(lambda: scheduler._process_jobs() is not None and len(candidacy.work.active) == 2)


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_a_job_whose_last_fire_runs_is_gone_for_the_program_and_kept_in_the_store(start, held, shared, ran):
    store = Delegate() if shared else MemoryJobStore()
    scheduler = start({"func": work, "id": "job"}, executors={"default": held}, jobstores={"default": store})
    scheduler.look()
    held.wait_given()
    rows = store.rows if shared else store
    assert rows.lookup_job("job")
    assert scheduler.get_jobs() == []
    assert scheduler.get_job("job") is None
    with pytest.raises(JobLookupError):
        scheduler.remove_job("job")
    with pytest.raises(JobLookupError):
        scheduler.pause_job("job")
    scheduler.look()
    before = scheduler.wakeups
    held.let_go()
    scheduler.wait_for(lambda: scheduler.wakeups > before)
    scheduler.look()
    assert rows.lookup_job("job") is None
    assert len(ran) == 1
    assert not held.given


def test_the_id_of_a_job_whose_last_fire_runs_can_be_used_again(start, held, ran):
    scheduler = start({"func": work, "id": "job", "args": ("first",)}, executors={"default": held})
    scheduler.look()
    held.wait_given()
    scheduler.add_job(work, "date", run_date=now() + DAY, id="job")
    held.let_go()
    scheduler.look()
    assert scheduler.get_job("job").next_run_time > now() + HOUR
    assert [args for args, _, _ in ran] == [("first",)]


def test_a_job_whose_last_fire_runs_is_kept_through_a_failing_removal(start, held, ran):
    store = Delegate()
    scheduler = start({"func": work, "id": "job"}, executors={"default": held}, jobstores={"default": store})
    scheduler.look()
    held.let_go()
    store.broken = {"remove_job"}
    scheduler.look()
    assert scheduler.look() > 0
    store.broken = set()
    scheduler.look()
    assert store.rows.get_all_jobs() == []
    assert len(ran) == 1


def test_two_instances_know_their_own_fires(start, space, held, ran):
    mark = now() - HOUR - SECOND
    space.mark(mark)
    scheduler = start({**JOB, "max_instances": 2}, executors={"default": held})
    scheduler.look()
    scheduler.modify_job("job", next_run_time=now())
    scheduler.look()
    held.let_go()
    held.let_go()
    assert [fire and fire.time for _, fire, _ in ran] == [mark + HOUR, None]


def test_several_missed_fires_run_in_order_each_under_its_own(start, space, ran):
    mark = now() - 3 * HOUR - SECOND
    space.mark(mark)
    scheduler = start({**JOB, "misfire_grace_time": None, "coalesce": False})
    scheduler.look()
    events = scheduler.wait_events(EVENT_JOB_EXECUTED, 3)
    expected = [mark + n * HOUR for n in (1, 2, 3)]
    assert [fire.time for _, fire, _ in ran] == expected
    assert [event.scheduled_run_time for event in events] == expected
    assert space.ledger()[KEY].fire == expected[-1]
    until(lambda: states(space) == {KEY: "d"})


def test_with_coalesce_the_last_of_several_missed_fires_runs(start, space, ran):
    mark = now() - 3 * HOUR - SECOND
    space.mark(mark)
    scheduler = start({**JOB, "misfire_grace_time": None, "coalesce": True})
    scheduler.run(EVENT_JOB_EXECUTED)
    assert [fire.time for _, fire, _ in ran] == [mark + 3 * HOUR]


def test_of_several_fires_the_refused_ones_are_left_out(start, space, heard, ran):
    mark = now() - 3 * HOUR - SECOND
    space.mark(mark)
    scheduler = start({**JOB, "misfire_grace_time": None, "coalesce": False})
    refused(scheduler, space, mark + HOUR)
    scheduler.wait_events(EVENT_JOB_EXECUTED, 2)
    assert [fire.time for _, fire, _ in ran] == [mark + 2 * HOUR, mark + 3 * HOUR]
    assert heard.wait_for(FireSkipped, reason="refused").time == (mark + HOUR)


def test_the_fire_is_gone_after_the_run(leader, held):
    scheduler = leader()
    scheduler.look()
    held.let_go()
    assert current_fire() is None
    assert current_term() is None


# terms that end


def test_a_fire_whose_term_ends_before_it_starts_does_not_run_under_it(leader, held, space, clock, heard, mark, ran):
    scheduler = leader()
    scheduler.look()
    held.wait_given()
    lose_term(scheduler, clock, space, held.let_go)
    assert not ran
    assert not [event for event in scheduler.told if event.code & (ALL & ~EVENT_JOB_SUBMITTED)]
    skipped = heard.wait_for(FireSkipped)
    assert (skipped.time, skipped.reason) == ((mark + HOUR), "not-leader")


def test_it_runs_once_under_the_next_term_of_the_same_process(leader, held, space, clock, heard, mark, ran):
    scheduler = leader()
    scheduler.look()
    held.wait_given()
    lose_term(scheduler, clock, space, held.let_go)
    leads(scheduler.leadership)
    scheduler.serve(lambda: held.given)
    held.let_go()
    ((_, fire, term),) = ran
    assert fire.time == mark + HOUR
    assert term is scheduler.leadership.term
    scheduler.wait_events(EVENT_JOB_EXECUTED)
    until(lambda: states(space) == {KEY: "d"})
    scheduler.look()
    assert not held.given
    assert not [event for event in heard.events if isinstance(event, FireInterrupted)]


def test_it_is_told_as_interrupted_where_another_has_claimed_since(leader, held, space, clock, heard, mark, ran):
    scheduler = leader()
    scheduler.look()
    held.wait_given()

    def meanwhile():
        held.let_go()
        space.mark(now(), nonce="theirs")

    lose_term(scheduler, clock, space, meanwhile)
    leads(scheduler.leadership)
    scheduler.look()
    assert heard.wait_for(FireInterrupted).time == (mark + HOUR)
    assert not held.given
    assert not ran


def test_several_fires_of_an_ended_term_run_in_order_under_the_next(start, space, clock, held, ran):
    mark = now() - 3 * HOUR - SECOND
    space.mark(mark)
    scheduler = start({**JOB, "misfire_grace_time": None, "coalesce": False}, executors={"default": held})
    scheduler.look()
    held.wait_given()
    lose_term(scheduler, clock, space, held.let_go)
    assert not ran
    leads(scheduler.leadership)
    scheduler.serve(lambda: held.given)
    held.let_go()
    assert [fire.time for _, fire, _ in ran] == [mark + n * HOUR for n in (1, 2, 3)]


def test_a_term_that_ends_between_two_runs_of_one_submission_keeps_the_second(start, space, clock, held, ran, heard):
    mark = now() - 2 * HOUR - SECOND
    space.mark(mark)
    scheduler = start({**JOB, "misfire_grace_time": None, "coalesce": False}, executors={"default": held})
    ending = []

    def work_and_lose(*args):
        work(*args)
        if not ending:
            ending.append(True)
            lose_term(scheduler, clock, space)

    scheduler.modify_job("job", func=work_and_lose)
    scheduler.look()
    held.let_go()
    assert [fire.time for _, fire, _ in ran] == [mark + HOUR]
    leads(scheduler.leadership)
    scheduler.serve(lambda: held.given)
    held.let_go()
    assert [fire.time for _, fire, _ in ran] == [mark + HOUR, mark + 2 * HOUR]
    assert not [event for event in heard.events if isinstance(event, FireInterrupted)]


def test_an_off_schedule_run_needs_a_term_too(leader, held, space, clock, ran):
    scheduler = leader()
    scheduler.look()
    held.let_go()
    scheduler.modify_job("job", next_run_time=now())
    scheduler.look()
    held.wait_given()
    lose_term(scheduler, clock, space, held.let_go)
    assert len(ran) == 1


def test_a_claim_undecided_when_the_term_ends_does_not_run(leader, held, space, clock, heard, ran):
    scheduler = leader()
    space.fault = "down"
    scheduler._process_jobs()
    sent_in_vain(scheduler)
    clock.push(QUICK.lease_duration)
    assert heard.wait_for(FireSkipped).reason == "in-doubt"
    space.fault = None
    assert not held.given
    leads(scheduler.leadership)
    scheduler.serve(lambda: held.given)
    held.let_go()  # it had not landed: the next term claims it
    assert len(ran) == 1


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
@pytest.mark.parametrize(
    "last",
    [{"trigger": "date"}, {"trigger": "interval", "hours": 1}],
    ids=["date", "end-of-interval"],
)
def test_the_last_fire_of_a_job_is_not_lost_with_an_undecided_claim(
    start, space, clock, held, heard, ran, shared, last
):
    """Nobody has claimed it, so somebody must: its job is not removed before."""
    if last["trigger"] == "interval":
        mark = now() - HOUR - SECOND
        space.mark(mark)
        last = {**last, "end_date": mark + HOUR + SECOND / 2, "start_date": mark, "next_run_time": mark + HOUR}
    store = Delegate() if shared else MemoryJobStore()
    job = {"func": work, "id": "job", "misfire_grace_time": 60, **last}
    scheduler = start(job, executors={"default": held}, jobstores={"default": store})
    space.fault = "down"
    scheduler._process_jobs()
    sent_in_vain(scheduler)
    clock.push(QUICK.lease_duration)
    assert heard.wait_for(FireSkipped).reason == "in-doubt"
    space.fault = None
    leads(scheduler.leadership)
    scheduler.serve(lambda: held.given)
    held.let_go()
    assert len(ran) == 1
    scheduler.look()
    assert scheduler.get_jobs() == []


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_the_claimed_fire_of_a_date_job_whose_term_ends_is_run_or_told(start, space, clock, held, heard, ran, shared):
    store = Delegate() if shared else MemoryJobStore()
    scheduler = start(
        {"func": work, "id": "job", "misfire_grace_time": 60},
        executors={"default": held},
        jobstores={"default": store},
    )
    scheduler.look()
    held.wait_given()
    lose_term(scheduler, clock, space, held.let_go)
    assert not ran
    leads(scheduler.leadership)
    scheduler.serve(lambda: held.given or any(isinstance(event, FireInterrupted) for event in heard.events))
    told = [event.job for event in heard.events if isinstance(event, FireInterrupted)]
    while held.given:
        held.let_go()
    assert (len(ran), told) in [(1, []), (0, [KEY])]


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_a_term_that_ends_between_the_look_and_the_submission_loses_no_fire(start, space, clock, heard, ran, shared):
    mark = now() - HOUR - SECOND
    space.mark(mark)
    inner = Delegate() if shared else MemoryJobStore()
    scheduler = start({**JOB, "start_date": mark, "next_run_time": mark + HOUR}, jobstores={"default": inner})
    candidacy = scheduler.leadership._part.candidacy
    store = scheduler._jobstores["default"]
    look = store.get_due_jobs

    def look_and_lose(time):
        found = look(time)
        space.fault = "down"
        clock.push(QUICK.lease_duration)
        seen_by(candidacy, lambda: candidacy.term is None)
        return found

    store.get_due_jobs = look_and_lose
    scheduler.look()
    store.get_due_jobs = look
    skipped = heard.wait_for(FireSkipped)
    assert (skipped.time, skipped.reason) == ((mark + HOUR), "not-leader")
    assert not ran
    if shared:  # it is another leader's by now
        assert inner.rows.lookup_job("job").next_run_time == mark + HOUR
    space.fault = None
    leads(scheduler.leadership)
    scheduler.run(EVENT_JOB_EXECUTED)
    assert [fire.time for _, fire, _ in ran] == [mark + HOUR]


def test_a_run_that_spans_the_end_of_its_term_is_told_and_not_repeated(leader, held, space, clock, ran):
    scheduler = leader()
    valid = []

    def long(*args):
        work()
        lose_term(scheduler, clock, space)
        valid.append(current_term().is_valid)

    scheduler.modify_job("job", func=long)
    scheduler.look()
    held.let_go()
    scheduler.wait_events(EVENT_JOB_EXECUTED)
    assert valid == [False]
    leads(scheduler.leadership)
    scheduler.look()
    assert len(ran) == 1
    assert not held.given


# executors that fail


def test_a_claimed_run_that_cannot_be_started_is_told_as_interrupted(leader, held, heard, mark):
    scheduler = leader()
    held._do_submit_job = lambda *_: 1 / 0
    scheduler.look()
    assert heard.wait_for(FireInterrupted).time == (mark + HOUR)
    assert not scheduler.leadership._part.candidacy.work.active
    assert not submitted(scheduler)
    assert scheduler._executors["default"]._instances == {}


def test_a_run_that_breaks_its_executor_is_told_as_interrupted(leader, held, heard, mark):
    scheduler = leader()
    scheduler.look()
    held.break_down(OSError("the pool is broken"))
    assert heard.wait_for(FireInterrupted).time == (mark + HOUR)
    assert not scheduler.leadership._part.candidacy.work.active
    assert scheduler._executors["default"]._instances == {}


def test_after_a_failed_start_other_claims_go_on(leader, held, ran):
    scheduler = leader()
    given = held._do_submit_job
    held._do_submit_job = lambda *_: 1 / 0
    scheduler.look()
    held._do_submit_job = given
    scheduler.add_job(work, id="other")
    scheduler.look()
    held.let_go()
    assert [fire.job for _, fire, _ in ran] == ["aps:default:other"]


@pytest.mark.parametrize("executor", [ThreadPoolExecutor, DebugExecutor], ids=lambda kind: kind.__name__)
def test_a_coroutine_function_is_refused_where_nothing_awaits(start, executor, caplog, heard, space):
    scheduler = start({"func": work_async, "id": "job"}, executors={"default": executor()})
    scheduler.look()
    assert any("AsyncIOExecutor" in str(record.exc_info) + record.getMessage() for record in caplog.records)
    assert not [event for event in scheduler.told if event.code & (EVENT_JOB_EXECUTED | EVENT_JOB_SUBMITTED)]
    assert KEY not in space.ledger()


# shutdown


@pytest.mark.parametrize("wait", [False, True], ids=["at-once", "waiting"])
def test_a_shutdown_with_claims_pending_leaves_no_thread_and_no_double(make, space, wait, ran):
    scheduler = make(executors={"default": ThreadPoolExecutor(1)})
    scheduler.add_job(work, id="job", misfire_grace_time=60)
    scheduler.start()
    leads(scheduler.leadership)
    space.fault = "down"
    scheduler._process_jobs()
    executor = scheduler._executors["default"]
    (waiter,) = executor._waiters.values()
    join = in_thread(lambda: scheduler.shutdown(wait=wait))
    if not wait:
        join()
    space.fault = None
    join()
    waiter._thread.join(LIMIT)
    assert not waiter._thread.is_alive()
    until(lambda: not scheduler.leadership.is_leader)
    assert len(ran) <= 1
    assert (KEY in space.ledger()) >= bool(ran)


def test_a_waiting_shutdown_waits_for_what_runs(start, ran):
    go, began = threading.Event(), threading.Event()

    def long():
        began.set()
        assert go.wait(LIMIT)
        work(current_term().is_valid)

    scheduler = start({"func": long, "id": "job"}, executors={"default": ThreadPoolExecutor(1)})
    scheduler.look()
    assert began.wait(LIMIT)
    join = in_thread(lambda: scheduler.shutdown(wait=True))
    go.set()
    join()
    assert [args for args, _, _ in ran] == [(True,)]
    assert not scheduler.leadership.is_leader


def test_a_shutdown_that_does_not_wait_keeps_the_lease_until_what_runs_has_ended(start, ran, space):
    go, began = threading.Event(), threading.Event()

    def long():
        began.set()
        assert go.wait(LIMIT)
        work(current_term().is_valid)

    scheduler = start({"func": long, "id": "job"}, executors={"default": ThreadPoolExecutor(1)})
    scheduler.look()
    assert began.wait(LIMIT)
    scheduler.shutdown(wait=False)
    assert scheduler.leadership.is_leader
    assert space.holder("nightly") != ""
    go.set()
    until(lambda: space.holder("nightly") == "")
    assert [args for args, _, _ in ran] == [(True,)]
    assert states(space) == {KEY: "d"}


# on an event loop


def on_loop(main):
    """Run ``main(scheduler)`` beside a started AsyncIOScheduler."""

    async def whole(replica, *jobs):
        scheduler = AsyncIOScheduler(timezone="UTC")
        leadership = guard(scheduler, "nightly", replica=replica)
        told = []
        scheduler.add_listener(told.append, ALL)
        for job in jobs:
            scheduler.add_job(**job)
        scheduler.start()
        assert await leadership.wait_async(timeout=LIMIT)
        try:
            async with asyncio.timeout(LIMIT):
                await main(scheduler, leadership, told)
        finally:
            if scheduler.running:
                scheduler.shutdown()
                await asyncio.sleep(0)

    return whole


async def so(condition):
    while not condition():
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("func", [work_async, work], ids=["coroutine", "function"])
def test_jobs_on_an_event_loop_run_under_their_fire(replica, ran, func):
    async def main(scheduler, leadership, told):
        await so(lambda: any(event.code == EVENT_JOB_EXECUTED for event in told))

    asyncio.run(on_loop(main)(replica, {"func": func, "id": "job", "misfire_grace_time": 60}))
    ((_, fire, term),) = ran
    assert fire.job == KEY
    assert fire.term is term


def test_a_coroutine_is_cancelled_with_leadership_lost_when_its_term_ends(replica, clock, space, heard):
    seen, began = [], []

    async def long():
        began.append(True)
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def main(scheduler, leadership, told):
        await so(lambda: began)
        space.fault = "down"
        clock.push(QUICK.lease_duration)
        await so(lambda: any(event.code == EVENT_JOB_ERROR for event in told))
        space.fault = None
        (error,) = [event.exception for event in told if event.code == EVENT_JOB_ERROR]
        assert isinstance(error, LeadershipLost)

    asyncio.run(on_loop(main)(replica, {"func": long, "id": "job", "misfire_grace_time": 60}))
    assert seen == ["cancelled"]


def test_claims_do_not_block_the_loop(replica, space):
    async def main(scheduler, leadership, told):
        space.fault = "silent"
        scheduler.add_job(work, id="job", misfire_grace_time=60)
        turns = 0
        for _ in range(50):
            await asyncio.sleep(0.001)
            turns += 1
        assert not told
        space.fault = None
        assert turns == 50

    asyncio.run(on_loop(main)(replica))


def test_a_shutdown_on_a_loop_cuts_runs_short_and_then_gives_the_lease_back(replica, space):
    began = []

    async def long():
        began.append(True)
        await asyncio.get_running_loop().create_future()

    async def main(scheduler, leadership, told):
        await so(lambda: began)
        scheduler.shutdown()
        await so(lambda: any(event.code == EVENT_JOB_ERROR for event in told))
        (error,) = [event.exception for event in told if event.code == EVENT_JOB_ERROR]
        assert isinstance(error, asyncio.CancelledError)
        await so(lambda: space.holder("nightly") == "")

    asyncio.run(on_loop(main)(replica, {"func": long, "id": "job", "misfire_grace_time": 60}))


def test_a_loop_that_is_closed_under_its_scheduler_ends_what_was_claimed(replica, space, heard):
    """The program's loop ends while a claim is under way."""

    async def main(scheduler, leadership, told):
        space.fault = "down"
        scheduler.add_job(work, id="job", misfire_grace_time=60)
        await so(lambda: leadership._part.candidacy.work.active)
        await so(lambda: leadership._part.candidacy.error is not None)

    asyncio.run(on_loop(main)(replica))
    space.fault = None
    until(lambda: not replica.leadership("nightly")._part.candidacy.work.active)
    assert not programs.RAN


# jobs and executors of all kinds


def test_a_partial_and_a_method_run_under_their_fire(start, ran):
    scheduler = start({"func": functools.partial(work, "partial"), "id": "a"}, {"func": Methods().run, "id": "b"})
    scheduler.run(EVENT_JOB_EXECUTED, 2)
    assert {fire.job: args for args, fire, _ in ran} == {"aps:default:a": ("partial",), "aps:default:b": ("method",)}


class Methods:
    def run(self):
        return work("method")


def test_a_job_with_keyword_arguments_gets_them(start):
    got = []
    scheduler = start({"func": lambda *a, **k: got.append((a, k)), "id": "job", "args": (1,), "kwargs": {"runs": 2}})
    scheduler.run(EVENT_JOB_EXECUTED)
    assert got == [((1,), {"runs": 2})]


def test_an_executor_with_a_lease_guards_its_scheduler(replica, shut, ran):
    scheduler = Guarded(
        executors={"default": SingletonExecutor(DebugExecutor(), "nightly", replica=replica)}, timezone="UTC"
    )
    shut.append(scheduler)
    scheduler.add_job(work, id="job")
    scheduler.start()
    leads(replica.leadership("nightly"))
    scheduler.run(EVENT_JOB_EXECUTED)
    assert ran[0][1].job == KEY
    assert isinstance(scheduler._jobstores["default"], SingletonJobStore)


def test_an_executor_without_a_lease_leaves_plain_jobs_alone(shut, ran):
    scheduler = Guarded(executors={"default": SingletonExecutor("debug")}, timezone="UTC")
    shut.append(scheduler)
    scheduler.add_job(work)
    scheduler.start()
    scheduler.run(EVENT_JOB_EXECUTED)
    assert ran == [((), None, None)]


def test_a_bare_leader_only_job_tells_of_its_skip(make_replica, shut, space):
    """In a scheduler that is not guarded the function is: where it does not lead the job has run, with a Skipped."""
    space.put("nightly", "other_1")
    replica = make_replica()
    job = replica.leader_only("nightly")(work)
    assert isinstance(job(), Skipped)
    follows(replica.leadership("nightly"))
    scheduler = Guarded(timezone="UTC")
    shut.append(scheduler)
    scheduler.add_job(job)
    scheduler.start()
    (event,) = scheduler.run(EVENT_JOB_EXECUTED)
    assert isinstance(event.retval, Skipped)
    assert event.retval.reason == "not-leader"
    assert not programs.RAN


def test_a_leader_only_function_of_the_same_lease_runs_inside_a_guarded_job(start, replica, ran):
    scheduler = start({"func": replica.leader_only("nightly")(work), "id": "job"})
    (event,) = scheduler.run(EVENT_JOB_EXECUTED)
    assert event.retval == "worked"
    assert ran[0][1].job == KEY
