"""Term: one unbroken hold of a lease, true when asked. Fire: one scheduled run of one job."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple, Protocol

from .concurrency.clock import SYSTEM_CLOCK
from .concurrency.forks import home
from .concurrency.synchronization import new_event
from .errors import LeadershipLost

if TYPE_CHECKING:
    from datetime import datetime

    from .decisions.hold import Ended, Hold

__all__ = ["CURRENT_TERMS", "Fire", "Term", "TermOwner", "current_fire", "current_term"]


class TermOwner(Protocol):
    """Who made a term, and is told of it."""

    def expire(self) -> None:
        """The clock has ended the term."""

    def exit(self, entry: object) -> None:
        """A piece of guarded work has ended."""


class Term:
    """One unbroken hold of ``lease`` by ``identity``, from acquisition to release or loss.

    ``fencing_token`` grows with every term of one ``uid`` (the lease object): a sink that refuses anything older
    than the newest it has seen is safe whatever stalls. ``acquired_at`` is an aware datetime. ``lost`` is set when
    the term ends other than by the program's own wish; it is a hint, `check` is the truth.
    """

    __slots__ = (
        "__weakref__",
        "_hold",
        "_home",
        "_is_lost",
        "_now",
        "_on_lost",
        "_owner",
        "acquired_at",
        "fencing_token",
        "identity",
        "lease",
        "lost",
        "uid",
    )

    def __init__(self, lease: str, identity: str, hold: Hold, now: Callable[[], float], owner: TermOwner) -> None:
        self.lease = lease
        self.identity = identity
        self.fencing_token = hold.token
        self.uid = hold.uid
        self.acquired_at: datetime | None = hold.acquire_time
        self.lost = new_event()
        self._hold = hold
        self._now = now
        self._owner = owner
        self._home = home()
        self._is_lost = False
        self._on_lost: set[Callable[[], object]] = set()

    def __repr__(self) -> str:
        return f"<Term {self.fencing_token} of {self.lease!r} held by {self.identity!r}>"

    @property
    def is_valid(self) -> bool:
        """Whether the lease is held at this instant; computed from the clock, without a lock or I/O."""
        return self._holds()

    @property
    def remaining(self) -> float:
        """Seconds until this hold ends if no further renewal is acknowledged; 0 once it has ended."""
        return max(0.0, self._hold.until - self._now()) if self.is_valid else 0.0

    def check(self) -> None:
        """Raise LeadershipLost unless the lease is held at this instant; call it before every effect."""
        if self._now() < self._hold.until and self._home[0]:
            return
        if not self._outlived():
            raise LeadershipLost(self.lease, self.ending)

    @property
    def ending(self) -> str:
        """Why the term ended; empty while it lasts."""
        if not self._home[0]:
            return "a forked process holds nothing"
        return self._hold.reason

    @property
    def ended(self) -> Ended | None:
        """How the term ended, in one word; None while it lasts, and in a process that never held it."""
        return self._hold.ended if self._home[0] else None

    @property
    def ended_ago(self) -> float:
        """Seconds since the term ended; infinite if this process never held it."""
        if not self._home[0]:
            return math.inf
        ended_at = self._hold.ended_at
        return 0.0 if ended_at is None else max(0.0, self._now() - ended_at)

    def __reduce__(self) -> tuple[object, ...]:
        """A copy in another process of this machine passes its checks until the present hold would end unrenewed."""
        until = self._hold.until if self.is_valid else -math.inf
        return _copied, (self.lease, self.identity, self.fencing_token, self.uid, self.acquired_at, until)

    def _holds(self) -> bool:
        """`is_valid`, for every guarded call: a method is called in less time than a property is asked."""
        if self._now() < self._hold.until and self._home[0]:
            return True
        return self._outlived()

    def _outlived(self) -> bool:
        """Latch the loss under the lock that renewals extend under; True if one of them came first."""
        if not self._home[0]:
            return False
        self._owner.expire()
        return self._now() < self._hold.until

    def _exit(self, entry: object) -> None:
        """End a piece of guarded work; in a forked child it is the parent's, and not to be touched."""
        if self._home[0]:
            self._owner.exit(entry)

    def _call_when_lost(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call ``callback`` (quick, any thread) when the term is lost, at once if it is; the result takes it back."""
        self._on_lost.add(callback)
        if self._is_lost:
            callback()

        def forget() -> None:
            self._on_lost.discard(callback)

        return forget

    def _lose(self) -> None:
        self._is_lost = True
        self.lost.set()
        for callback in tuple(self._on_lost):
            callback()


class _Nobody:
    """Owner of a term's copies."""

    def expire(self) -> None:
        """Nothing is held here."""

    def exit(self, entry: object) -> None:
        """Nothing was entered here."""


def _copied(lease: str, identity: str, token: int, uid: str, acquired_at: datetime | None, until: float) -> Term:
    from .decisions.hold import Hold

    hold = Hold(until, token, uid, acquired_at, 0, reason="this process has a copy, which no renewal reaches")
    return Term(lease, identity, hold, SYSTEM_CLOCK.now, _Nobody())


class Fire(NamedTuple):
    """One scheduled run of one job: its key, its nominal time (aware, UTC), and the term that claimed it.

    ``attempt``: 1, or more if it runs again since it was cut short.
    """

    job: str
    time: datetime
    term: Term
    attempt: int = 1


CURRENT_TERMS: ContextVar[tuple[Term, ...]] = ContextVar("singleton_jobs_terms", default=())  # innermost last
CURRENT_FIRE: ContextVar[Fire | None] = ContextVar("singleton_jobs_fire", default=None)


def current_term() -> Term | None:
    """The term under which the innermost guarded function of this thread or task runs; None outside of any."""
    terms = CURRENT_TERMS.get()
    return terms[-1] if terms else None


def current_fire() -> Fire | None:
    """The fire that the running job was claimed for; None outside of a claimed run."""
    return CURRENT_FIRE.get()
