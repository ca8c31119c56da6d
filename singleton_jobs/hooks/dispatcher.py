"""One thread that runs everybody's callbacks and writes the log, in order and away from the renewals."""

import logging
from collections.abc import Callable
from functools import partial

from ..concurrency.clock import SYSTEM_CLOCK
from ..concurrency.synchronization import Signal, run_blocking
from ..concurrency.threads import Worker
from ..events import Event

__all__ = ["dispatch", "flush", "log"]

logger = logging.getLogger("singleton_jobs")

_worker = Worker("singleton-jobs-events", cooperative=True)


def dispatch(callback: Callable[[Event], object], event: Event) -> None:
    """Call ``callback(event)`` after all that was dispatched before."""

    def task() -> None:
        try:
            callback(event)
        except Exception:
            logger.exception("a callback failed on %r", event)

    _worker.submit(task)


def log(level: int, message: str, *args: object, error: Exception | None = None) -> None:
    """Write this into the log, after all that was dispatched before."""
    _worker.submit(partial(logger.log, level, message, *args, exc_info=error))


def flush(limit: float) -> None:
    """Wait, at most ``limit`` seconds, until all that was dispatched has been told."""
    told: list[bool] = []
    changed = Signal(SYSTEM_CLOCK)

    def task() -> None:
        told.append(True)
        changed.notify()

    _worker.submit(task)
    run_blocking(changed.wait(lambda: bool(told), SYSTEM_CLOCK.now() + limit, block=True))
