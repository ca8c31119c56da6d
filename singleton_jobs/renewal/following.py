"""A candidacy's watch of its lease, where its lock can be watched: what is told, and when that may be acted on."""

from collections.abc import Callable

from ..locks.record import ResourceLock, Stored
from ..locks.watching import Sight, Watch, Watchable

__all__ = ["Following"]


class Following:
    """Begins, doubts and ends the watch; all on the driver's event loop.

    What is told while a request is under way waits for its answer: a write of ours may be seen before it is answered.
    """

    def __init__(self, lock: ResourceLock, tell: Callable[[Sight | None], None]) -> None:
        self._lock = lock
        self._tell = tell
        self._watch: Watch | None = None
        self._told = -1  # the newest version that the watch has told
        self._asking = False  # a request is under way
        self._waiting: list[Sight | None] = []  # at most one: what was told last while it was

    @property
    def how(self) -> str:
        """How changes are learnt of, in a few words for people."""
        return self._watch.how if self._watch else "polling"

    def keep(self, *, wanted: bool) -> None:
        """Have a watch, or none."""
        if wanted and self._watch is None and isinstance(self._lock, Watchable):
            self._watch = self._lock.watch(self._hear)
        elif self._watch and not wanted:
            self._watch.end()
            self._watch = None
            self._waiting.clear()
            self._told = -1
            self._tell(None)

    def ask(self) -> None:
        """A request begins."""
        self._asking = True
        if self._watch:
            self._watch.ask()

    def answered(self, *, read: Stored | None = None, wrote: Stored | None = None) -> None:
        """It has ended, and has read or written that. A watch that should have told of it before is made anew."""
        self._asking = False
        if self._watch:
            self._watch.know(wrote.version if wrote else None)
            if read and read.version > self._told >= 0:
                self._watch.doubt()
            elif wrote and self._told >= 0:
                self._told = max(self._told, wrote.version)
        waiting, self._waiting = self._waiting, []
        for sight in waiting:
            self._tell(sight)

    def _hear(self, sight: Sight | None) -> None:
        self._told = -1 if sight is None else max(self._told, sight.version)
        if self._asking:
            self._waiting = [sight]
        else:
            self._tell(sight)
