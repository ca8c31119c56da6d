"""Several simulated replicas, the API server between them, and the one scheduler that steps them all."""

from __future__ import annotations

import hashlib
import heapq
import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import singleton_jobs.concurrency.telling
import singleton_jobs.leading.core
from singleton_jobs import Config
from singleton_jobs.leading.lease_uses import LeaseUses

from simulation.apiserver import Server
from simulation.process import Process
from simulation.referee import Referee
from simulation.stepping import HostClock

START = 1_800_000_000.0


class Cluster:
    """Time passes from one thing to do to the next; between two of them nothing happens anywhere."""

    def __init__(self, seed: object, leases: dict[str, dict[str, float]]) -> None:
        self.time = 0.0
        self.stormy = False
        self.seed = seed
        self.leases = leases  # those that somebody must lead, each with its jobs and their periods
        self.referee = Referee(self)
        self.server = Server(self.server_time, self.referee.stored)
        self.processes: list[Process] = []
        self.graves: list[Process] = []  # crashed processes are kept: their ends must not run in the midst of others'
        self.trace: list[tuple[Any, ...]] = []
        self.role = self.rng("role").choice(["all", "all", "by name", "by name", "polling"])
        self.waiting: dict[str, tuple[float, str]] = {}  # leases whose holder went away in calm, since when and how
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def rng(self, *what: object) -> Random:
        """Chance for one purpose: what is drawn for others does not change it."""
        return Random(repr((self.seed, *what)))

    def server_time(self) -> float:
        return START + self.time

    def after(self, delay: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self.time + delay, next(self._numbers), action))

    def note(self, who: object, what: str, *more: object) -> None:
        self.trace.append((round(self.time, 6), str(who), what, *more))

    def digest(self) -> str:
        """Equal for two runs in which the same happened."""
        return hashlib.sha256(repr(self.trace).encode()).hexdigest()[:16]

    def start(self, name: str, host: HostClock, config: Config) -> Process:
        process = Process(self, name, host, config, self.rng("process", name))
        self.processes.append(process)
        self.note(process, "starts")
        return process

    def bury(self, process: Process) -> None:
        """It is no more; what it sent may still land."""
        process.alive = False
        self.processes.remove(process)
        self.graves.append(process)

    def led(self, lease: str, process: Process) -> None:
        """Somebody leads: how long did nobody?"""
        since, how = self.waiting.pop(lease, (0.0, ""))
        if how == "crash":
            self.referee.tally.crash_gaps.append(self.time - since)
        elif how == "release":
            self.referee.tally.release_gaps.append(self.time - since)

    def run(self, until: float) -> None:
        """Let everything happen that is due by ``until``; a process in the midst of a step is left alone."""
        while True:
            at, who = until, None
            for process in self.processes:
                if not process.stepping and (due := process.due()) is not None and due < at:
                    at, who = due, process
            if self._agenda and self._agenda[0][0] <= at and self._agenda[0][0] < until:
                at, _, action = heapq.heappop(self._agenda)
                self.time = max(self.time, at)
                action()
            elif who:
                self.time = max(self.time, at)
                self._step(who)
            else:
                self.time = max(self.time, until)
                return

    def _step(self, process: Process) -> None:
        outer = _dispatcher.current
        _dispatcher.current = process
        try:
            process.step()
        finally:
            _dispatcher.current = outer
        if process.alive:
            self.referee.look(process)
        if self.referee.verdict:
            raise self.referee.verdict

    def close(self) -> None:
        """Leave nothing behind, and let nothing run any more."""
        for process in (*self.processes, *self.graves):
            process.abolish()


class _Dispatcher:
    """Stands where the dispatcher's thread does: what is told waits until its process is through with its step."""

    def __init__(self) -> None:
        self.current: Process | None = None

    def submit(self, task: Callable[[], None], *, soon: bool = True) -> None:
        if self.current and self.current.alive:
            self.current.told.append(task)

    def call_up(self) -> None:
        pass


class _Faults(logging.Handler):
    """A fault that the library only logs is one all the same."""

    def emit(self, record: logging.LogRecord) -> None:
        process = _dispatcher.current
        if process and record.exc_info and record.exc_info[1]:
            process.cluster.referee.broken(f"{record.getMessage()}: {record.exc_info[1]!r}")


_dispatcher = _Dispatcher()


@contextmanager
def simulated() -> Iterator[None]:
    """Inside, the process-wide parts of the library belong to the simulation: the dispatcher, the registry, the log."""
    worker, uses = singleton_jobs.concurrency.telling.worker, singleton_jobs.leading.core._uses
    logger, handler = singleton_jobs.concurrency.telling.logger, _Faults(logging.ERROR)
    level, propagate = logger.level, logger.propagate
    singleton_jobs.concurrency.telling.worker = _dispatcher  # type: ignore[assignment]
    singleton_jobs.leading.core._uses = LeaseUses()
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    try:
        yield
    finally:
        singleton_jobs.concurrency.telling.worker = worker
        singleton_jobs.leading.core._uses = uses
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
