"""A signal handler raises at any line of ours: nothing stays held, busy or closed for longer than a retry period."""

import asyncio
from datetime import UTC, datetime
from itertools import count

import pytest

from singleton_jobs.leading.taken import SMALL
from singleton_jobs import Config, LeaseBusy, current_fire, current_term, running
from unit.interrupting import interruptions
from unit.stage import LIMIT, until

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

QUICK = Config(lease_duration=60, retry_period=0.02)  # what is not given back is held for as long as a test watches


@pytest.fixture
def make(make_replica):
    return lambda: make_replica(config=QUICK)


def exclusive(replica):
    return replica.exclusive(lease="job", wait=LIMIT, on_busy="raise")(lambda: "ran")


def exclusive_every(replica):
    return replica.exclusive(lease="job", wait=LIMIT, on_busy="raise", at_most_every=1e-6, job="job")(lambda: "ran")


def exclusive_coroutine(replica):
    @replica.exclusive(lease="job", wait=LIMIT, on_busy="raise")
    async def job():
        return "ran"

    return lambda: asyncio.run(job())


def hold(replica):
    locker = replica.locker("job")

    def call():
        with locker.hold(timeout=LIMIT):
            return "ran"

    return call


def ahold(replica):
    locker = replica.locker("job")

    async def main():
        async with locker.ahold(timeout=LIMIT):
            return "ran"

    return lambda: asyncio.run(main())


def block(replica):
    locker = replica.locker("job")

    def call():
        try:
            with locker:
                return "ran"
        finally:
            locker.unlock()  # nobody knows of a block whose end was interrupted before it began; `hold` has no such moment

    return call


def lock_and_unlock(replica):
    locker = replica.locker("job")

    def call():
        try:
            if locker.lock(timeout=LIMIT):
                return "ran"
            raise LeaseBusy("job", None)
        finally:
            unlocked(locker.unlock_with_retry)

    return call


def try_lock(replica):
    locker = replica.locker("job")

    def call():
        if locker.try_lock():
            unlocked(locker.unlock)
            return "ran"

    return call


def unlocked(unlock):
    """An unlock that raised is called again: it may not have begun."""
    try:
        unlock()
    finally:
        unlock()


@pytest.mark.parametrize(
    ("shape", "step"),
    [
        (exclusive, 3),
        (exclusive_every, 5),
        (exclusive_coroutine, 5),
        (hold, 5),
        (ahold, 5),
        (block, 5),
        (lock_and_unlock, 5),
        (try_lock, 5),
    ],
)
def test_a_lock_is_free_again_and_can_be_taken_again(make, shape, step):
    call, other = shape(make()), make().locker("job")
    assert call() == "ran"
    for interruption in interruptions(step):
        interruption(call)
        assert current_term() is None, interruption.where
        assert current_fire() is None, interruption.where
        assert other.lock(timeout=LIMIT), interruption.where
        assert other.unlock(), interruption.where
        assert call() == "ran", interruption.where


def test_a_run_whose_call_is_interrupted_before_it_begins_is_run_by_the_next_call(make):
    """By the same process, too: it does not take for running what never began."""
    runs, options = [], {"wait": LIMIT, "at_most_every": 3600, "job": "job", "interrupted": "rerun"}
    call = make().exclusive(lease="job", key="number", **options)(lambda number: runs.append(number))
    call(-1)  # tells the time
    for number, interruption in enumerate(interruptions(4, kinds=(KeyboardInterrupt,))):
        interruption(lambda: call(number))
        call(number)
        assert runs[-1] == number, interruption.where


def exclusive_of_a_key(replica):
    job = replica.exclusive(lease="job", key="tenant", wait=LIMIT, on_busy="raise")(lambda tenant: "ran")
    return lambda: job("a")


def exclusive_coroutine_of_a_key(replica):
    @replica.exclusive(lease="job", key="tenant", wait=LIMIT, on_busy="raise")
    async def job(tenant):
        return "ran"

    return lambda: asyncio.run(job("a"))


@pytest.mark.parametrize(("shape", "step"), [(exclusive_of_a_key, 3), (exclusive_coroutine_of_a_key, 5)])
def test_a_keys_lock_is_free_again_and_leaves_nothing(make, space, shape, step):
    call, other = shape(make()), make().locker("job", key="a")
    assert call() == "ran"
    for interruption in interruptions(step):
        interruption(call)
        assert current_term() is None, interruption.where
        assert other.lock(timeout=LIMIT), interruption.where
        assert other.unlock(), interruption.where
        assert space.leases == {}, interruption.where
        assert call() == "ran", interruption.where


def test_however_many_calls_are_interrupted_few_of_their_keys_are_remembered(make, space):
    replica, numbers = make(), count()
    job = replica.exclusive(lease="job", key="tenant", wait=LIMIT, on_busy="raise")(lambda tenant: "ran")
    for _ in range(4):
        for interruption in interruptions(3):
            interruption(lambda: job(next(numbers)))
    until(lambda: not space.leases)
    job("last")
    assert next(numbers) > 300
    assert len(replica._core.taken) <= SMALL


def test_a_lock_call_that_raises_has_locked_nothing(make):
    locker, other = make().locker("job"), make().locker("job")
    for interruption in interruptions():
        interruption(lambda: locker.lock(timeout=LIMIT))
        if interruption.where:
            assert other.lock(timeout=LIMIT), interruption.where
            assert other.unlock(), interruption.where
    assert locker.is_held


def test_an_unlock_that_raised_may_be_called_again(make):
    locker, other = make().locker("job"), make().locker("job")
    for interruption in interruptions():
        assert locker.lock(timeout=LIMIT), interruption.where
        interruption(locker.unlock)
        locker.unlock()  # as whoever was interrupted does in the end
        assert other.lock(timeout=LIMIT), interruption.where
        assert other.unlock(), interruption.where


def leader(replica):
    return replica.leader_only(lease="lead", on_skip="raise")(lambda: "ran"), replica.leadership("lead")


def leader_every(replica):
    every = replica.leader_only(lease="lead", on_skip="raise", at_most_every=1e-6, job="job")
    return every(lambda: "ran"), replica.leadership("lead")


def leader_coroutine(replica):
    @replica.leader_only(lease="lead", on_skip="raise")
    async def job():
        return "ran"

    return lambda: asyncio.run(job()), replica.leadership("lead")


@pytest.mark.parametrize("shape", [leader, leader_every, leader_coroutine])
@pytest.mark.parametrize("warm", [True, False], ids=["warm", "first"])
def test_a_guarded_call_leaves_nothing_running(make, shape, warm):
    for interruption in interruptions(1 if warm else 3):
        replica = make()
        call, leadership = shape(replica)
        if warm:
            assert leadership.wait(timeout=LIMIT)
        interruption(call)
        assert current_term() is None, interruption.where
        assert leadership.wait(timeout=LIMIT), interruption.where
        assert call() == "ran", interruption.where
        assert drains(leadership), interruption.where


def drains(leadership):
    """Whether nothing seems to run under it, and the lease is given back."""
    before = leadership._part.candidacy.clock.now()
    leadership.close(drain=LIMIT)
    return leadership._part.candidacy.clock.now() - before < LIMIT and leadership._part.candidacy.candidate.released


@pytest.mark.parametrize("end", ["step_down", "close", "replica"])
def test_an_interrupted_end_can_be_had_again(make, end):
    other = make().leadership("lead")
    for interruption in interruptions(2):
        replica = make()
        leadership = replica.leadership("lead")
        assert leadership.wait(timeout=LIMIT), interruption.where
        interruption(replica.close if end == "replica" else getattr(leadership, end))
        replica.close()
        assert other.wait(timeout=LIMIT), interruption.where
        other.close()


def test_an_interrupted_claim_leaves_a_leader_that_claims_and_drains(make):
    for interruption in interruptions(2):
        leadership = make().leadership("lead")
        assert leadership.wait(timeout=LIMIT), interruption.where
        interruption(lambda: leadership.claim("job", datetime.now(UTC)))
        assert leadership.claim("job", datetime.now(UTC)), interruption.where
        assert drains(leadership), interruption.where


def test_a_main_that_was_interrupted_on_its_way_in_or_out_has_given_the_lease_back(make):
    other = make().leadership("lead")
    for interruption in interruptions(3):
        leadership = make().leadership("lead")
        interruption(lambda: leadership.run_sync(str))
        assert current_term() is None, interruption.where
        assert other.wait(timeout=LIMIT), interruption.where
        other.close()


def test_an_interrupted_beginning_or_end_of_running_is_made_up_for_by_the_next(make):
    replica, other = make(), make().leadership("lead")

    def go():
        with running("lead", replica=replica):
            assert replica.leadership("lead").wait(timeout=LIMIT)

    for interruption in interruptions(3):
        interruption(go)
        with running("lead", replica=replica):
            assert replica.leadership("lead").wait(timeout=LIMIT), interruption.where
        assert other.wait(timeout=LIMIT), interruption.where
        other.close()
