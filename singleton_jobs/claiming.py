"""A candidacy whose lease carries a ledger: claims go through it, and what is wrong with the ledger is told."""

import math
from datetime import datetime
from typing import Any

from .candidacy import Candidacy
from .errors import LeadershipLost
from .events import LedgerLarge, LedgerUnreadable, MarkLowered
from .ledger import WARN_AT, Claim, Mark, UnreadableLedger, read_ledger
from .term import Term

__all__ = ["ClaimingCandidacy"]


class ClaimingCandidacy(Candidacy):
    """Adds claims to a `Candidacy`; they ride in the holder's own writes."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._trouble: tuple[str | None, bool] = (None, False)

    async def claim(self, term: Term, claim: Claim, *, block: bool) -> bool:
        """Whether ``claim`` was granted to ``term``. Raises LeadershipLost when the term ends before that is known."""
        self.ask(term, claim)
        return await self.decision(term, claim, block=block)

    def ask(self, term: Term, claim: Claim) -> None:
        """Have ``claim`` sent with the next write, in the order of asking; `decision` tells what came of it."""
        term.check()
        if self._pretending:
            claim.outcome = "granted"
            return
        with self._mutex:
            if self.term is term:
                self._candidate.claims.add(claim, self.clock.now())
        self._driver.wake(self)

    async def decision(self, term: Term, claim: Claim, *, block: bool) -> bool:
        """Whether ``claim``, asked under ``term``, was granted. Raises LeadershipLost if the term ended before."""
        try:
            await self.changed.wait(lambda: claim.outcome is not None or self.term is not term, math.inf, block=block)
        finally:
            with self._mutex:
                self._candidate.claims.withdraw(claim)
        if claim.outcome != "refused":
            term.check()  # also a claim that was granted too late gives no right to run
        if claim.outcome is None:
            raise LeadershipLost(self.lease, "its term ended before a claim was decided")
        return claim.outcome == "granted"

    def marks(self) -> dict[str, Mark]:
        """The last claimed fire of every job, as far as they were seen here, and what is about to be introduced."""
        with self._mutex:
            seen, introduced = self._candidate.seen, dict(self._candidate.claims.introduced)
        try:
            return introduced | read_ledger(seen.ledger if seen else None)
        except UnreadableLedger:
            return introduced  # an event says so when something is claimed

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
        with self._mutex:
            self._candidate.claims.done(job, nonce)

    def store_time(self) -> datetime:
        """The store's own time now; the host's where the store does not tell."""
        with self._mutex:
            return self._candidate.store_time(self.clock.now(), self.clock.wall())

    def _report(self) -> None:
        claims = self._candidate.claims
        trouble = (claims.unreadable, claims.size > WARN_AT)
        if trouble != self._trouble:
            self._trouble = trouble
            if claims.unreadable:
                self._emit(LedgerUnreadable(self.lease, self.identity, claims.unreadable))
            if claims.size > WARN_AT:
                self._emit(LedgerLarge(self.lease, self.identity, claims.size))
        lowered, claims.lowered = claims.lowered, {}
        for job, mark in lowered.items():
            self._emit(MarkLowered(self.lease, self.identity, job, mark.fire.isoformat()))
