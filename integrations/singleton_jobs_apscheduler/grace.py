"""How late a fire may run: long enough for another replica to take over, unless somebody says otherwise."""

from __future__ import annotations

import logging
import math
from typing import Any, Protocol

from apscheduler.job import Job

from singleton_jobs import Config
from singleton_jobs.config import JITTER

from .internals import modify

__all__ = ["Grace", "Timed"]

logger = logging.getLogger("singleton_jobs")

SPARE = 10.0  # seconds beyond the longest take-over
UNSET = 1  # second of grace that APScheduler gives where nobody has asked for any; it loses each fire of a take-over


class Timed(Protocol):
    """Whoever takes part in leases."""

    @property
    def timing(self) -> Config:
        """Their timing."""


class Grace:
    """The grace of the jobs of one guard, by the timing of its lease or leases."""

    def __init__(self, part: Timed) -> None:
        self._part = part
        self._warned: set[str] = set()

    @property
    def needed(self) -> int:
        """Seconds: the longest that nobody leads after a crash, and some to spare."""
        config = self._part.timing
        return math.ceil(config.lease_duration + JITTER * config.retry_period + SPARE)

    def settle(self, job: Job, defaults: dict[str, Any]) -> None:
        """Give ``job`` its grace if it has none; warn, once, of one that is too short."""
        needed = self.needed
        grace = getattr(job, "misfire_grace_time", defaults["misfire_grace_time"])
        if not hasattr(job, "misfire_grace_time") and grace == UNSET:
            modify(job, misfire_grace_time=needed)
            logger.info("job %s: no misfire_grace_time given, so %d s: its fires outlive a take-over", job.id, needed)
        elif grace is not None and grace < needed and job.id not in self._warned:
            self._warned.add(job.id)
            logger.warning(
                "job %s: a misfire_grace_time of %d s loses fires when another replica takes over; set it to %d",
                job.id,
                grace,
                needed,
            )
