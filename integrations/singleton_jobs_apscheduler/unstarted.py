"""Says so if a guarded scheduler is never started: then another one runs the jobs, on every replica, or none does."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakSet, finalize, ref

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
        self._finalizer = finalize(
            scheduler, _tell_if_late, ref(scheduler), repr(scheduler), lease, clock() + SOON, clock
        )
        _waiting.add(self)

    def over(self) -> None:
        """The scheduler has started."""
        self._finalizer.detach()

    def tell(self) -> None:
        """The scheduler was told to start, and has not unless the watch is `over`."""
        if found := self._finalizer.detach():
            _, _, (_, name, lease, *_), _ = found
            _tell(name, lease)

    def leave_to_children(self) -> None:
        """End without a word in this process."""
        self._finalizer.atexit = False


def _tell_if_late(
    scheduler: ref[BaseScheduler], name: str, lease: str, late: float, clock: Callable[[], float]
) -> None:
    if scheduler() is None or clock() >= late:
        _tell(name, lease)


def _tell(name: str, lease: str) -> None:
    logger.warning(
        "lease %s: %s was guarded, but has not started: nothing of it is guarded. If another scheduler runs its jobs, "
        "guard that one: guard(scheduler, lease=…) takes the very object whose start() begins the work",
        lease,
        name,
    )


def _leave_to_children() -> None:
    for each in tuple(_waiting):
        each.leave_to_children()


_waiting: WeakSet[Unstarted] = WeakSet()
with suppress(AttributeError):  # Windows has no forks
    os.register_at_fork(after_in_parent=_leave_to_children)
