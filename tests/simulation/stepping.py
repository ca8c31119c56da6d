"""An event loop that runs only when it is stepped, and the clocks of the host it runs on."""

from __future__ import annotations

import asyncio
import math
from asyncio.events import _get_running_loop, _set_running_loop
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

NUDGE = 1e-8  # seconds; rounding must not wake a loop too early, for it would do nothing, and do that for ever
SPIN = 5_000  # rounds at one instant after which a loop is said to spin


class _NothingToSelect:
    def select(self, timeout: float | None) -> list[Any]:
        return []

    def close(self) -> None:
        pass


class Spinning(Exception):
    """Something is ready again and again, and no time passes."""


class SteppedLoop(asyncio.BaseEventLoop):
    """Its time is its host's; whoever steps it decides when it goes on."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__()
        self._host_now = now
        self._selector = _NothingToSelect()
        self.failures: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.failures.append(context))

    def time(self) -> float:
        return self._host_now()

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def due(self) -> float | None:
        """When its next timer is due, on its own clock; minus infinity if something is ready; None if it only waits."""
        if self._ready:
            return -float("inf")
        while self._scheduled and self._scheduled[0]._cancelled:
            handle = asyncio.base_events.heapq.heappop(self._scheduled)
            handle._scheduled = False
            self._timer_cancelled_count -= 1
        return self._scheduled[0]._when if self._scheduled else None

    def step(self) -> None:
        """Run all that is due at this instant; other loops may be in the midst of a step of theirs."""
        with self._running_inside():
            for _ in range(SPIN):
                due = self.due()
                if due is None or due > self.time():
                    return
                self._clock_resolution = math.ulp(self.time())  # what is due now runs now, as from 3.15 on by itself
                self._run_once()
            raise Spinning("a loop spins: something is ready again and again, and no time passes")

    @contextmanager
    def _running_inside(self) -> Iterator[None]:
        """Be the thread's running loop; its task of the moment is set aside, for a thread has one from 3.14 on."""
        outer = _get_running_loop()
        task = outer and asyncio.current_task(outer)
        if task:
            asyncio._leave_task(outer, task)
        _set_running_loop(self)
        try:
            yield
        finally:
            _set_running_loop(outer)
            if task:
                asyncio._enter_task(outer, task)


class HostClock:
    """Boot time that runs at its own rate, and a wall clock that anybody may set."""

    def __init__(self, world_now: Callable[[], float], *, start: float, rate: float, wall: float) -> None:
        self._world_now = world_now
        self._anchor = world_now(), start
        self._rate = rate
        self._wall = wall - start

    def now(self) -> float:
        world, local = self._anchor
        return local + (self._world_now() - world) * self._rate

    def wall(self) -> float:
        return self.now() + self._wall

    def world_time(self, local: float) -> float:
        """When this clock shows ``local``, if its rate stays."""
        world, anchored = self._anchor
        return world + (local - anchored) / self._rate + NUDGE

    def run_at(self, rate: float) -> None:
        """Go on at another rate."""
        self._anchor = self._world_now(), self.now()
        self._rate = rate

    def set_wall(self, wall: float) -> None:
        self._wall = wall - self.now()
