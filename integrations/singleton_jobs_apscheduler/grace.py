"""How late a fire may run: long enough for another replica to take over, unless somebody says otherwise."""

from __future__ import annotations

import logging
import math
from typing import Any

from apscheduler.job import Job

from singleton_jobs import Leadership
from singleton_jobs.config import JITTER
from singleton_jobs.leading.participant import part_of

from .internals import modify

__all__ = ["Grace"]

logger = logging.getLogger("singleton_jobs")

SPARE = 10.0  # seconds beyond the longest take-over
UNSET = 1  # second of grace that APScheduler gives where nobody has asked for any; it loses each fire of a take-over


class Grace:
    """The grace of the jobs under one leadership."""

    def __init__(self, leadership: Leadership) -> None:
        self._leadership = leadership
        self._warned: set[str] = set()

    @property
    def needed(self) -> int:
        """Seconds: the longest that nobody leads after a crash, and some to spare."""
        config = part_of(self._leadership).timing
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
