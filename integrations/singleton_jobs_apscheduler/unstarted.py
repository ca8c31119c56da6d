"""Says so if a guarded scheduler is never started: then another one runs the jobs, on every replica, or none does."""

from __future__ import annotations

import atexit
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakSet, finalize

from apscheduler.schedulers.base import BaseScheduler

__all__ = ["Unstarted"]

logger = logging.getLogger("singleton_jobs")

SOON = 60.0  # seconds: a program that ends before has only imported its scheduler


class Unstarted:
    """A watch over ``scheduler``, guarded by ``lease``; `over` once it has started. ``clock``: seconds that grow.

    Tells as soon as it is known: when ``scheduler`` is collected, or the program ends. A program that forks leaves the
    start to its children.
    """

    def __init__(self, scheduler: BaseScheduler, lease: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._collected = finalize(scheduler, _tell, repr(scheduler), lease)
        self._collected.atexit = False  # the end of the program is another case, which `tell_if_late` knows
        self._clock, self._late = clock, clock() + SOON
        _waiting.add(self)

    def over(self) -> None:
        """The scheduler has started."""
        self._collected.detach()

    def tell(self) -> None:
        """The scheduler was told to start, and has not unless the watch is `over`."""
        if found := self._collected.detach():
            _, tell, about, _ = found
            tell(*about)

    def tell_if_late(self) -> None:
        """The program ends, and the scheduler has not started unless the watch is `over`."""
        if self._clock() >= self._late:
            self.tell()


def _tell(name: str, lease: str) -> None:
    logger.warning(
        "lease %s: %s was guarded, but has not started: nothing of it is guarded. If another scheduler runs its jobs, "
        "guard that one: guard(scheduler, lease=…) takes the very object whose start() begins the work",
        lease,
        name,
    )


_waiting: WeakSet[Unstarted] = WeakSet()


@atexit.register
def _at_the_end() -> None:
    for each in tuple(_waiting):
        each.tell_if_late()


with suppress(AttributeError):  # Windows has no forks
    os.register_at_fork(after_in_parent=_waiting.clear)  # the start is left to the children
