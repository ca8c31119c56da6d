"""Fire claims: they ride in the holder's own writes, and what is wrong with the ledger that keeps them is told."""

import math
from datetime import UTC, datetime
from typing import Literal, Protocol

from ..concurrency.clock import Clock
from ..concurrency.synchronization import Signal
from ..concurrency.threads import OwnedLock
from ..decisions.candidate import Candidate
from ..decisions.ledger import WARN_AT, Attempt, Claim, Mark, UnreadableLedger
from ..events import (
    FireEnded,
    FireGranted,
    FireInterrupted,
    FireMissed,
    FireSkipped,
    LedgerLarge,
    LedgerUnreadable,
    MarkLowered,
)
from ..term import Term
from .reporter import Reporter

__all__ = ["Claimant", "FireClaims"]


class Claimant(Protocol):
    """What fire claims need of the candidacy whose lease carries their ledger."""

    term: Term | None
    pretending: bool
    candidate: Candidate
    mutex: OwnedLock
    clock: Clock
    changed: Signal
    reporter: Reporter

    def wake(self) -> None:
        """Have it decided anew what to do."""


class FireClaims:
    """What one process asks of, and tells, the ledger of one lease; jobs go by their keys in it."""

    def __init__(self, claimant: Claimant) -> None:
        self._claimant = claimant
        self._open = claimant.candidate.claims  # touched only under the mutex
        self._unreadable: str | None = None  # why the ledger could not be read, as people were told
        self._large = False  # people were told that the ledger is

    async def claim(self, term: Term, claim: Claim, *, block: bool) -> bool:
        """Whether ``claim`` was granted to ``term``. Raises LeadershipLost when the term ends before that is known."""
        try:
            self.ask(term, claim)
            return await self.decision(term, claim, block=block)
        except BaseException:
            with self._claimant.mutex:
                self._open.give_up(claim)
            raise

    def ask(self, term: Term, *claims: Claim, soon: bool = True) -> None:
        """Have ``claims`` sent with one write, the next, in this order; `decision` tells what came of each.

        Not ``soon``: once the candidacy is woken, so that what is asked until then rides in the same write.
        """
        term.check()
        if self._claimant.pretending:
            for claim in claims:
                claim.outcome = "granted"
            return
        with self._claimant.mutex:
            now = self._claimant.clock.now()
            if self._claimant.term is term:
                for claim in claims:
                    claim.asked_at = now
                    self._open.add(claim, now)
        if soon:
            self._claimant.wake()

    async def decision(self, term: Term, claim: Claim, *, block: bool) -> bool:
        """Whether ``claim``, asked under ``term``, was granted. Raises LeadershipLost if the term ended before.

        It may have landed all the same. While its nonce is the mark's, the caller may run it under the next term of
        this candidacy, or tell that it is `interrupted`.
        """

        def decided() -> bool:
            return claim.outcome is not None or self._claimant.term is not term

        try:
            await self._claimant.changed.wait(decided, math.inf, block=block)
        finally:
            with self._claimant.mutex:
                self._open.withdraw(claim)
        if claim.outcome != "refused":
            term.check()  # also a claim that was granted too late gives no right to run
        granted = claim.outcome == "granted"
        if granted and claim.after:
            self._tell_cut(claim.job, claim.after, "rerun")
        if granted and claim.asked_at is not None:
            seconds = self._claimant.clock.now() - claim.asked_at
            self._claimant.reporter.measure(FireGranted, claim.job, claim.fire.astimezone(UTC), seconds)
        return granted

    def marks(self) -> dict[str, Mark]:
        """The last claimed fire of every job, as far as they were seen here, and what is about to be introduced."""
        with self._claimant.mutex:
            seen = self._claimant.candidate.seen
            try:
                return self._open.introduced | self._open.read(seen.ledger if seen else None)
            except UnreadableLedger:
                return dict(self._open.introduced)  # an event says so when something is claimed

    def stored(self, job: str) -> Mark | None:
        """The last claimed fire of ``job``, as it was seen stored."""
        with self._claimant.mutex:
            try:  # also of a lease that has vanished: whoever makes it anew writes that into it
                return self._open.read(self._claimant.candidate.last_ledger).get(job)
            except UnreadableLedger:
                return None

    def mark(self, job: str) -> Mark | None:
        """The last claimed fire of ``job``, as far as it was seen here."""
        return self.marks().get(job)

    @property
    def led_until(self) -> datetime | None:
        """When whoever led before the present term wrote last; what was claimed by then is in the ledger."""
        term = self._claimant.term
        return term._hold.written_before if term else None

    def introduce(self, marks: dict[str, datetime]) -> None:
        """Give jobs that have no mark one, with the next write: only later fires of theirs are due."""
        with self._claimant.mutex:
            self._open.introduce(marks)

    def know(self, jobs: set[str]) -> None:
        """Keep the marks of ``jobs``, a set that may grow, however old they get."""
        self._open.known = jobs

    def done(self, job: str, nonce: str, *, soon: bool = True) -> None:
        """The run that was claimed under ``nonce`` has ended; the ledger is told at once if it might run again, else
        with the next write, also if not ``soon``, as when the lease is about to be given back.
        """
        if self._claimant.pretending:
            return
        with self._claimant.mutex:
            urgent = self._open.done(job, nonce)
        if urgent and soon:
            self._claimant.wake()

    def ended(self, job: str, fire: datetime, nonce: str, *, ok: bool, soon: bool = True) -> None:
        """`done`, and hooks are told how: not ``ok``, it raised."""
        self.done(job, nonce, soon=soon)
        self._claimant.reporter.measure(FireEnded, job, fire.astimezone(UTC), ok)

    def interrupted(self, claim: Claim) -> None:
        """The run that was granted to ``claim`` was cut short: a later attempt follows, or people are told of it."""
        with self._claimant.mutex:
            if claim.repeats and not self._claimant.pretending:  # else there is no ledger to find it in
                self._open.give_up(claim)
            else:
                self._open.done(claim.job, claim.nonce)
                self._claimant.reporter.tell(FireInterrupted, claim.job, claim.fire.astimezone(UTC))

    def cut(self) -> dict[str, list[Attempt]]:
        """By job, the attempts that were cut short and may be followed by others; none but under a term."""
        with self._claimant.mutex:
            return self._open.cut()

    def cut_of(self, job: str, most: int) -> list[Attempt]:
        """The attempts at fires of ``job`` that others are to follow, ``most`` in all; of the rest people are told."""
        found = self.cut().get(job, [])
        for attempt in found:
            if attempt.number >= most:
                self.give_up(job, attempt, "skipped" if most == 1 else "gave-up")
        return [attempt for attempt in found if attempt.number < most]

    def give_up(self, job: str, attempt: Attempt, then: Literal["skipped", "gave-up"] = "gave-up") -> None:
        """No other attempt follows ``attempt``: tell people and the ledger."""
        self.done(job, attempt.nonce)
        self._tell_cut(job, attempt, then)

    def _tell_cut(self, job: str, attempt: Attempt, then: Literal["skipped", "rerun", "gave-up"]) -> None:
        self._claimant.reporter.tell(FireInterrupted, job, attempt.fire, attempt.number, then)

    def skipped(self, job: str, fire: datetime, reason: str) -> None:
        """Tell people of a fire that does not run here; ``reason`` as in `singleton_jobs.events.FireSkipped`."""
        self._claimant.reporter.tell(FireSkipped, job, fire.astimezone(UTC), reason)

    def missed(self, job: str, fire: datetime) -> None:
        """Tell people of a fire that was too late to run."""
        self._claimant.reporter.tell(FireMissed, job, fire.astimezone(UTC))

    def store_time(self) -> datetime:
        """The store's own time now; the host's where the store does not tell."""
        clock = self._claimant.clock
        with self._claimant.mutex:
            return self._claimant.candidate.store_clock.time(clock.now(), clock.wall())

    def report(self) -> None:
        """Tell what the last answer showed of the ledger; under the mutex."""
        claims, tell = self._open, self._claimant.reporter.tell
        if claims.unreadable and claims.unreadable != self._unreadable:
            tell(LedgerUnreadable, claims.unreadable)
        large = claims.size > WARN_AT
        if large and not self._large:
            tell(LedgerLarge, claims.size)
        self._unreadable, self._large = claims.unreadable, large
        lowered, claims.lowered = claims.lowered, {}
        for job, mark in lowered.items():
            tell(MarkLowered, job, mark.fire)
        interrupted, claims.interrupted = claims.interrupted, {}
        for job, mark in interrupted.items():
            tell(FireInterrupted, job, mark.fire)
