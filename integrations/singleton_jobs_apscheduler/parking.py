"""Rows of a shared job store that this version of the program cannot use: left alone, where stores delete them."""

from __future__ import annotations

import logging
from collections.abc import Container
from typing import Any

from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore

__all__ = ["Parking"]

logger = logging.getLogger("singleton_jobs")


class _Parked:
    """Stands for a row that could not be restored, and sorts like a paused job."""

    id = ""
    next_run_time = None

    def __init__(self, error: Exception) -> None:
        self.error = error


class Parking:
    """Keeps what ``store`` reads from it failing, and tells jobs that can be used from others."""

    def __init__(self, store: BaseJobStore) -> None:
        self._store = store
        self._told: set[str] = set()
        self._restore: Any = getattr(store, "_reconstitute_job", None)
        if self._restore:
            store._reconstitute_job = self._try_to_restore

    def restored(self, jobs: list[Job | _Parked]) -> list[Job]:
        """Those of ``jobs`` that could be restored."""
        return [job for job in jobs if not isinstance(job, _Parked)]

    def known(self, jobs: list[Job | _Parked], executors: Container[str]) -> list[Job]:
        """Those of ``jobs``, all due, that can be run here."""
        restored = self.restored(jobs)
        for job in restored:
            if job.executor not in executors:
                self._tell(f"there is no executor {job.executor!r} for job {job.id!r}")
        return [job for job in restored if job.executor in executors]

    def one(self, job: Job | _Parked | None) -> Job | None:
        """``job``, or the error that kept it from being restored."""
        if isinstance(job, _Parked):
            raise job.error
        return job

    def _try_to_restore(self, state: Any) -> Job | _Parked:
        try:
            return self._restore(state)
        except Exception as error:
            self._tell(repr(error))
            return _Parked(error)

    def _tell(self, why: str) -> None:
        if why not in self._told:
            self._told.add(why)
            logger.warning(
                "a job in %r cannot be used by this version of the program, and is left alone: %s", self._store, why
            )
