"""The one daemon thread of a process: an event loop that carries out every candidate's decisions.

Renewals fall on a common grid, so that many leases share one wake-up and a few connections; each is one small task,
so that a lease whose store hangs delays no other.
"""

import asyncio
import logging
import math
import select
import selectors
import sys
from asyncio import AbstractEventLoop, Task, TimerHandle
from collections import defaultdict
from typing import Any

from ..concurrency.clock import SYSTEM_CLOCK, Clock
from ..concurrency.forks import at_fork, notice_fork
from ..concurrency.threads import new_lock, patched_by, start_thread
from ..hooks.dispatcher import catch_up, log
from .driving import Driven
from .turns import Turns

__all__ = ["Renewer", "RenewerThread", "shared_renewer"]

SOONEST = 1e-6  # seconds; a loop's timers may come a tick of its clock too early, and again and again
TELL_BY = 1.0  # seconds
AT_ONCE = 16  # requests under way to one store: as many as there are connections


class Renewer:
    """Drives any number of candidacies on whatever event loop runs `run`."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._loop: AbstractEventLoop | None = None
        self._turns: dict[object, Turns] = defaultdict(lambda: Turns(AT_ONCE))  # by lane, which is a store
        self._stopped: asyncio.Event | None = None
        self._timers: dict[Driven, TimerHandle] = {}  # of candidacies that wait for their next step
        self._tasks: dict[Driven, Task[None]] = {}  # of candidacies that take steps now
        self._again: set[Driven] = set()  # of these, those that were woken in the midst of a step
        self._holding: dict[Driven, None] = {}  # in order, so that what expires together always does so alike
        self._telling: TimerHandle | None = None  # the timer after which what was measured is told at the latest
        self._sweep: TimerHandle | None = None  # the timer that ends overdue holds
        self._sweep_at = math.inf  # the earliest end of a hold, by which the sweep is due
        self._asked_at: float | None = None  # when the loop was asked for a sign of life that it has not given yet
        self._early: list[Driven] = []  # candidacies woken before there was a loop
        self._mutex = new_lock()  # guards the loop's beginning, so that nobody is woken too early and then forgotten

    async def run(self) -> None:
        """Serve until `stop`."""
        with self._mutex:
            self._loop = asyncio.get_running_loop()
            self._stopped = asyncio.Event()
            early, self._early = self._early, []
        for candidacy in early:
            self._serve_soon(candidacy)
        await self._stopped.wait()
        for task in self._tasks.values():
            task.cancel()
        for timer in self._timers.values():
            timer.cancel()
        for handle in filter(None, (self._sweep, self._telling)):
            handle.cancel()

    def stop(self) -> None:
        """End `run`; from any thread."""
        if self._loop and self._stopped:
            self._loop.call_soon_threadsafe(self._stopped.set)

    def unanswered(self) -> float:
        """Seconds since the loop was last asked for a sign of life, if it has given none; asks for the next."""
        now, asked_at = self._clock.now(), self._asked_at
        if asked_at is not None:
            return now - asked_at
        if self._loop and not self._loop.is_closed():
            self._asked_at = now
            self._loop.call_soon_threadsafe(self._answer)
        return 0.0

    def _answer(self) -> None:
        self._asked_at = None

    def wake(self, candidacy: Driven) -> None:
        """Ask ``candidacy`` for its next decision soon; from any thread."""
        with self._mutex:
            if self._loop is None:
                self._early.append(candidacy)
                return
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._serve_soon, candidacy)

    def _serve_soon(self, candidacy: Driven, patience: float = 0.0) -> None:
        timer = self._timers.pop(candidacy, None)
        if timer:
            timer.cancel()
        if self._loop:
            turns, by = self._turns[candidacy.lane], self._clock.now() + patience
            if candidacy in self._tasks:
                self._again.add(candidacy)
                turns.hurry(candidacy, by)
            else:
                self._tasks[candidacy] = self._loop.create_task(self._serve(candidacy, self._loop, turns, by))

    async def _serve(self, candidacy: Driven, loop: AbstractEventLoop, turns: Turns, by: float) -> None:
        due = -math.inf
        try:
            while True:
                await turns.take(candidacy, by)
                self._again.discard(candidacy)
                try:
                    due = await candidacy.step()
                finally:
                    turns.give_back()
                self._watch_deadline(candidacy, loop)
                by = self._clock.now()
                if due > by and candidacy not in self._again:
                    break
        except Exception as error:  # noqa: BLE001 (logged in full; one lease must not end the thread of all)
            log(logging.ERROR, "a fault in the candidacy for lease %s; trying again", candidacy.lease, error=error)
            due = self._clock.now() + candidacy.config.retry_period
        finally:
            del self._tasks[candidacy]
            self._again.discard(candidacy)
            self._have_told(loop)
        if due < math.inf:
            delay = max(due - self._clock.now(), SOONEST)
            # Nobody waits for what time brings, as a renewal: what somebody asked for goes first, for a while.
            held_for = candidacy.held_until - due if candidacy.held_until > -math.inf else math.inf
            patience = min(candidacy.config.retry_period, max(0.0, held_for)) / 2
            self._timers[candidacy] = loop.call_at(loop.time() + delay, self._serve_soon, candidacy, patience)

    def _have_told(self, loop: AbstractEventLoop) -> None:
        """What was measured in a burst is told at its end, or, where some requests hang, once in a while."""
        if not self._tasks:
            if self._telling:
                self._telling.cancel()
            self._tell()
        elif self._telling is None:
            self._telling = loop.call_later(TELL_BY, self._tell)

    def _tell(self) -> None:
        self._telling = None
        catch_up()

    def _watch_deadline(self, candidacy: Driven, loop: AbstractEventLoop) -> None:
        """See that a hold ends in time, also while its next step waits for the requests of others."""
        until = candidacy.held_until
        if until > -math.inf:
            self._holding[candidacy] = None
            if self._sweep is None or until < self._sweep_at:
                self._sweep_by(until, loop)
        else:
            self._holding.pop(candidacy, None)

    def _sweep_by(self, until: float, loop: AbstractEventLoop) -> None:
        if self._sweep:
            self._sweep.cancel()
        self._sweep_at = until
        when = loop.time() + until - self._clock.now()  # rounded down, it would come too early, again and again
        self._sweep = loop.call_at(math.nextafter(when, math.inf), self._end_overdue, loop)

    def _end_overdue(self, loop: AbstractEventLoop) -> None:
        self._sweep = None
        now = self._clock.now()
        for candidacy in tuple(self._holding):
            if candidacy.held_until <= now:
                candidacy.expire()
            if candidacy.held_until == -math.inf:
                del self._holding[candidacy]
        if self._holding:
            self._sweep_by(min(candidacy.held_until for candidacy in self._holding), loop)


class _BootClockLoop(asyncio.SelectorEventLoop):
    """A loop that reads our clock: a stock one is stopped for good by a test that freezes ``time``."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(_native_selector())
        self._boot_now = clock.now

    def time(self) -> float:
        return self._boot_now()


def _native_selector() -> selectors.BaseSelector | None:
    if patched_by() == "gevent":
        original: Any = sys.modules["gevent.monkey"].get_original("selectors", "DefaultSelector")
        return original()  # type: ignore[no-any-return]
    if patched_by() == "eventlet":
        poll_like: Any = selectors._PollLikeSelector  # noqa: SLF001 (eventlet removes its subclasses)
        poll = sys.modules["eventlet.patcher"].original("select").poll
        parts = {"_selector_cls": poll, "_EVENT_READ": select.POLLIN, "_EVENT_WRITE": select.POLLOUT}
        return type("NativePollSelector", (poll_like,), parts)()  # type: ignore[no-any-return]
    return None


class RenewerThread(Renewer):
    """A renewer with a daemon thread of its own, started when it is first needed."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__(clock)
        self._started = False

    def wake(self, candidacy: Driven) -> None:
        super().wake(candidacy)
        if not self._started:
            start_thread(self._run_thread, "singleton-jobs-renewer")

    def _run_thread(self) -> None:
        with self._mutex:  # it says by itself that it runs: whoever starts it may be interrupted
            first, self._started = not self._started, True
        if not first:
            return
        try:
            loop = _BootClockLoop(self._clock)
        except OSError as error:
            log(logging.ERROR, "the renewal thread cannot start; the next call tries again", error=error)
            self._started = False
            return
        loop.run_until_complete(self.run())


_shared: RenewerThread | None = None
_inherited: list[RenewerThread] = []


def shared_renewer() -> RenewerThread:
    """The process's renewer."""
    notice_fork()
    global _shared
    if _shared is None:
        _shared = RenewerThread()
    return _shared


def _after_fork_in_child() -> None:
    """Leave the parent's loop and sockets alone, and alive: closing them would close the parent's."""
    global _shared
    if _shared:
        _inherited.append(_shared)
        _shared = None


at_fork(_after_fork_in_child)
