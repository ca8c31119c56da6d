"""Uses of a lock: its candidacy competes anew for each, and gives the lease back at its end."""

from collections.abc import Callable
from typing import Protocol

from ..concurrency.synchronization import Signal
from ..concurrency.threads import OwnedLock
from ..decisions.candidate import Candidate
from .entries import Use

__all__ = ["LockUses"]


class Competitor(Protocol):
    """What uses need of the candidacy that competes for them."""

    candidate: Candidate
    changed: Signal
    mutex: OwnedLock

    def change(self, change: Callable[[float], None]) -> None:
        """Call ``change(now)`` under the mutex, and see to what comes of it."""


class LockUses:
    """One use after the other; what is asked for one does nothing to another that has begun meanwhile.

    A leadership's candidacy has none.
    """

    def __init__(self, competitor: Competitor) -> None:
        self._competitor = competitor
        self._use: Use | None = None  # what the lock is held, or competed for, for

    def stop(self, use: Use) -> None:
        """Compete for ``use`` no longer, and undo what may have landed."""
        self._competitor.change(lambda now: self._end(use, self._competitor.candidate.stop, now))

    def release(self, use: Use) -> None:
        """End the hold here and free the lease, without regard to running work: the caller knows that it ended."""
        self._competitor.change(lambda now: self._end(use, self._competitor.candidate.release, now))

    def end(self) -> None:
        """Give the lease back if its use has ended; nothing is left to do if the driver was faster."""
        self._competitor.change(self.catch_up)

    async def wait_released(self, until: float, *, block: bool) -> bool:
        """Wait until the release under way is through."""

        def through() -> bool:
            with self._competitor.mutex:
                return not self._competitor.candidate.releasing

        return await self._competitor.changed.wait(through, until, block=block)

    # What the candidacy calls

    @property
    def patient(self) -> bool:
        """Whether the use waits for the lock, and does not only try for it."""
        return self._use is not None and self._use.patient

    # What it calls under the mutex

    def begin(self, use: Use | None, now: float) -> None:
        """Compete for ``use`` from now on."""
        self.catch_up(now)
        self._use = use

    def catch_up(self, now: float) -> None:
        """Give the lease back if its use has ended, whoever was kept from saying so."""
        if self._use and not self._use.locked():
            self._end(self._use, self._competitor.candidate.stop, now)

    def _end(self, use: Use, change: Callable[[float], None], now: float) -> None:
        if self._use is None or self._use is use:
            if use.bid and use.bid.claim:  # nobody begins or goes on with that run, however it ended
                self._competitor.candidate.claims.give_up(use.bid.claim)
            change(now)
            self._use = None
