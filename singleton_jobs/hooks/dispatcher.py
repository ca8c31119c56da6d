"""Runs everybody's callbacks, on the thread that writes the log."""

import logging
from collections.abc import Callable

from ..concurrency import telling
from ..concurrency.clock import SYSTEM_CLOCK
from ..concurrency.synchronization import Signal, run_blocking
from ..concurrency.telling import log
from ..events import Event

__all__ = ["catch_up", "dispatch", "flush", "log"]

logger = logging.getLogger("singleton_jobs")


def dispatch(callback: Callable[[Event], object], event: Event, *, soon: bool = True) -> None:
    """Call ``callback(event)`` after all that was dispatched before; not ``soon``: at the next `catch_up`."""

    def task() -> None:
        try:
            callback(event)
        except Exception:
            logger.exception("a callback failed on %r", event)

    telling.worker.submit(task, soon=soon)


def catch_up() -> None:
    """Have told what was not to be told soon."""
    telling.worker.call_up()


def flush(limit: float) -> None:
    """Wait, at most ``limit`` seconds, until all that was dispatched has been told."""
    told: list[bool] = []
    changed = Signal(SYSTEM_CLOCK)

    def task() -> None:
        told.append(True)
        changed.notify()

    telling.worker.submit(task)
    run_blocking(changed.wait(lambda: bool(told), SYSTEM_CLOCK.now() + limit, block=True))
