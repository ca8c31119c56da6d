"""A candidacy whose lease carries a ledger: claims go through it, and what is wrong with the ledger is told."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ..decisions.ledger import WARN_AT, Claim, Mark, UnreadableLedger, read_ledger
from ..events import (
    ClockOff,
    FireEnded,
    FireGranted,
    FireInterrupted,
    FireMissed,
    FireSkipped,
    LedgerLarge,
    LedgerUnreadable,
    MarkLowered,
    StepDownRequested,
)
from ..term import Term
from .candidacy import Candidacy

__all__ = ["ClaimingCandidacy"]


class ClaimingCandidacy(Candidacy):
    """Adds claims to a `Candidacy`; they ride in the holder's own writes."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._unreadable: str | None = None
        self._large = False
        self._clock_off = False
        self._is_fit: Callable[[float], bool] = _always

    def only_while(self, is_fit: Callable[[float], bool]) -> None:
        """Hold the lease only while ``is_fit(now)``, which is asked before each request; `wake` when it is again."""
        self._is_fit = is_fit

    async def step(self) -> float:
        """Carry out one decision. A holder that is not fit leaves at once, without a release if its work goes on; one
        whose clock is off, when its running work has ended.
        """
        self.unfit = not self._is_fit(self.clock.now())
        if self.unfit and self.term and not self.draining:
            self.drain(again=True)
            self.cut_drain()
        due = await super().step()
        off = self._candidate.clock_off
        if off and not self._clock_off:
            self._emit(ClockOff(self.lease, self.identity, off))
        self._clock_off = bool(off)
        if off and self.term and self._sticky and not self.draining:
            self.drain(again=True)
        if self._candidate.asked_to_step_down and self._sticky and not self.draining:
            self._emit(StepDownRequested(self.lease, self.identity))
            self.drain(again=True, rest=self.step_down_rest)
        return due

    async def claim(self, term: Term, claim: Claim, *, block: bool) -> bool:
        """Whether ``claim`` was granted to ``term``. Raises LeadershipLost when the term ends before that is known."""
        try:
            self.ask(term, claim)
            return await self.decision(term, claim, block=block)
        except BaseException:
            with self._mutex:
                self._candidate.claims.give_up(claim)
            raise

    def ask(self, term: Term, *claims: Claim) -> None:
        """Have ``claims`` sent with one write, the next, in this order; `decision` tells what came of each."""
        term.check()
        if self._pretending:
            for claim in claims:
                claim.outcome = "granted"
            return
        with self._mutex:
            now = self.clock.now()
            if self.term is term:
                for claim in claims:
                    claim.asked_at = now
                    self._candidate.claims.add(claim, now)
        self._driver.wake(self)

    async def decision(self, term: Term, claim: Claim, *, block: bool) -> bool:
        """Whether ``claim``, asked under ``term``, was granted. Raises LeadershipLost if the term ended before.

        It may have landed all the same. While its nonce is the mark's, the caller may run it under the next term of
        this candidacy, or tell that it is `interrupted`.
        """
        try:
            await self.changed.wait(lambda: claim.outcome is not None or self.term is not term, math.inf, block=block)
        finally:
            with self._mutex:
                self._candidate.claims.withdraw(claim)
        if claim.outcome != "refused":
            term.check()  # also a claim that was granted too late gives no right to run
        granted = claim.outcome == "granted"
        if granted and claim.asked_at is not None and self._measure:
            fire, seconds = claim.fire.astimezone(UTC), self.clock.now() - claim.asked_at
            self._measure(FireGranted(self.lease, self.identity, claim.job, fire, seconds))
        return granted

    def marks(self) -> dict[str, Mark]:
        """The last claimed fire of every job, as far as they were seen here, and what is about to be introduced."""
        with self._mutex:
            seen, introduced = self._candidate.seen, dict(self._candidate.claims.introduced)
        try:
            return introduced | read_ledger(seen.ledger if seen else None)
        except UnreadableLedger:
            return introduced  # an event says so when something is claimed

    @property
    def led_until(self) -> datetime | None:
        """When whoever led before the present term wrote last; what was claimed by then is in the ledger."""
        term = self.term
        return term._hold.written_before if term else None

    def mark(self, job: str) -> Mark | None:
        """The last claimed fire of ``job``, as far as it was seen here."""
        return self.marks().get(job)

    def introduce(self, marks: dict[str, datetime]) -> None:
        """Give jobs that have no mark one, with the next write: only later fires of theirs are due."""
        with self._mutex:
            self._candidate.claims.introduce(marks)

    def know(self, jobs: set[str]) -> None:
        """Keep the marks of ``jobs``, a set that may grow, however old they get."""
        self._candidate.claims.known = jobs

    def done(self, job: str, nonce: str) -> None:
        """The run that was claimed under ``nonce`` has ended; the next renewal tells the ledger."""
        if self._pretending:
            return
        with self._mutex:
            self._candidate.claims.done(job, nonce)

    def ended(self, job: str, fire: datetime, nonce: str, *, ok: bool) -> None:
        """`done`, and hooks are told how: not ``ok``, it raised."""
        self.done(job, nonce)
        if self._measure:
            self._measure(FireEnded(self.lease, self.identity, job, fire.astimezone(UTC), ok))

    def interrupted(self, job: str, fire: datetime, nonce: str) -> None:
        """The fire that was claimed under ``nonce`` will not run, here or anywhere: tell people and the ledger."""
        with self._mutex:
            self._candidate.claims.done(job, nonce)
            self._emit(FireInterrupted(self.lease, self.identity, job, fire.astimezone(UTC)))

    def skipped(self, job: str, fire: datetime, reason: str) -> None:
        """Tell people of a fire that does not run here; ``reason`` as in `singleton_jobs.events.FireSkipped`."""
        self._emit(FireSkipped(self.lease, self.identity, job, fire.astimezone(UTC), reason))

    def missed(self, job: str, fire: datetime) -> None:
        """Tell people of a fire that was too late to run."""
        self._emit(FireMissed(self.lease, self.identity, job, fire.astimezone(UTC)))

    def store_time(self) -> datetime:
        """The store's own time now; the host's where the store does not tell."""
        with self._mutex:
            return self._candidate.store_time(self.clock.now(), self.clock.wall())

    def _report(self) -> None:
        claims = self._candidate.claims
        if claims.unreadable and claims.unreadable != self._unreadable:
            self._emit(LedgerUnreadable(self.lease, self.identity, claims.unreadable))
        large = claims.size > WARN_AT
        if large and not self._large:
            self._emit(LedgerLarge(self.lease, self.identity, claims.size))
        self._unreadable, self._large = claims.unreadable, large
        lowered, claims.lowered = claims.lowered, {}
        for job, mark in lowered.items():
            self._emit(MarkLowered(self.lease, self.identity, job, mark.fire))
        interrupted, claims.interrupted = claims.interrupted, {}
        for job, mark in interrupted.items():
            self._emit(FireInterrupted(self.lease, self.identity, job, mark.fire))


def _always(now: float) -> bool:
    return True
