"""One thread that runs everybody's callbacks, in order and away from the renewals."""

import logging
from collections.abc import Callable

from .events import Event
from .threads import Worker, new_lock

__all__ = ["dispatch", "flush"]

logger = logging.getLogger("singleton_jobs")

_worker = Worker("singleton-jobs-events")


def dispatch(callback: Callable[[Event], object], event: Event) -> None:
    """Call ``callback(event)`` after all that was dispatched before."""

    def task() -> None:
        try:
            callback(event)
        except Exception:
            logger.exception("a callback failed on %r", event)

    _worker.submit(task)


def flush(limit: float) -> None:
    """Wait, at most ``limit`` seconds, until all that was dispatched has been told."""
    told = new_lock()
    told.acquire()
    _worker.submit(told.release)
    told.acquire(timeout=limit)
