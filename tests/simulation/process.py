"""One simulated replica: a process with the library's own code in it, and a program that uses it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any

from singleton_jobs import Config, LeadershipLost, Replica, StoreError, current_term
from singleton_jobs.concurrency.clock import Clock
from singleton_jobs.renewal.renewer import Renewer
from singleton_jobs.term import Term

from simulation.network import Network, SimulatedStore
from simulation.spreading import SpreadJob, spread
from simulation.stepping import HostClock, SteppedLoop

if TYPE_CHECKING:
    from simulation.cluster import Cluster
    from simulation.streams import Stream

GRACE = 300.0  # seconds after which a fire is too old to be worth running
DRAIN = 10.0
NAPS = 0.003  # chance of a long stall after a check
LAST_ROUNDS = 10  # of cancelling what is left of a run
REPEATED = "again"  # the job whose fires run again if they were cut short
MOST = 4  # attempts


class Process:
    """Runs on ``host``; ``name`` is new with each start."""

    def __init__(self, cluster: Cluster, name: str, host: HostClock, config: Config, rng: Random) -> None:
        self.cluster = cluster
        self.name = name
        self.slot = int(name.partition("-")[2].partition(".")[0])
        self.host = host
        self.config = config
        self.alive = True
        self.stopping = False
        self.paused_until: float | None = None  # of the cluster's time
        self.stepping = False
        self.stall: tuple[int, float] | None = None  # so many clock reads from now, for so long
        self.last_read = -math.inf
        self.told: list[Callable[[], None]] = []  # what the dispatcher's thread has to do
        self.clock = Clock(now=self._read, wall=host.wall)
        self.loop = SteppedLoop(host.now)
        self.network = Network(cluster, self, rng)
        self.replica = Replica(
            SimulatedStore(f"simulated/{name}", self.network),
            identity=name,
            config=config,
            clock=self.clock,
            rng=rng,
            driver=self._new_renewer(),
        )
        self.identity = self.replica.identity
        self._rng = rng
        self._work: list[asyncio.Task[Any]] = []
        self._jobs: list[SpreadJob] = []  # kept, as the library refers to their parts weakly

    def __str__(self) -> str:
        return self.name

    def _new_renewer(self) -> Renewer:
        self.renewer = Renewer(self.clock)
        self._serving = self.loop.create_task(self.renewer.run())
        return self.renewer

    def _read(self) -> float:
        """The clock as the library reads it: time may pass right after, before anything is done with it."""
        read = self.last_read = self.host.now()
        if self.stall and self.stepping:
            reads, span = self.stall
            self.stall = (reads - 1, span) if reads > 1 else None
            if reads <= 1:
                self.cluster.note(self, "stalls", round(span, 3))
                self.cluster.run(self.cluster.time + span)
        return read

    @property
    def awake(self) -> bool:
        return self.alive and not self.stepping and self.paused_until is None

    def due(self) -> float | None:
        """When it has something to do, in the cluster's time."""
        due = self.loop.due()
        if due is None:
            return None
        return max(self.host.world_time(due) if due > -math.inf else -math.inf, self.paused_until or -math.inf)

    def step(self) -> None:
        """Run what is due, and then tell what is to be told."""
        self.stepping = True
        self.paused_until = None
        try:
            self.loop.step()
            while self.told:
                self.told.pop(0)()
        finally:
            self.stepping = False
        for failure in self.loop.failures:
            raise failure.get("exception") or RuntimeError(failure["message"])

    def streams(self) -> list[Stream]:
        """The watches that it has at present."""
        return [stream for stream in self.cluster.server.streams if stream.of(self)]

    def candidacies(self) -> list[Any]:
        return self.replica._core.candidacies()

    def held(self) -> dict[str, Term]:
        """The terms that would pass their check at this instant, by their leases; looked at without asking them."""
        if not self.alive:
            return {}
        now = self.host.now()
        terms = ((candidacy.lease, candidacy.term) for candidacy in self.candidacies())
        return {lease: term for lease, term in terms if term and now < term._hold.until}

    def holds(self, lease: str) -> Term | None:
        """The term under a lease that would pass its check at this instant."""
        return self.held().get(lease)

    # The program

    def lead(self, lease: str, jobs: dict[str, float]) -> None:
        """Work continuously while leading, and run scheduled jobs."""
        self._spawn(self.replica.leadership(lease).run(lambda term: self._main(lease, term)))
        for job, period in jobs.items():
            self._spawn(self._schedule(lease, job, period))

    def tick(self, lease: str, period: float) -> None:
        """Call a guarded function again and again."""

        @self.replica.leader_only(lease)
        async def tick() -> None:
            term = current_term()
            assert term
            await self.piece(lease, term)

        async def ticks() -> None:
            while True:
                await asyncio.sleep(self._rng.uniform(0.5, 1.5) * period)
                with suppress(LeadershipLost):
                    await tick()

        self._spawn(ticks())

    def contend(self, lease: str, period: float) -> None:
        """Take a lock, work, and give it back."""
        locker = self.replica.locker(lease)

        async def contend() -> None:
            while True:
                await asyncio.sleep(self._rng.uniform(0.2, 2) * period)
                try:
                    taken = await locker.alock(self._rng.choice([None, 0.0, 2 * period]))
                except StoreError:
                    continue
                try:
                    while taken and (term := locker.term) and self._rng.random() < 0.7:
                        await self.piece(lease, term, cancelled=False)
                except LeadershipLost:
                    pass
                await locker.aunlock_with_retry(self._rng.choice([None, 0.0]))

        self._spawn(contend())

    def spread(self) -> None:
        """Run the jobs of a spread guard."""
        self._jobs = spread(self, self.cluster.rng("spread", self.name))
        for job in self._jobs:
            self._spawn(job.run())

    async def leave(self) -> None:
        """End as a program does that was told to."""
        self.stopping = True
        for task in self._work[1:]:
            task.cancel()
        await self.replica._core.close(DRAIN, block=False)
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        self.renewer.stop()
        await self._serving

    def go_on_as_child(self) -> None:
        """After a fork: a loop and a driver of its own, since those of the parent belong to its thread."""
        self.loop = SteppedLoop(self.host.now)
        self.replica._core._given_driver = self._new_renewer()
        self.identity = self.replica.identity
        self.told, self.stall, self._work = [], None, []

    def abolish(self) -> None:
        """The run is over: let go of everything, and look no more at how."""
        self.alive, self.stall, self.replica._core.closed = False, None, True
        for _ in range(LAST_ROUNDS):
            left = asyncio.all_tasks(self.loop)
            if not left:
                break
            for task in left:
                task.cancel()
            self.loop.step()
        self.loop.close()

    def _spawn(self, work: Any) -> None:
        self._work.append(self.loop.create_task(work))

    async def _main(self, lease: str, term: Term) -> None:
        while True:
            await self.piece(lease, term)
            await asyncio.sleep(self._rng.uniform(0, 0.5) * self.config.retry_period)

    async def piece(self, lease: str, term: Term, *, cancelled: bool = True) -> None:
        """A piece of work and its effect, each right after a check. Raises LeadershipLost."""
        referee, piece = self.cluster.referee, object()
        term.check()
        if cancelled:
            referee.started(self, lease, term, piece)
        try:
            await asyncio.sleep(self._rng.uniform(0, 1) * self.config.retry_period)
            term.check()
            if self.cluster.stormy and self._rng.random() < NAPS:  # whatever stalls between a check and its effect
                self.cluster.run(self.cluster.time + self._rng.uniform(0, 2) * self.config.lease_duration)
            referee.wrote(self, lease, term)
        finally:
            referee.ended(lease, piece)

    async def _schedule(self, lease: str, job: str, period: float) -> None:
        while True:
            wall = self.clock.wall()
            await asyncio.sleep(max(0.01, period - wall % period))
            with suppress(LeadershipLost):
                await self._dispatch(lease, job, period)

    async def _dispatch(self, lease: str, job: str, period: float) -> None:
        leadership, referee = self.replica.leadership(lease), self.cluster.referee
        due = math.floor(self.clock.wall() / period) * period
        last = leadership.last_fire(job)
        again = period * self._rng.choice([0, 0, 0, 0, 1, 2])  # a scheduler that forgets what it has seen
        fire = max(last.timestamp() + period, due - GRACE) - again if last else due
        if job == REPEATED:
            for cut in leadership.interrupted(job, MOST):
                await self._ask(lease, job, cut.time.timestamp(), cut.attempts + 1)
        while fire <= due and leadership.term:
            await self._ask(lease, job, fire)
            fire += period

    async def _ask(self, lease: str, job: str, fire: float, attempt: int = 1) -> None:
        """Claim a fire, and run it if it is one that may run again. Raises LeadershipLost."""
        leadership, referee = self.replica.leadership(lease), self.cluster.referee
        term, time = leadership.term, datetime.fromtimestamp(fire, UTC)
        if term is None:
            return
        ask = referee.asks(self, term, job, fire, attempt)
        try:
            if job == REPEATED:
                granted = await leadership.claim_async(job, time, interrupted="rerun", max_attempts=MOST)
            else:
                granted = await leadership.claim_async(job, time)
        except LeadershipLost:
            ask.outcome = "undecided"
            raise
        if not granted:
            ask.outcome = "refused"
            return
        referee.granted(ask)
        if job == REPEATED:
            await asyncio.sleep(self._rng.uniform(0, 1) * self.config.retry_period)
            term.check()
            leadership.done(job, time)
