"""When the triggers of jobs were made in this process: their starts may have been taken from the clock then."""

from __future__ import annotations

import logging
from datetime import datetime

from apscheduler.job import Job
from apscheduler.triggers.interval import IntervalTrigger

from singleton_jobs.decisions.ledger import Mark

from .bounds import moves
from .internals import modify
from .redefinition import judge_start, renewed

__all__ = ["Starts"]

logger = logging.getLogger("singleton_jobs")


class Starts:
    """What is known of the starts of one store's jobs; says, once for each, what becomes of them."""

    def __init__(self) -> None:
        self._made: dict[str, datetime] = {}
        self._told: set[str] = set()

    def made(self, job_id: str) -> datetime | None:
        """When the job's trigger was made here, if its start may move with that."""
        return self._made.get(job_id)

    def forget(self, job_id: str) -> None:
        """The job is gone."""
        self._made.pop(job_id, None)

    def add(self, job: Job, known: Job | None, mark: Mark | None, now: datetime) -> bool:
        """``job`` is added; whether it goes on as ``known``, which it replaces, is planned: it is changed to do so."""
        if known is not None:
            trigger = renewed(known.trigger, job.trigger, known.next_run_time, mark, now)
            if trigger is not None:
                if moves(known.trigger, job.trigger):
                    self._tell(job.id, "only its start_date or end_date has moved, so it goes on as planned")
                modify(job, trigger=trigger, next_run_time=known.next_run_time)
                self._made.setdefault(job.id, now)
                return True
            logger.info("job %s: its schedule is not the stored one any more, and goes on from now", job.id)
        self._made[job.id] = now
        return False

    def judge(self, job: Job, mark: Mark | None, now: datetime, led_until: datetime | None) -> None:
        """A new leader goes on with ``job``."""
        match judge_start(job.trigger, mark, now, self.made(job.id), led_until):
            case "moves" if not isinstance(job.trigger, IntervalTrigger):  # an interval's start moves by default
                self._tell(job.id, "its start_date moves with each start, so it goes on from its last fire")
            case "kept":
                self.forget(job.id)
            case "cuts":
                logger.warning(
                    "job %s: what it missed before its start_date is not made up for; if that is computed at each "
                    "start of the program, leave it out: a job goes on from its last fire",
                    job.id,
                )
            case _:
                pass

    def _tell(self, job_id: str, what: str) -> None:
        if job_id not in self._told:
            self._told.add(job_id)
            logger.info("job %s: %s", job_id, what)
