"""One thread that writes the log and tells whoever listens, in order and away from the renewals."""

import logging
from functools import partial

from .threads import Worker

__all__ = ["log", "logger", "worker"]

logger = logging.getLogger("singleton_jobs")

worker = Worker("singleton-jobs-events", cooperative=True)


def log(level: int, message: str, *args: object, error: Exception | None = None) -> None:
    """Write this into the log, after all that was told before."""
    worker.submit(partial(logger.log, level, message, *args, exc_info=error))
