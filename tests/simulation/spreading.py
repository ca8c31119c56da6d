"""What a spread guard does in a simulated replica: each job has a lease of its own, taken by whoever runs a fire of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from singleton_jobs import LeadershipLost
from singleton_jobs.decisions.bids import Bid, PlannedBid, Scout
from singleton_jobs.decisions.ledger import Claim, Mark
from singleton_jobs.leading.spread import SpreadLeases
from singleton_jobs.term import Term

if TYPE_CHECKING:
    from simulation.process import Process

BASE = "spread"
SPREAD = {"ticks": 4.0, "repeats": 6.0}  # jobs, and the seconds from one run to the next, counted from the mark
REPEATED = "repeats"  # the one that runs again if it was cut short
MOST = 3  # attempts
JITTER = 0.2  # of an interval, by which the plans of replicas differ
TURNS = (0.0, 0.0, 0.015, 0.3)  # seconds that a bid leaves to others
IMPATIENT = 0.15  # chance that a bid is given up before it is known what became of it


class SpreadJob:
    """One job of one replica's scheduler."""

    def __init__(self, process: Process, leases: SpreadLeases, job: str, rng: Random) -> None:
        self.job = job
        self.key = f"aps:default:{job}"
        self._process = process
        self._rng = rng
        self._part = leases.part(job)
        self._part.jobs.add(self.key)
        self._period = timedelta(seconds=SPREAD[job])
        self._news = asyncio.Event()
        self._candidacy = self._part.open(self._news.set)

    async def run(self) -> None:
        """Run what is due, for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._rng.uniform(0.1, 1) * self._process.config.retry_period):
                    await self._news.wait()
            self._news.clear()
            if not self._candidacy.candidate.releasing:
                await self._look()

    async def _look(self) -> None:
        candidacy, candidate = self._candidacy, self._candidacy.candidate
        with candidacy.mutex:
            takeable = candidate.knows(candidacy.clock.now()) and candidate.is_free(candidacy.clock.wall())
        if not takeable:
            if not candidate.wanted:
                self._start(Scout())
            return
        mark = candidacy.fires.stored(self.key)
        if mark and mark.attempts and mark.attempts[0].number >= MOST:
            await self._try(PlannedBid(self.key, mark, ()))
        elif claim := self._due(mark):
            await self._try(PlannedBid(self.key, mark, (claim,), self._rng.choice(TURNS)))

    def _due(self, mark: Mark | None) -> Claim | None:
        by, nonce = self._candidacy.identity, self._part.core.nonce()
        if mark and mark.attempts:
            cut = mark.attempts[0]
            return Claim(self.key, cut.fire, nonce, repeats=True, after=cut, by=by)
        now = datetime.fromtimestamp(self._candidacy.clock.wall(), UTC)
        fire = now
        if mark:
            first = mark.fire + self._period * self._rng.uniform(1, 1 + JITTER)
            missed = max(0, (now - first) // self._period)
            fire = first + missed * self._period
        if fire > now:
            return None
        return Claim(self.key, fire, nonce, repeats=self.job == REPEATED, by=by)

    def _start(self, bid: Bid) -> bool:
        return self._candidacy.start(unless=lambda: self._part.core.closed, bid=bid)

    async def _try(self, bid: PlannedBid) -> None:
        candidacy, entry = self._candidacy, object()
        if not self._start(bid):
            return
        try:
            await self._answer()
            if term := candidacy.work.enter(entry):
                with suppress(LeadershipLost):
                    await self._granted(term, bid)
                candidacy.work.exit(entry)
        finally:
            candidacy.work.exit(entry)
            candidacy.change(self._leave)

    async def _answer(self) -> None:
        """Until it is known what became of the bid, or nobody waits for that any more."""
        candidacy = self._candidacy
        until = candidacy.clock.now() + self._rng.uniform(0, 2) * self._process.config.retry_period
        patient = self._rng.random() >= IMPATIENT

        def answered() -> bool:
            return candidacy.term is not None or not candidacy.candidate.wanted

        await candidacy.changed.wait(answered, float("inf") if patient else until, block=False)

    async def _granted(self, term: Term, bid: PlannedBid) -> None:
        """Run what was granted. Raises LeadershipLost."""
        fires, mark = self._candidacy.fires, bid.mark
        if not bid.planned:
            for attempt in mark.attempts if mark else ():
                fires.give_up(self.key, attempt)
            return
        (claim,) = bid.planned
        if not await fires.decision(term, claim, block=False):
            return
        self._process.cluster.referee.won(self._process, term, self.job, claim)
        try:
            for _ in range(self._rng.randrange(4)):
                await self._process.piece(term.lease, term)
            term.check()
        except BaseException:
            fires.interrupted(claim)
            raise
        fires.ended(self.key, claim.fire, claim.nonce, ok=True, soon=False)

    def _leave(self, now: float) -> None:
        candidate = self._candidacy.candidate
        if candidate.hold or candidate.wanted:
            candidate.stop(now)


def spread(process: Process, rng: Random) -> list[SpreadJob]:
    """The jobs of a spread guard, to be run by ``process``."""
    leases = SpreadLeases(process.replica._core, BASE, None)
    return [SpreadJob(process, leases, job, rng) for job in SPREAD]
