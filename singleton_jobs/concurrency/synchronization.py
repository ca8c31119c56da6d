"""Waiting until something is so: written once, for plain threads and for coroutines.

What has to wait is a coroutine that is told whether it may block. `run_blocking` drives it without any event loop;
an ``async`` caller awaits the very same one.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from .clock import SYSTEM_CLOCK, Clock
from .threads import COOPERATIVE_POLL, new_lock, patched_by

__all__ = ["Signal", "new_event", "on_event_loop", "run_blocking"]

T = TypeVar("T")


def run_blocking(waiting: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that was told to block, so that it never suspends."""
    try:
        waiting.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    waiting.close()
    raise RuntimeError("a blocking wait was suspended")


def on_event_loop() -> bool:
    """Whether this thread is running an event loop, which must not be blocked."""
    from asyncio import _get_running_loop

    return _get_running_loop() is not None


class Signal:
    """Tells every waiter that something changed; they look for themselves what it was.

    Whoever changes the state calls `notify` afterwards; a waiter registers first and then looks, so that no change
    is missed.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiters: list[Callable[[], object]] = []

    def notify(self) -> None:
        """Wake every waiter, from any thread."""
        for waiter in tuple(self._waiters):  # each takes itself off: none is lost if this is interrupted
            waiter()

    async def wait(self, is_so: Callable[[], bool], until: float, *, block: bool) -> bool:
        """Wait until ``is_so()``, at most until the clock shows ``until``; says whether it is so.

        ``is_so`` may take what it asks for: it is not called again once it was true.
        """
        so = is_so()
        if block and patched_by():
            while not so and self._clock.now() < until:
                time.sleep(COOPERATIVE_POLL)  # noqa: ASYNC251 (told to block; the stand-in yields)
                so = is_so()
            return so
        while not so:
            changed, wake = _event() if block else _async_event()
            self._waiters.append(wake)
            try:
                left = until - self._clock.now()
                so = is_so()
                if so or left <= 0:
                    break
                await changed(min(left, threading.TIMEOUT_MAX))
            finally:
                self._waiters.remove(wake)
            so = is_so()
        return so


class _PolledEvent(threading.Event):
    """Set by a native thread, which must not touch the locks of greenlets, and waited for by greenlets."""

    _is_set = False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        until = math.inf if timeout is None else SYSTEM_CLOCK.now() + timeout
        return run_blocking(Signal(SYSTEM_CLOCK).wait(self.is_set, until, block=True))


def new_event() -> threading.Event:
    """An event that any kind of thread may set, and any may wait for."""
    return _PolledEvent() if patched_by() else threading.Event()


def _event() -> tuple[Callable[[float], Coroutine[Any, Any, None]], Callable[[], object]]:
    gate = new_lock()  # waited for by one call in C: a handler's exception comes before it or after it
    gate.acquire()

    async def changed(timeout: float) -> None:
        gate.acquire(timeout=timeout)

    def wake() -> None:
        with suppress(RuntimeError):  # it was woken before
            gate.release()

    return changed, wake


def _async_event() -> tuple[Callable[[float], Coroutine[Any, Any, None]], Callable[[], object]]:
    import asyncio

    loop = asyncio.get_running_loop()
    event = asyncio.Event()

    async def changed(timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                await event.wait()
        except TimeoutError:
            pass

    def wake() -> None:
        with suppress(RuntimeError):  # the loop was closed
            loop.call_soon_threadsafe(event.set)

    return changed, wake
