"""Fires that were cut short and run again: which, when, before what, and how often."""

import asyncio
import concurrent.futures
from concurrent.futures import BrokenExecutor
from functools import partial
from pickle import PicklingError

import pytest

from apscheduler.events import (
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    EVENT_JOB_REMOVED,
    EVENT_JOB_SUBMITTED,
)
from apscheduler.executors.pool import ProcessPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from singleton_jobs import ConfigError, LeadershipLost, current_fire
from singleton_jobs.decisions import open_claims
from singleton_jobs.decisions.ledger import Attempt
from singleton_jobs.events import FireEnded, FireInterrupted, FireSkipped
from singleton_jobs_apscheduler import SingletonJobStore, guard, interrupted
from singleton_jobs_apscheduler.repeating import attempts_of
from unit.apscheduler import work as work_module
from unit.apscheduler.site import DAY, HOUR, KEY, SECOND, Delegate, Guarded, Held, leads, now, sql_store, submitted
from unit.apscheduler.work import fail, give_lock, tear, work, work_async
from unit.stage import QUICK, seen_by, until

JOB = {"func": work, "trigger": "interval", "hours": 1, "id": "job", "misfire_grace_time": 1800}
OTHER = "aps:default:other"


@pytest.fixture
def held():
    return Held()


@pytest.fixture(params=["own", "shared"])
def store(request):
    return Delegate() if request.param == "shared" else MemoryJobStore()


@pytest.fixture
def cut(space):
    """The fire of an hourly job, 10 seconds ago, was cut short; how often it was begun, and by whom, may be said."""

    def cut(number=1, key=KEY, ago=10 * SECOND, others=()):
        fire = now() - ago
        space.mark(fire, key, "theirs", attempts=(*others, Attempt(fire, "theirs", number)))
        return fire

    return cut


@pytest.fixture
def leader(start):
    """A leader whose jobs run again unless they say otherwise; by default one, each hour."""
    return lambda *jobs, **options: start(*(jobs or (JOB,)), **{"interrupted": "rerun", **options})


def attempts(space, key=KEY):
    return [(each.fire, each.number) for each in space.ledger()[key].attempts]


def told(heard, number=0):
    """What became of fires that were cut short; of so many at least."""
    until(lambda: sum(isinstance(event, FireInterrupted) for event in heard.events) >= number)
    return [(event.time, event.attempt, event.then) for event in heard.events if isinstance(event, FireInterrupted)]


def begun(ran):
    return [(fire.time, fire.attempt) for _, fire, _ in ran]


def lose_term(scheduler, clock, space, meanwhile=lambda: None):
    """The term ends; something happens before the next."""
    space.fault = "down"
    clock.push(QUICK.lease_duration)
    candidacy = scheduler.leadership._part.candidacy
    seen_by(candidacy, lambda: candidacy.term is None)
    meanwhile()
    space.fault = None


# the next leader


def test_the_next_leader_runs_it_again_at_once_as_the_same_fire(leader, cut, store, space, ran, heard):
    fire = cut()
    scheduler = leader(jobstores={"default": store})
    planned = scheduler.get_job("job").next_run_time
    (event,) = scheduler.run(EVENT_JOB_EXECUTED)
    assert (event.job_id, event.scheduled_run_time) == ("job", fire)
    ((_, ran_for, term),) = ran
    assert (ran_for.job, ran_for.time, ran_for.term, ran_for.attempt) == (KEY, fire, term, 2)
    assert told(heard, 1) == [(fire, 1, "rerun")]
    until(lambda: not attempts(space))
    assert space.ledger()[KEY].fire == fire
    assert abs(scheduler.get_job("job").next_run_time - (fire + HOUR)) < SECOND
    assert abs(scheduler.get_job("job").next_run_time - planned) < 11 * SECOND  # as an interval goes on from its mark
    assert not scheduler.events(EVENT_JOB_REMOVED)
    assert heard.wait_for(FireEnded, time=fire).ok
    scheduler.look()
    assert submitted(scheduler) == 1


def test_it_is_claimed_before_it_runs_and_kept_until_it_has_ended(leader, cut, space, held):
    fire = cut(2)
    scheduler = leader(executors={"default": held}, max_attempts=5)
    scheduler.look()
    held.wait_given()
    assert attempts(space) == [(fire, 3)]
    held.let_go()
    until(lambda: not attempts(space))


def test_without_the_wish_it_is_told_and_given_up(leader, cut, space, ran, heard):
    fire = cut()
    scheduler = leader(interrupted="skip")
    scheduler.look()
    assert not ran
    assert told(heard, 1) == [(fire, 1, "skipped")]
    until(lambda: not attempts(space))


def test_after_so_many_attempts_it_is_given_up(leader, cut, space, ran, heard):
    fire = cut(3)
    scheduler = leader()
    scheduler.look()
    assert told(heard, 1) == [(fire, 3, "gave-up")]
    assert not ran
    until(lambda: not attempts(space))


def test_a_later_fire_waits_until_it_has_ended(leader, cut, space, held, ran):
    """The one that is due meanwhile is not skipped, though its job has one instance."""
    fire = cut(ago=HOUR + 30 * SECOND)
    scheduler = leader(executors={"default": held})
    scheduler.look()
    held.wait_given()
    for _ in range(3):
        assert 0.5 < scheduler._process_jobs() <= 3600  # nobody spins
    assert len(held.given) == 1
    before = scheduler.wakeups
    held.let_go()
    scheduler.wait_for(lambda: scheduler.wakeups > before)
    scheduler.serve(lambda: held.given)
    held.let_go()
    assert begun(ran) == [(fire, 2), (fire + HOUR, 1)]
    assert not scheduler.events(EVENT_JOB_MAX_INSTANCES)


def test_its_waiting_makes_no_fire_too_late(leader, cut, held):
    cut(ago=HOUR + 30 * SECOND)
    scheduler = leader(executors={"default": held})
    store = scheduler._jobstores["default"]
    scheduler.look()
    held.let_go()
    began = now()
    (job,) = store.get_due_jobs(began + 2000 * SECOND)
    assert 3799 < job.misfire_grace_time <= 3805
    (job,) = store.get_due_jobs(began + 2001 * SECOND)
    assert job.misfire_grace_time == 1800


def test_waiting_under_an_ended_term_does_not_count(leader, cut, space, held, clock):
    cut(ago=HOUR + 30 * SECOND)
    scheduler = leader(executors={"default": held})
    scheduler.look()
    lose_term(scheduler, clock, space, held.let_go)
    leads(scheduler.leadership)
    store = scheduler._jobstores["default"]
    (job,) = store.get_due_jobs(now() + 2000 * SECOND)  # as late as that, nothing runs again
    assert job.misfire_grace_time == 1800


def test_with_room_for_both_the_later_fire_begins_after_it(leader, cut, held, ran):
    fire = cut(ago=HOUR + 30 * SECOND)
    scheduler = leader({**JOB, "max_instances": 2}, executors={"default": held})
    scheduler.serve(lambda: len(held.given) == 2)
    held.let_go()
    held.let_go()
    assert begun(ran) == [(fire, 2), (fire + HOUR, 1)]


@pytest.mark.parametrize("instances", [1, 2])
def test_several_run_again_in_their_order_as_many_at_once_as_the_job_may(leader, cut, space, held, ran, instances):
    first = Attempt(now() - HOUR - 10 * SECOND, "theirs too", 2)
    fire = cut(others=(first,))
    scheduler = leader({**JOB, "max_instances": instances}, executors={"default": held})
    scheduler.look()
    held.wait_given(instances)
    scheduler.look()
    assert len(held.given) == instances
    before = scheduler.wakeups
    held.let_go()
    scheduler.wait_for(lambda: scheduler.wakeups > before)
    scheduler.serve(lambda: held.given)
    held.let_go()
    assert begun(ran) == [(first.fire, 3), (fire, 2)]
    until(lambda: not attempts(space))


def test_it_waits_while_another_stores_job_of_its_name_takes_its_place(leader, cut, space, held, ran, heard):
    """APScheduler counts the runs of both as one job's."""
    fire = cut()
    stores = {"first": MemoryJobStore(), "default": MemoryJobStore()}
    space.mark(now() - HOUR - SECOND, "aps:first:job")
    scheduler = leader(
        {**JOB, "args": ("other",), "jobstore": "first"}, JOB, jobstores=stores, executors={"default": held}
    )
    for _ in range(3):
        assert 0.5 < scheduler.look() <= 1
    assert attempts(space) == [(fire, 1)]
    assert not told(heard)
    assert not scheduler.events(EVENT_JOB_MAX_INSTANCES)
    held.let_go()
    scheduler.look()
    held.let_go()
    assert [(args, ran_for.attempt) for args, ran_for, _ in ran] == [(("other",), 1), ((), 2)]
    assert told(heard, 1) == [(fire, 1, "rerun")]


def test_while_its_claim_is_on_the_way_it_is_not_handed_out_again(leader, cut, space, held):
    cut()
    scheduler = leader({**JOB, "max_instances": 3}, executors={"default": held})
    space.fault = "down"
    for _ in range(3):
        scheduler._process_jobs()
    assert len(scheduler.leadership._part.candidacy.work.active) == 1
    space.fault = None
    held.wait_given()
    scheduler.look()
    assert len(held.given) == 1
    held.let_go()


def test_a_clock_behind_that_of_the_leader_before_delays_nothing(leader, cut, ran):
    fire = cut(ago=-20 * SECOND)
    leader().run(EVENT_JOB_EXECUTED)
    assert begun(ran) == [(fire, 2)]


def test_a_paused_job_runs_it_again_when_it_is_resumed(leader, cut, space, ran):
    fire = cut()
    scheduler = leader()
    scheduler.pause_job("job")
    scheduler.look()
    assert not ran
    assert attempts(space) == [(fire, 1)]
    scheduler.resume_job("job")
    scheduler.run(EVENT_JOB_EXECUTED)
    assert begun(ran) == [(fire, 2)]


@pytest.mark.parametrize("grace", [60, 7200, None], ids=str)
def test_it_is_given_up_if_nobody_led_for_longer_than_its_grace(leader, cut, space, ran, heard, grace):
    fire = cut(ago=HOUR - 60 * SECOND)
    uid, version, body, at = space.leases["nightly"]
    space.leases["nightly"] = (uid, version, body, at - 3000)
    scheduler = leader({**JOB, "misfire_grace_time": grace})
    scheduler.look()
    assert begun(ran) == ([] if grace == 60 else [(fire, 2)])
    assert told(heard, 1) == [(fire, 1, "gave-up" if grace == 60 else "rerun")]
    until(lambda: not attempts(space))
    assert not scheduler.events(EVENT_JOB_MISSED)


def test_what_was_cut_short_under_the_present_term_is_not_too_late(leader, space, held, clock, ran):
    """However long somebody leads: its own term is no time in which nobody led."""
    space.mark(now() - HOUR - SECOND)
    scheduler = leader({**JOB, "misfire_grace_time": 20}, executors={"default": held})
    scheduler.look()
    held.wait_given()
    scheduler.leadership.term._hold.written_before = now() - DAY
    held.break_down(BrokenExecutor("the pool broke"))
    scheduler.serve(lambda: held.given)
    held.let_go()
    assert [fire.attempt for _, fire, _ in ran] == [2]


# jobs that are not there


def test_a_job_that_is_gone_is_given_up_once_it_would_have_been_added(leader, cut, space, heard):
    fire = cut(key=OTHER)
    scheduler = leader()
    wait = scheduler.look()
    assert 10 < wait <= 17
    assert not told(heard)
    scheduler._jobstores["default"].get_due_jobs(now() + 18 * SECOND)
    assert told(heard, 1) == [(fire, 1, "gave-up")]
    until(lambda: not attempts(space, OTHER))


def test_a_job_that_is_added_after_the_start_is_run_again(leader, cut, ran):
    fire = cut(key=OTHER)
    scheduler = leader()
    scheduler.look()
    scheduler.add_job(**{**JOB, "id": "other"})
    scheduler.run(EVENT_JOB_EXECUTED)
    assert begun(ran) == [(fire, 2)]


def test_another_schedulers_job_under_the_same_lease_is_its_own(leader, make, cut, space, heard, ran):
    fire = cut(key=OTHER)
    scheduler = leader()
    second = make(interrupted="rerun")
    second.add_job(**{**JOB, "id": "other"})
    second.start()
    for later in (0, 18):
        scheduler._jobstores["default"].get_due_jobs(now() + later * SECOND)
    assert not told(heard)
    second.run(EVENT_JOB_EXECUTED)
    assert begun(ran) == [(fire, 2)]


def test_a_row_of_another_version_is_left_to_those_who_can_run_it(leader, cut, space, heard, monkeypatch, tmp_path):
    fire = cut(key=OTHER)
    store = sql_store(f"sqlite:///{tmp_path}/jobs.sqlite3")
    scheduler = leader({**JOB, "id": "other"}, jobstores={"default": store})
    monkeypatch.delattr(work_module, "work")
    for later in (0, 18):
        scheduler._jobstores["default"].get_due_jobs(now() + later * SECOND)
    monkeypatch.undo()
    assert not told(heard)
    assert attempts(space, OTHER) == [(fire, 1)]


# one-off jobs


def test_a_date_runs_again_and_its_row_is_kept_until_it_has_ended(leader, cut, store, space, held, ran, heard):
    fire = cut()
    date = {"func": work, "trigger": "date", "run_date": fire, "id": "job", "misfire_grace_time": 600}
    scheduler = leader(date, jobstores={"default": store}, executors={"default": held})
    rows = getattr(store, "rows", store)
    scheduler.look()
    held.wait_given()
    assert rows.lookup_job("job")
    assert scheduler.get_jobs() == []
    scheduler.look()
    assert rows.lookup_job("job")
    before = scheduler.wakeups
    held.let_go()
    scheduler.wait_for(lambda: scheduler.wakeups > before)
    scheduler.look()
    assert rows.lookup_job("job") is None
    assert begun(ran) == [(fire, 2)]
    until(lambda: not attempts(space))
    assert not [event for event in heard.events if isinstance(event, FireSkipped)]


def test_a_date_whose_pool_broke_runs_again_here(leader, store, space, held, ran):
    scheduler = leader({"func": work, "id": "job"}, jobstores={"default": store}, executors={"default": held})
    scheduler.look()
    held.wait_given()
    held.break_down(BrokenExecutor("the pool broke"))
    scheduler.serve(lambda: held.given)
    assert getattr(store, "rows", store).lookup_job("job")
    held.let_go()
    assert [fire.attempt for _, fire, _ in ran] == [2]
    scheduler.serve(lambda: getattr(store, "rows", store).lookup_job("job") is None)


def test_a_date_that_is_given_up_goes(leader, cut, store, heard):
    date = {"func": work, "trigger": "date", "run_date": cut(3), "id": "job", "misfire_grace_time": 600}
    scheduler = leader(date, jobstores={"default": store})
    scheduler.look()
    assert getattr(store, "rows", store).lookup_job("job") is None
    assert [then for _, _, then in told(heard, 1)] == ["gave-up"]


# how a run ends


def test_a_run_that_raises_has_had_its_fire(leader, space, ran, heard):
    space.mark(now() - HOUR - SECOND)
    scheduler = leader({**JOB, "func": fail})
    scheduler.run(EVENT_JOB_ERROR)
    until(lambda: not attempts(space))
    assert not heard.wait_for(FireEnded).ok
    scheduler.look()
    assert len(ran) == 1
    assert not told(heard)


def test_a_run_that_raises_what_no_pool_can_bring_back_has_had_its_fire(leader, space, heard):
    """Also one that returns it; and the pool stays whole, for others that run there."""
    scheduler = leader(
        {"func": give_lock, "id": "lock", "misfire_grace_time": 600},
        {"func": tear, "id": "tear", "misfire_grace_time": 600},
        executors={"default": ProcessPoolExecutor(2)},
    )
    scheduler.run(EVENT_JOB_EXECUTED)
    scheduler.run(EVENT_JOB_ERROR)
    (given,) = scheduler.events(EVENT_JOB_EXECUTED)
    (torn,) = scheduler.events(EVENT_JOB_ERROR)
    assert (given.job_id, given.retval) == ("lock", None)
    assert torn.job_id == "tear"
    assert "Torn: a hole in the bag" in str(torn.exception)
    until(lambda: not attempts(space, "aps:default:lock") and not attempts(space, "aps:default:tear"))
    assert heard.wait_for(FireEnded, job="aps:default:lock").ok
    assert not heard.wait_for(FireEnded, job="aps:default:tear").ok
    assert not told(heard)
    scheduler.shutdown()


def test_a_run_at_which_its_executor_fails_without_breaking_has_had_its_fire(leader, space, held, heard):
    space.mark(now() - HOUR - SECOND)
    scheduler = leader(executors={"default": held})
    scheduler.look()
    held.break_down(PicklingError("no process can be told of that"))
    until(lambda: not attempts(space))
    assert not heard.wait_for(FireEnded).ok
    scheduler.look()
    assert not held.given
    assert not told(heard)
    assert not scheduler.leadership._part.candidacy.work.active


@pytest.mark.parametrize(
    "error", [BrokenExecutor(), concurrent.futures.CancelledError(), asyncio.CancelledError(), SystemExit(1)], ids=repr
)
def test_what_ends_with_its_pool_or_process_runs_again(leader, space, held, ran, error):
    space.mark(now() - HOUR - SECOND)
    scheduler = leader(executors={"default": held})
    scheduler.look()
    held.break_down(error)
    scheduler.serve(lambda: held.given)
    held.let_go()
    assert [fire.attempt for _, fire, _ in ran] == [2]


@pytest.mark.parametrize("error", [SystemExit(1), LeadershipLost("nightly", "it ran out")], ids=["exit", "lost"])
def test_a_run_that_was_cut_short_runs_again_under_the_next_term(leader, space, held, clock, heard, error):
    fire = now() - SECOND
    space.mark(fire - HOUR)
    numbers = []

    def cut_short():
        numbers.append(current_fire().attempt)
        if len(numbers) == 1:
            lose_term(scheduler, clock, space)
            raise error
        return "worked"

    scheduler = leader(executors={"default": held})
    scheduler.modify_job("job", func=cut_short)
    scheduler.look()
    held.let_go()
    leads(scheduler.leadership)
    scheduler.serve(lambda: held.given)
    held.let_go()
    assert numbers == [1, 2]
    assert [(attempt, then) for _, attempt, then in told(heard, 1)] == [(1, "rerun")]
    assert heard.wait_for(FireEnded).ok
    until(lambda: not attempts(space))


def test_a_lost_lease_under_a_term_that_holds_is_an_error_of_the_job(leader, space, ran, heard):
    space.mark(now() - HOUR - SECOND)

    def lost():
        raise LeadershipLost("another", "it ran out")

    scheduler = leader()
    scheduler.modify_job("job", func=lost)
    scheduler.run(EVENT_JOB_ERROR)
    until(lambda: not attempts(space))
    assert not told(heard)


def test_a_fire_whose_term_ended_before_it_began_runs_again_under_the_next(leader, space, held, clock, ran, heard):
    space.mark(now() - HOUR - SECOND)
    scheduler = leader(executors={"default": held})
    scheduler.look()
    held.wait_given()
    lose_term(scheduler, clock, space, held.let_go)
    assert not ran
    leads(scheduler.leadership)
    scheduler.serve(lambda: held.given)
    held.let_go()
    assert [fire.attempt for _, fire, _ in ran] == [2]
    assert [(attempt, then) for _, attempt, then in told(heard, 1)] == [(1, "rerun")]
    until(lambda: not attempts(space))


def test_runs_of_one_submission_end_one_by_one(leader, space, held, ran, heard):
    """What has ended is not run again if a later one of them is cut short."""
    mark = now() - 3 * HOUR - SECOND
    space.mark(mark)
    scheduler = leader({**JOB, "misfire_grace_time": None, "coalesce": False}, executors={"default": held})
    fires = [mark + n * HOUR for n in (1, 2, 3)]
    scheduler.look()
    held.wait_given()
    assert attempts(space) == [(fire, 1) for fire in fires]
    held.let_go()
    held.wait_given()
    until(lambda: attempts(space) == [(fire, 1) for fire in fires[1:]])
    held.break_down(BrokenExecutor("the pool broke"))
    for _ in range(2):
        scheduler.serve(lambda: held.given)
        held.let_go()
    assert begun(ran) == [(fires[0], 1), (fires[1], 2), (fires[2], 2)]
    scheduler.look()
    times = [event.scheduled_run_times for event in scheduler.events(EVENT_JOB_SUBMITTED)]
    assert times == [[fires[0]], [fires[1]], [fires[1]], [fires[2]]]
    until(lambda: not attempts(space))


def test_an_executor_that_breaks_each_time_is_given_up_on(leader, space, held, heard):
    space.mark(now() - HOUR - SECOND)
    scheduler = leader(executors={"default": held}, max_attempts=2)
    scheduler.look()
    held.wait_given()
    before = scheduler.wakeups
    held.break_down(BrokenExecutor("the pool broke"))
    scheduler.wait_for(lambda: scheduler.wakeups > before)
    scheduler.serve(lambda: held.given)
    held.break_down(BrokenExecutor("the pool broke"))
    scheduler.serve(lambda: len(told(heard)) == 2)
    assert [(attempt, then) for _, attempt, then in told(heard, 2)] == [(1, "rerun"), (2, "gave-up")]
    assert not held.given


def test_what_no_executor_takes_is_given_up_once(leader, cut, held, heard, caplog):
    fire = cut()
    scheduler = leader({**JOB, "func": work_async}, executors={"default": held})
    for _ in range(3):
        scheduler.look()
    assert told(heard, 1) == [(fire, 1, "gave-up")]
    assert sum(record.levelname == "ERROR" for record in caplog.records) == 1
    assert not held.given


def test_where_the_ledger_is_full_it_is_given_up_once(leader, cut, held, heard, monkeypatch):
    fire = cut()
    scheduler = leader(executors={"default": held})
    monkeypatch.setattr(open_claims, "LIMIT", 10)
    for _ in range(3):
        scheduler.look()
    assert told(heard, 1) == [(fire, 1, "gave-up")]  # not also that it runs again
    assert len([event for event in heard.events if isinstance(event, FireSkipped)]) == 1
    assert not held.given


def test_a_late_run_costs_the_next_fire_nothing(start, space, held, ran):
    """As late as it has begun, the next one may be."""
    mark = now() - HOUR - 600 * SECOND
    space.mark(mark)
    scheduler = start({**JOB, "max_instances": 1}, executors={"default": held})
    scheduler.look()
    held.wait_given()
    scheduler.modify_job("job", next_run_time=now() - 300 * SECOND)
    for _ in range(3):
        scheduler._process_jobs()
    assert not scheduler.events(EVENT_JOB_MAX_INSTANCES)
    held.let_go()
    scheduler.serve(lambda: held.given)
    held.let_go()
    assert len(ran) == 2


# who wishes it


@interrupted("rerun", max_attempts=5)
def often():
    """It may start again."""


@interrupted("skip")
def never():
    """It may not."""


class Books:
    @interrupted("rerun")
    def close(self):
        """A method."""

    @staticmethod
    @interrupted("rerun", 2)
    def open():
        """A static one."""

    @interrupted("rerun", 4)
    @classmethod
    def burn(cls):
        """One of the class."""


@pytest.mark.parametrize(
    ("function", "most"),
    [
        (work, 7),
        (often, 5),
        (never, 1),
        (partial(often), 5),
        (partial(partial(never), 1), 1),
        (Books().close, 3),
        (Books.open, 2),
        (Books.burn, 4),
        (interrupted("rerun", 6)(partial(work)), 6),
        (print, 7),
    ],
)
def test_a_function_says_for_itself(function, most):
    assert attempts_of(function, 7) == most


def test_the_decorator_gives_the_function_itself():
    def job():
        """A job."""

    assert interrupted("rerun")(job) is job


def test_a_job_that_says_so_runs_again_whatever_others_do(start, cut, ran, heard):
    fire = cut()
    again = {**JOB, "id": "other"}
    cut(key=OTHER)
    scheduler = start({**JOB, "func": "unit.apscheduler.work:work_again"}, again)
    scheduler.look()
    assert begun(ran) == [(fire, 2)]
    assert sorted(then for _, _, then in told(heard, 2)) == ["rerun", "skipped"]


def test_a_bad_wish_is_refused_at_once(replica):
    for wish in ({"interrupted": "again"}, {"max_attempts": 0}, {"max_attempts": "3"}, {"max_attempts": True}):
        with pytest.raises(ConfigError, match="interrupted|max_attempts"):
            guard(Guarded(timezone="UTC"), "nightly", replica=replica, **wish)
    for wish in (("again",), ("rerun", 0), (work,)):
        with pytest.raises(ConfigError, match="interrupted|max_attempts"):
            interrupted(*wish)


def test_a_configuration_of_text_says_so_too(replica):
    store = SingletonJobStore("memory", "nightly", replica=replica, interrupted="rerun", max_attempts="5")
    assert store._fires.attempts(type("Job", (), {"func": work})) == 5
    with pytest.raises(ConfigError, match="max_attempts"):
        SingletonJobStore("memory", "nightly", replica=replica, interrupted="rerun", max_attempts="five")
