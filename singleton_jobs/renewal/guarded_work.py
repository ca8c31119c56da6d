"""Guarded work: what runs under a candidacy's terms, and the drains that let it come to its end."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from ..concurrency.synchronization import Signal
from ..concurrency.threads import OwnedLock
from ..decisions.candidate import Candidate
from ..term import CURRENT_TERMS, Term
from .entries import is_over

__all__ = ["GuardedWork", "Lead"]


class Lead(Protocol):
    """What guarded work needs of the candidacy that it runs under."""

    term: Term | None
    started: bool
    changed: Signal
    mutex: OwnedLock
    candidate: Candidate

    def change(self, change: Callable[[float], None]) -> None:
        """Call ``change(now)`` under the mutex, and see to what comes of it."""

    def expire(self) -> None:
        """Latch a loss that the clock has brought."""

    def wake(self) -> None:
        """Have it decided anew what to do."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """How a drain goes on once the work has ended: whether to compete ``again``, but not within ``rest`` seconds, and
    whether to ``release`` the lease or let it run out.
    """

    again: bool
    rest: float
    release: bool


class GuardedWork:
    """``active`` has an entry for each piece of guarded work running now: it is entered *before* the term is checked
    and ``draining`` is looked at, so that a drain never overlooks work.

    Whoever begins or ends work may be interrupted anywhere; `catch_up` then does the rest.
    """

    def __init__(self, lead: Lead) -> None:
        self.active: set[object] = set()
        self.stops: list[Callable[[], object]] = []  # of running work that ends only when it is told to
        self.mains: set[threading.Lock] = set()  # when one is not locked any more, its leadership ends
        self.draining = False  # new work is refused: a drain is under way, or the last one is through
        self.ending = False  # the drain under way is the last one, or the last one is through
        self._leaving: Leaving | None = None  # the drain under way
        self._lead = lead

    @property
    def busy(self) -> bool:
        """Whether guarded work is running."""
        return any(not is_over(entry) for entry in tuple(self.active))

    @property
    def awaited(self) -> bool:
        """Whether something is to happen once running work has ended, which may have no time to say so."""
        return self._leaving is not None or bool(self.active)

    @property
    def admits(self) -> bool:
        """Whether guarded work may start now."""
        term = self._lead.term
        return term is not None and not self.draining and term.is_valid

    def enter(self, entry: object) -> Term | None:
        """Start a piece of guarded work: the term it runs under, or None. To be ended with `exit`, in any case."""
        term = self._lead.term
        if term is None:
            return None
        self.active.add(entry)
        # Work that is running calls other guarded functions: a drain lets it come to its end.
        if (not self.draining or term in CURRENT_TERMS.get()) and term._holds():
            return term
        self.exit(entry)
        return None

    def exit(self, entry: object) -> None:
        """End a piece of guarded work; once is enough."""
        if entry not in self.active:
            return
        self.active.discard(entry)
        if not self.active and (self._leaving is not None or self._lead.term is None):
            self._last_ended()

    def expire(self) -> None:
        """The clock has ended a term that work may be running under."""
        self._lead.expire()

    # Drains; from any thread

    def drain(self, *, again: bool, rest: float = 0.0, release: bool = True) -> None:
        """Refuse new work now; once the running work has ended, end the term and (``release``) free the lease.

        The candidacy then competes ``again``, but not within ``rest`` seconds.
        """
        with self._lead.mutex:
            if not self.ending:
                self._begin(Leaving(again, rest, release))
        if self._leaving:  # perhaps of an earlier drain, which was interrupted here
            for stop in tuple(self.stops):
                stop()
            self._last_ended()

    def cut_drain(self) -> None:
        """The drain limit: work is still running, so the term is lost and the lease is left to run out."""
        leaving = self._leaving
        if leaving:
            self._lead.change(lambda now: self._cut(leaving, now))

    async def wait_idle(self, until: float, *, block: bool) -> bool:
        """Wait until the work that a drain waits for has ended."""
        return await self._lead.changed.wait(lambda: self._leaving is None, until, block=block)

    async def wait_left(self, until: float, *, block: bool) -> bool:
        """Wait until a drain's release is through."""
        return await self._lead.changed.wait(lambda: self.has_left, until, block=block)

    @property
    def has_left(self) -> bool:
        """Whether no drain is under way, nor a release."""
        with self._lead.mutex:
            return self._leaving is None and not self._lead.candidate.releasing

    def stay(self) -> None:
        """Compete again after the drain under way, which was to be the last."""
        with self._lead.mutex:
            if self._leaving and self.ending:
                self._leaving, self.ending = replace(self._leaving, again=True), False

    def reopen(self) -> None:
        """Forget that the candidacy was ended, so that the next guarded call starts it again."""
        with self._lead.mutex:
            self.stay()
            if self._leaving is None:
                self.admit()

    # What the candidacy calls, under the mutex

    def admit(self) -> None:
        """Forget every drain: work may start from now on."""
        self.draining, self.ending, self._leaving = False, False, None

    def catch_up(self, now: float, *, release: bool) -> None:
        """Do what work that ended, or whoever drains, was kept from doing; the end of a main may ``release``."""
        self.active.difference_update([entry for entry in tuple(self.active) if is_over(entry)])
        for main in [main for main in tuple(self.mains) if not main.locked()]:
            if not self.ending:
                self._begin(Leaving(again=False, rest=0.0, release=release))
            self.mains.discard(main)
        if self._leaving:
            self._leave(self._leaving, now)

    def _begin(self, leaving: Leaving) -> None:
        self._leaving, self.draining, self.ending = leaving, True, not leaving.again

    def _last_ended(self) -> None:
        leaving = self._leaving
        if leaving:
            self._lead.change(lambda now: self._leave(leaving, now))
        else:  # the last run of an ended term is over, so the candidate is barred no more
            self._lead.wake()

    def _leave(self, leaving: Leaving, now: float) -> None:
        if self._leaving is not leaving or self.active:
            return
        candidate = self._lead.candidate
        if not leaving.release:
            candidate.abandon(now, "the replica is closing")
        elif candidate.hold or candidate.may_be_stored:
            candidate.release(now, again=leaving.again, rest=leaving.rest)
        else:
            candidate.rest(now, again=leaving.again, seconds=leaving.rest)
        self._end(leaving)

    def _cut(self, leaving: Leaving, now: float) -> None:
        if self._leaving is leaving:
            candidate = self._lead.candidate
            candidate.abandon(now, "its work did not end within the drain limit")
            candidate.rest(now, again=leaving.again, seconds=leaving.rest)
            self._end(leaving)

    def _end(self, leaving: Leaving) -> None:
        on = leaving.again and self._lead.started
        self._leaving, self.draining, self._lead.started = None, not leaving.again, on
