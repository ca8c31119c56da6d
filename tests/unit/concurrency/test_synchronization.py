"""Waiting until something is so, on threads and on event loops."""

import asyncio
import math
import threading

import pytest

from singleton_jobs.concurrency.clock import SYSTEM_CLOCK
from singleton_jobs.concurrency.synchronization import Signal, on_event_loop, run_blocking


@pytest.fixture
def signal():
    return Signal(SYSTEM_CLOCK)


def soon(seconds=5.0):
    return SYSTEM_CLOCK.now() + seconds


def test_what_is_so_already_is_not_waited_for(signal):
    assert run_blocking(signal.wait(lambda: True, -math.inf, block=True))


def test_a_condition_is_asked_once_when_it_is_true_at_once(signal):
    answers = iter([True, False])
    assert run_blocking(signal.wait(lambda: next(answers), soon(), block=True))


def test_what_does_not_become_so_ends_at_the_limit(signal):
    assert not run_blocking(signal.wait(lambda: False, soon(0.01), block=True))


def test_a_thread_is_woken(signal):
    state, waiting = [], threading.Event()

    def is_so():
        waiting.set()
        return bool(state)

    def change():
        waiting.wait(5)
        state.append(1)
        signal.notify()

    thread = threading.Thread(target=change)
    thread.start()
    assert run_blocking(signal.wait(is_so, soon(), block=True))
    thread.join()


def test_a_coroutine_is_woken_from_another_thread(signal):
    state, waiting = [], threading.Event()

    def is_so():
        waiting.set()
        return bool(state)

    def change():
        waiting.wait(5)
        state.append(1)
        signal.notify()

    async def main():
        thread = threading.Thread(target=change)
        thread.start()
        result = await signal.wait(is_so, soon(), block=False)
        thread.join()
        return result

    assert asyncio.run(main())


def test_a_coroutine_ends_at_the_limit(signal):
    assert not asyncio.run(signal.wait(lambda: False, soon(0.01), block=False))


def test_a_wait_without_limit_can_be_cancelled(signal):
    async def main():
        task = asyncio.create_task(signal.wait(lambda: False, math.inf, block=False))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert signal._waiters == []

    asyncio.run(main())


def test_waiters_of_both_kinds_are_woken_together(signal):
    state, woken = [], []

    def block():
        woken.append(run_blocking(signal.wait(lambda: bool(state), soon(), block=True)))

    async def main():
        threads = [threading.Thread(target=block) for _ in range(3)]
        for thread in threads:
            thread.start()
        waits = [asyncio.create_task(signal.wait(lambda: bool(state), soon(), block=False)) for _ in range(3)]
        await asyncio.sleep(0)
        state.append(1)
        signal.notify()
        woken.extend(await asyncio.gather(*waits))
        for thread in threads:
            thread.join()

    asyncio.run(main())
    assert woken == [True] * 6


def test_a_waiter_that_registers_in_the_midst_of_a_notification_is_woken_by_the_next(signal):
    class Waiters(list):
        """Whoever registers is overtaken by a notification, after it has looked up where to register."""

        def append(self, wake):
            signal.notify()
            super().append(wake)
            in_time.append(wake in signal._waiters)

    in_time = []
    signal._waiters = Waiters()
    assert not run_blocking(signal.wait(lambda: False, -math.inf, block=True))
    assert in_time == [True]
    assert signal._waiters == []


def test_a_notification_that_is_interrupted_has_unregistered_nobody(signal):
    def interrupted():
        raise KeyboardInterrupt

    woken = []
    signal._waiters = [interrupted, lambda: woken.append("late")]
    with pytest.raises(KeyboardInterrupt):
        signal.notify()
    signal._waiters.pop(0)
    signal.notify()
    assert woken == ["late"]


def test_a_blocking_wait_must_not_suspend():
    async def suspends():
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="suspended"):
        run_blocking(suspends())


def test_an_event_loops_thread_is_known_as_such():
    async def main():
        return on_event_loop()

    assert asyncio.run(main())
    assert not on_event_loop()
