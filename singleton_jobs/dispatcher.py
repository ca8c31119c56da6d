"""One thread that runs everybody's callbacks, in order and away from the renewals."""

import logging
from collections.abc import Callable

from .events import Event
from .threads import Worker

__all__ = ["dispatch", "reset"]

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


def reset() -> None:
    """Start anew in a forked child: the thread stayed behind."""
    global _worker
    _worker = Worker("singleton-jobs-events")
