"""A scheduler's part in its leadership: what every integration with a scheduler has in common."""

from __future__ import annotations

import math
from collections.abc import Callable
from weakref import WeakKeyDictionary, WeakSet

from ..concurrency.forks import at_fork
from ..concurrency.synchronization import run_blocking
from ..term import Term
from .leadership import Leadership
from .participant import part_of

__all__ = ["Membership", "members"]


class Membership:
    """From `join` to `end`; several schedulers of a process may share one leadership.

    Raises ConfigError if there is no store to compete in.
    """

    def __init__(self, leadership: Leadership) -> None:
        self.leadership = leadership
        self.candidacy = part_of(leadership).prepare()
        self.ended = False

    def join(self) -> None:
        """Take part: no other scheduler's end ends the leadership."""
        _members[self.leadership] = WeakSet((*members(self.leadership), self))

    @property
    def term(self) -> Term | None:
        """The term under which fires may be claimed now."""
        return self.candidacy.term if self.candidacy.work.admits else None

    def wait(self, news: Callable[[], bool], until: float = math.inf) -> bool:
        """Block this thread until ``news`` or the `end`; False: ``until``, by the candidacy's clock, came first."""
        return run_blocking(self.candidacy.changed.wait(lambda: self.ended or news(), until, block=True))

    def end(self) -> bool:
        """Take part no longer. Whether nobody else of this process does, so that the leadership is to end, too."""
        self.ended = True
        self.candidacy.changed.notify()
        others = [each for each in members(self.leadership) if each is not self]
        _members[self.leadership] = WeakSet(others)
        return not others


def members(leadership: Leadership) -> tuple[Membership, ...]:
    """The schedulers of this process that share ``leadership``."""
    return tuple(_members.get(leadership, ()))


# A set is replaced and never added to, since the renewal thread may be going through it.
_members: WeakKeyDictionary[Leadership, WeakSet[Membership]] = WeakKeyDictionary()
at_fork(_members.clear)  # schedulers of the parent do not run in its child
