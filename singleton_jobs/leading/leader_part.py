"""LeaderPart: a replica's continuous candidacy for a lease, as guards and schedulers use it."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from ..concurrency.forks import notice_fork
from ..concurrency.synchronization import on_event_loop
from ..errors import SingletonJobsError
from ..skipped import Reason, reason_of
from ..term import CURRENT_TERMS, Term
from .participant import Participant

if TYPE_CHECKING:
    from ..renewal.candidacy import Candidacy

__all__ = ["LeaderPart"]


class LeaderPart(Participant):
    """Sticky: it competes from its start to its end, whether or not work is to be done."""

    role = "a leadership"
    sticky = True

    @property
    def term(self) -> Term | None:
        """The term that is valid at this instant, or None."""
        candidacy = self.candidacy
        term = candidacy.term if candidacy else None
        return term if term is not None and term.is_valid else None

    def prepare(self) -> Candidacy:
        """Find the store without asking it anything. Raises ConfigError if there is none."""
        if not self.core.rejoin():
            raise SingletonJobsError(f"the replica is closed: it cannot compete for lease {self.lease!r} any more")
        with self._mutex:
            return self._open()

    def begin(self, main: Lock | None = None) -> Candidacy:
        """Compete, unless the replica is closed or its mode says otherwise; with ``main``, as long as it is locked."""
        with self._mutex:
            candidacy = self._open()
            if main:
                candidacy.work.mains.add(main)
            if candidacy.started and not self.core.closed:
                candidacy.work.stay()
            if candidacy.started or self.core.mode == "never":
                return candidacy
            if self.core.mode == "always":
                candidacy.pretend()
            else:
                self.core.announce(candidacy)
                candidacy.start(unless=lambda: self.core.closed)
            return candidacy

    async def admit(self, entry: object, *, block: bool, wait: bool = True) -> Term | Reason:
        """The term to run under now, entered; or why not.

        The first call may ``wait`` for the first answer: one request timeout, in seconds, at most.
        """
        notice_fork()
        if self.core.mode == "never":
            return "mode"
        candidacy = self.candidacy
        if self.core.closed or (candidacy and candidacy.work.draining):
            return "draining"
        if candidacy is None or not candidacy.started:
            candidacy = self.begin()
        first_answer_due = candidacy.first_answer_due
        if wait and first_answer_due is not None and not candidacy.settled:
            await candidacy.changed.wait(lambda: candidacy.settled, first_answer_due, block=block)
        return candidacy.work.enter(entry) or self.reason()

    def refusal(self) -> Reason | None:
        """Why a call may not run; None if there is a term to enter, or something is to be started or waited for."""
        notice_fork()
        candidacy = self.candidacy
        if candidacy is None or candidacy.term is not None or not (candidacy.started and candidacy.settled):
            return None
        return self.reason()

    def reason(self) -> Reason:
        """Why guarded work does not run here now."""
        candidacy = self.candidacy
        if self.core.closed:
            return "draining"
        if candidacy is None or not candidacy.settled:
            return "not-ready"
        if candidacy.work.draining:
            return "draining"
        return reason_of(candidacy.error) if candidacy.error else "not-leader"

    async def leave(self, drain: float, rest: float, *, again: bool, block: bool) -> None:
        """End the term once its work has ended, after ``drain`` seconds in any case.

        Then compete no longer, or ``again`` after ``rest`` seconds. Called by that work itself, or on its loop, it
        does not wait: it happens when that has ended.
        """
        notice_fork()
        candidacy = self.candidacy
        if candidacy is None or not candidacy.started:
            return
        candidacy.work.drain(again=again, rest=rest, release=again or candidacy.config.release_on_cancel)
        if candidacy.last_term in CURRENT_TERMS.get() or (block and on_event_loop()):
            return
        now = candidacy.clock.now
        if not await candidacy.work.wait_idle(now() + drain, block=block):
            candidacy.work.cut_drain()
        await candidacy.work.wait_left(now() + candidacy.config.renew_deadline, block=block)
