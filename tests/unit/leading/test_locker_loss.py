"""A held lock: checked, lost, renewed, taken by coroutines."""

import asyncio
import threading
from contextvars import Context

import pytest

from singleton_jobs import (
    AccessDenied,
    ConfigError,
    LeadershipLost,
    LeaseExpired,
    LeaseLocker,
    SingletonJobsError,
    StoreError,
    current_term,
)
from singleton_jobs.leading.participant import part_of
from unit.stage import LIMIT, in_thread, seen_by, until


@pytest.fixture
def locker(replica):
    return replica.locker("rebuild")


@pytest.fixture
def other(replica):
    return replica.locker("rebuild")


def test_check_passes_before_the_first_lock_while_held_and_after_unlock(locker):
    locker.check()
    locker.try_lock()
    locker.check()
    locker.unlock()
    locker.check()


@pytest.fixture
def lost(locker, space, clock):
    """A locker whose hold ended a second ago, for want of an answer."""
    locker.try_lock()
    space.fault = "silent"
    clock.push(locker.term.remaining + 1)
    return locker


def test_check_tells_of_a_lost_lock(lost):
    with pytest.raises(LeaseExpired, match="rebuild"):
        lost.check()


def test_check_tolerates_a_loss_of_so_many_seconds(lost):
    lost.check(max_tolerable_expired_lease=30)
    with pytest.raises(LeaseExpired):
        lost.check(max_tolerable_expired_lease=0.5)


@pytest.mark.parametrize("bad", [-1, float("nan"), True, "1"])
def test_check_refuses_what_is_no_duration(locker, bad):
    with pytest.raises(ConfigError, match="max_tolerable_expired_lease"):
        locker.check(bad)


def test_a_lost_lock_is_not_held(lost):
    assert not lost.is_held
    assert lost.term is None


def test_losing_sets_lost(locker, space):
    locker.try_lock()
    assert not locker.lost.is_set()
    space.put("rebuild", "thief_1")
    assert locker.lost.wait(LIMIT)


def test_unlocking_does_not_set_lost(locker):
    locker.try_lock()
    lost = locker.lost
    locker.unlock()
    assert not lost.is_set()


def test_each_lock_has_a_new_lost(locker):
    locker.try_lock()
    first = locker.lost
    locker.unlock()
    locker.try_lock()
    assert locker.lost is not first


def test_a_lost_locker_may_lock_again(lost, space, clock):
    space.fault = None
    clock.push(60)
    assert lost.lock(timeout=LIMIT)
    lost.check()


def test_a_lost_lock_is_not_taken_back_by_itself(locker, space):
    locker.try_lock()
    space.put("rebuild", "")
    assert locker.lost.wait(LIMIT)
    assert space.holder("rebuild") == ""
    with pytest.raises(LeaseExpired):
        locker.check()


def test_a_held_lock_is_renewed(locker, space):
    locker.try_lock()
    version = space.leases["rebuild"][1]
    seen_by(locker._part.candidacy, lambda: space.leases["rebuild"][1] >= version + 2)
    assert locker.is_held


@pytest.mark.parametrize(("fault", "error"), [("denied", AccessDenied), ("down", StoreError), ("silent", StoreError)])
def test_trying_raises_what_kept_it_from_asking(locker, space, fault, error):
    space.fault = fault
    with pytest.raises(error):
        locker.try_lock()


def test_locking_raises_denied_access_at_once(locker, space):
    space.fault = "denied"
    with pytest.raises(AccessDenied):
        locker.lock()


def test_locking_raises_at_its_limit_if_the_store_does_not_answer(locker, space):
    space.fault = "down"
    with pytest.raises(StoreError):
        locker.lock(timeout=0.1)


def test_locking_outlasts_an_outage(locker, space):
    space.fault = "down"
    waiting = in_thread(lambda: locker.lock(timeout=LIMIT))
    until(lambda: locker._part.candidacy and locker._part.candidacy.error)
    space.fault = None
    assert waiting()


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf"), True, "1"])
def test_a_timeout_must_be_a_number_of_seconds(locker, bad):
    with pytest.raises(ConfigError, match="timeout"):
        locker.lock(timeout=bad)


def test_a_closed_replica_locks_nothing(replica, locker):
    replica.close()
    with pytest.raises(SingletonJobsError, match="closed"):
        locker.try_lock()


def test_coroutines_lock_and_unlock(locker, other):
    async def main():
        assert await locker.alock(timeout=LIMIT)
        assert not await other.atry_lock()
        assert await locker.aunlock()
        async with other.ahold() as term:
            assert current_term() is term
        async with locker as term:
            assert term.is_valid
        return await locker.aunlock_with_retry()

    assert asyncio.run(main()) is False


def test_tasks_that_share_a_locker_exclude_each_other(locker):
    inside, most = [], []

    async def work():
        async with locker.ahold(timeout=LIMIT):
            inside.append(1)
            await asyncio.sleep(0)
            most.append(len(inside))
            inside.pop()

    async def main():
        await asyncio.gather(*(work() for _ in range(4)))

    asyncio.run(main())
    assert most == [1, 1, 1, 1]


@pytest.mark.parametrize("block", [lambda locker: locker.ahold(), lambda locker: locker], ids=["ahold", "async with"])
def test_losing_an_awaited_hold_cancels_its_block(locker, space, block):
    async def main():
        async with block(locker):
            space.put("rebuild", "thief_1")
            await asyncio.sleep(LIMIT)

    with pytest.raises(LeadershipLost, match="thief_1"):
        asyncio.run(main())
    assert current_term() is None


@pytest.mark.parametrize("block", [lambda locker: locker.ahold(), lambda locker: locker], ids=["ahold", "async with"])
def test_a_block_that_is_cancelled_by_others_is_cancelled(locker, space, block):
    async def main():
        async with block(locker):
            asyncio.current_task().cancel()
            await asyncio.sleep(LIMIT)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert space.holder("rebuild") == ""


def test_a_cancelled_lock_takes_nothing(locker, other, space):
    locker.try_lock()

    async def main():
        task = asyncio.create_task(other.alock())
        while other._part.candidacy is None or not other._part.candidacy.settled:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    locker.unlock()
    assert locker.try_lock()


def test_a_replica_and_a_store_exclude_each_other(replica, space):
    with pytest.raises(ConfigError, match="either"):
        LeaseLocker("rebuild", store=space, replica=replica)


def test_a_locker_shows_whether_it_is_held(locker):
    assert repr(locker) == "<LeaseLocker of 'rebuild'>"
    locker.try_lock()
    assert "held" in repr(locker)


def test_the_end_of_a_block_that_unlocked_early_gives_back_nobody_elses_lock(locker, other):
    inside, leave = threading.Event(), threading.Event()

    def second():
        with locker:
            inside.set()
            leave.wait(LIMIT)
            return locker.is_held, other.try_lock()

    with locker:
        locker.unlock()
        held = in_thread(second)
        assert inside.wait(LIMIT)
    leave.set()
    assert held() == (True, False)


def test_the_end_of_a_coroutines_block_that_unlocked_early_gives_back_nobody_elses_lock(locker, other):
    async def scenario():
        inside, leave = asyncio.Event(), asyncio.Event()

        async def second():
            async with locker:
                inside.set()
                await leave.wait()
                return locker.is_held, await other.atry_lock()

        async with locker:
            await locker.aunlock()
            held = asyncio.create_task(second(), context=Context())
            await inside.wait()
        leave.set()
        assert await held == (True, False)

    asyncio.run(scenario())


def test_a_block_that_unlocks_while_it_is_cancelled_still_tells_of_the_loss(locker):
    async def work():
        async with locker:
            part_of(locker).candidacy.abandon("it was taken away")
            try:
                await asyncio.sleep(LIMIT)
            finally:
                await locker.aunlock()

    async def grouped():
        async with asyncio.TaskGroup() as group:
            group.create_task(work())

    with pytest.raises(ExceptionGroup) as lost:
        asyncio.run(grouped())
    assert isinstance(lost.value.exceptions[0], LeadershipLost)
