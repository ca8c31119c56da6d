"""Entries: each stands for a piece of guarded work, and says by itself when that has ended.

A handler's exception (KeyboardInterrupt, SystemExit, Celery's SoftTimeLimitExceeded) may come between any two calls, so
also in a ``finally`` before it did anything. An entry is a native lock: its work runs inside ``with entry:``, whose end
is one instruction that nothing comes before. What is told afterwards is haste; the renewer looks for itself.
"""

from __future__ import annotations

import threading

from ..decisions.bids import SeldomBid
from ..term import Term

__all__ = ["Use", "is_over"]


class Use:
    """Somebody's use of a lock, from the attempt to the unlock, by ``caller``, a thread or task.

    It lasts as long as ``entry`` is locked, and never longer than until it is ``ended``, which is one store.
    """

    __slots__ = ("bid", "caller", "declined", "ended", "entry", "patient", "term")

    def __init__(self, entry: threading.Lock, caller: object) -> None:
        self.entry = entry
        self.caller = caller
        self.term: Term | None = None
        self.bid: SeldomBid | None = None  # what it takes the lock for, if that is claimed
        self.declined = False  # the lock was left for the bid's sake
        self.patient = False  # the attempt waits for the lock
        self.ended = False

    def locked(self) -> bool:
        """Whether it lasts."""
        return not self.ended and self.entry.locked()


def is_over(entry: object) -> bool:
    """Whether the work of ``entry`` has ended, though nobody said so. Any object may stand for work that says so."""
    locked = getattr(entry, "locked", None)
    return locked is not None and not locked()
