"""An event loop whose time stands still while anything is to do, and then jumps to the next timer."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

from singleton_jobs.renewal.candidacy import Candidacy
from singleton_jobs.decisions.candidate import Candidate
from singleton_jobs.concurrency.clock import Clock
from singleton_jobs.config import Config
from singleton_jobs.errors import Conflict
from singleton_jobs.events import Event
from singleton_jobs.locks.record import LockRecord, Stored
from singleton_jobs.renewal.renewer import Renewer

START = 1_800_000_000.0


class _Selector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.wake_ups = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if timeout is None and not ready:
            raise RuntimeError("everybody waits for ever")
        if timeout and not ready:
            self.now += timeout
            self.wake_ups += 1
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.selector = _Selector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.now


class Steady:
    """Chance without surprises."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


class Cell:
    """Where one lease is stored; counts what is asked of it, and can hang."""

    def __init__(self) -> None:
        self.stored: Stored | None = None
        self.reads = 0
        self.writes: list[float] = []
        self.silent = False

    async def reach(self) -> None:
        if self.silent:
            await asyncio.get_running_loop().create_future()


class CellLock:
    """The least that a resource lock has to do."""

    def __init__(self, cell: Cell, identity: str) -> None:
        self.cell = cell
        self.identity = identity
        self.cut_off = False

    def describe(self) -> str:
        return "a lease in a simulation"

    async def get(self) -> Stored | None:
        self.cell.reads += 1
        await self._reach()
        return self.cell.stored

    async def create(self, record: LockRecord, *, ledger: str | None = None) -> Stored:
        return await self._put(record, None, ledger)

    async def update(self, record: LockRecord, replaces: Stored, *, ledger: str | None = None) -> Stored:
        return await self._put(record, replaces, ledger)

    async def record_event(self, text: str) -> None:
        pass

    async def _reach(self) -> None:
        if self.cut_off:
            await asyncio.get_running_loop().create_future()
        await self.cell.reach()

    async def _put(self, record: LockRecord, replaces: Stored | None, ledger: str | None) -> Stored:
        self.cell.writes.append(asyncio.get_running_loop().time())
        await self._reach()
        found = self.cell.stored
        if (found and found.version) != (replaces and replaces.version):
            raise Conflict("another version")
        version = found.version + 1 if found else 1
        self.cell.stored = Stored(record, ledger, "uid-1", version)
        return self.cell.stored


class Simulation:
    """One renewer per process on one virtual loop."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.clock = Clock(now=self.loop.time, wall=lambda: START + self.loop.time())
        self.events: list[tuple[float, Event]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def renewer(self) -> Renewer:
        renewer = Renewer(self.clock)
        self._tasks.append(self.loop.create_task(renewer.run()))
        return renewer

    def candidacy(
        self,
        renewer: Renewer,
        cell: Cell,
        identity: str = "me_1",
        config: Config | None = None,
        lane: object = None,
    ) -> Candidacy:
        candidate = Candidate(identity, config or Config(), Steady())
        lock = CellLock(cell, identity)
        emit: Callable[[Event], None] = lambda event: self.events.append((self.loop.time(), event))
        return Candidacy("nightly", candidate, lock, self.clock, renewer, emit, sticky=True, lane=lane)

    def run(self, scenario: Coroutine[Any, Any, None]) -> None:
        try:
            self.loop.run_until_complete(scenario)
        finally:
            left = asyncio.all_tasks(self.loop)
            for task in left:
                task.cancel()
            if left:
                self.loop.run_until_complete(asyncio.wait(left))
            self.loop.close()
