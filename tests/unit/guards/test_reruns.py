"""Runs that were cut short and may run again: as the same fire, at the next call that leads, and counted."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from singleton_jobs import ConfigError, Fire, LeadershipLost, current_fire, current_term
from singleton_jobs.decisions.ledger import Attempt, Mark, read_ledger
from singleton_jobs.events import FireInterrupted
from singleton_jobs.locks.record import LEDGER_ANNOTATION
from unit.stage import LIMIT, QUICK, until

EARLIER = datetime.now(UTC) - timedelta(minutes=1)
OPTIONS = {"at_most_every": timedelta(hours=1), "job": "report", "interrupted": "rerun"}


@pytest.fixture
def replica(make_replica, heard):
    return make_replica(hooks=[heard])


@pytest.fixture(params=["leader_only", "exclusive"])
def guarded(request, replica):
    def decorate(function, **more):
        return getattr(replica, request.param)("nightly", **OPTIONS | more)(function)

    return decorate


def mark(space):
    return read_ledger(space.annotations()[LEDGER_ANNOTATION])["fn:report"]


def crashed(space, number=1):
    """A leader has claimed the run of a minute ago, and died."""
    time = EARLIER.isoformat()
    text = json.dumps({"v": 1, "jobs": {"fn:report": [time, "x", "d", None, [[time, "x", number]]]}})
    space.put("nightly", "")
    space.annotate(LEDGER_ANNOTATION, text)


def interrupted(heard):
    return [event for event in heard.events if isinstance(event, FireInterrupted)]


def test_what_a_crash_has_cut_short_runs_at_the_next_call_though_that_is_too_soon(guarded, space, heard):
    crashed(space)
    fires = []
    job = guarded(lambda: fires.append(current_fire()))
    job()
    assert [fire[:2] for fire in fires] == [("fn:report", EARLIER)]
    assert fires[0].attempt == 2
    told = heard.wait_for(FireInterrupted)
    assert (told.job, told.time, told.attempt, told.then) == ("fn:report", EARLIER, 1, "rerun")
    assert job().reason == "too-soon"
    until(lambda: mark(space).attempts == ())
    assert len(interrupted(heard)) == 1


def test_coroutines_run_again_too(guarded, space):
    crashed(space)

    async def job():
        return current_fire()

    fire = asyncio.run(guarded(job)())
    assert (fire.time, fire.attempt) == (EARLIER, 2)


def test_after_its_attempts_it_is_given_up(guarded, space, heard):
    crashed(space, number=3)
    assert guarded(lambda: 1)().reason == "too-soon"
    told = heard.wait_for(FireInterrupted)
    assert (told.attempt, told.then) == (3, "gave-up")
    until(lambda: mark(space).attempts == ())


def test_as_many_attempts_as_were_asked_for(guarded, space):
    crashed(space, number=4)
    assert guarded(lambda: current_fire().attempt, max_attempts=5)() == 5


def test_what_was_to_run_again_and_is_not_any_more_is_skipped(guarded, space, heard):
    crashed(space)
    assert guarded(lambda: 1, interrupted="skip")().reason == "too-soon"
    assert heard.wait_for(FireInterrupted).then == "skipped"


def test_a_run_under_way_is_kept_in_the_lease_and_one_that_has_ended_is_not(guarded, space):
    job = guarded(lambda: mark(space))
    under_way = job()
    assert under_way.attempts == (Attempt(under_way.fire, under_way.nonce),)
    assert under_way.state == "d"
    until(lambda: mark(space) == under_way._replace(attempts=()))


def fails():
    raise ValueError("no such account")


def test_a_run_that_failed_is_not_repeated(guarded, space):
    job = guarded(fails)
    with pytest.raises(ValueError, match="account"):
        job()
    assert job().reason == "too-soon"
    until(lambda: mark(space).attempts == ())


def test_a_run_that_raises_the_loss_of_another_lease_has_failed(guarded):
    def loses():
        raise LeadershipLost("another", "of no concern here")

    job = guarded(loses)
    with pytest.raises(LeadershipLost):
        job()
    assert job().reason == "too-soon"


@pytest.mark.parametrize("end", [SystemExit(143), KeyboardInterrupt()], ids=repr)
def test_a_run_that_the_end_of_the_process_cuts_short_is_the_next_leaders(guarded, space, make_replica, end):
    def ends():
        raise end

    with pytest.raises(type(end)):
        guarded(ends)()
    until(lambda: len(mark(space).attempts) == 1)
    assert guarded(lambda: current_fire().attempt)() == 2


@pytest.mark.parametrize("code", [None, 0])
def test_a_run_that_ends_with_an_exit_that_says_that_all_is_well_is_done(guarded, space, code):
    def ends():
        raise SystemExit(code)

    job = guarded(ends)
    with pytest.raises(SystemExit):
        job()
    assert job().reason == "too-soon"
    until(lambda: mark(space).attempts == ())


def test_whatever_a_run_raises_under_a_lost_term_it_was_cut_short(replica, clock):
    """As in a group of tasks, whose error is one of its own."""
    attempts = []

    @replica.leader_only("nightly", **OPTIONS)
    def job():
        attempts.append(current_fire().attempt)
        if len(attempts) == 1:
            clock.push(QUICK.renew_deadline)
            raise RuntimeError("all of it")

    with pytest.raises(RuntimeError):
        job()
    assert job.leadership.wait(timeout=LIMIT)
    job()
    assert attempts == [1, 2]


def test_a_coroutine_that_is_cancelled_is_run_again(guarded):
    async def scenario():
        begun = asyncio.Event()

        async def job():
            begun.set()
            if current_fire().attempt == 1:
                await asyncio.Event().wait()
            return current_fire().attempt

        job = guarded(job)
        running = asyncio.create_task(job())
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return await job()

    assert asyncio.run(scenario()) == 2


def test_a_run_that_finds_its_term_lost_is_run_again_under_the_next(replica, clock, heard):
    attempts = []

    @replica.leader_only("nightly", **OPTIONS)
    def job():
        attempts.append(current_fire().attempt)
        if len(attempts) == 1:
            clock.push(QUICK.renew_deadline)
            current_term().check()

    with pytest.raises(LeadershipLost):
        job()
    assert job.leadership.wait(timeout=LIMIT)
    job()
    assert attempts == [1, 2]
    assert heard.wait_for(FireInterrupted).then == "rerun"


def test_two_that_call_at_once_run_it_once(guarded, space):
    crashed(space)
    outer = []
    inner = guarded(lambda: outer.append("again"))

    def job():
        outer.append(inner())
        return current_fire().attempt

    assert guarded(job)() == 2
    assert not outer[0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"interrupted": "resume"}, "'skip' or 'rerun', not 'resume'"),
        ({"interrupted": None}, "not None"),
        ({"max_attempts": 0}, "from 1 on, not 0"),
        ({"max_attempts": 2.5}, "not 2.5"),
        ({"max_attempts": True}, "not True"),
        ({"at_most_every": None, "job": None}, "only at_most_every claims"),
    ],
)
def test_what_cannot_work_is_refused(guarded, options, says):
    with pytest.raises(ConfigError, match=says):
        guarded(lambda: 1, **options)


def test_a_fire_is_a_first_attempt_by_itself(replica):
    assert Fire("a", EARLIER, None).attempt == 1
    assert Mark(EARLIER, "x").attempts == ()


def test_where_there_is_no_ledger_what_is_cut_short_is_told(make_replica, heard):
    def ends():
        raise SystemExit(1)

    replica = make_replica(mode="always", hooks=[heard])
    with pytest.raises(SystemExit):
        replica.leader_only("nightly", **OPTIONS)(ends)()
    assert heard.wait_for(FireInterrupted).then == "skipped"
