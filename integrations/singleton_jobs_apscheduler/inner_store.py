"""The job store inside a singleton one: written to with care, and kept from deleting rows that it cannot restore.

A shared job store may hold rows of a newer version of the program. APScheduler's stores delete what they cannot
restore; these rows are left alone, for the versions that can.
"""

from __future__ import annotations

import logging
from collections.abc import Container
from datetime import datetime
from typing import Any, NamedTuple

from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore, JobLookupError
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.base import BaseScheduler

from .internals import modify, replace_restoring

__all__ = ["InnerStore"]

logger = logging.getLogger("singleton_jobs")


class _Parked:
    """Stands for a row that could not be restored, and sorts like a paused job."""

    id = ""
    next_run_time = None

    def __init__(self, error: Exception) -> None:
        self.error = error


class _Change(NamedTuple):
    job: Job  # as it was read
    next_run_time: datetime | None  # None: the job has come to its end


class InnerStore:
    """``store``, and whether it is ``shared`` with other replicas."""

    def __init__(self, store: BaseJobStore) -> None:
        self.store = store
        self.shared = not isinstance(store, MemoryJobStore)
        self._pending: dict[str, _Change] = {}
        self._told: set[str] = set()  # why rows cannot be used, as far as people know
        self._restore: Any = None  # how the store makes jobs of rows, by itself

    def protect(self) -> None:
        """Keep the store from deleting rows, also of who reads it before its scheduler starts."""
        self._restore = replace_restoring(self.store, self._try_to_restore)

    def start(self, scheduler: BaseScheduler, alias: str) -> None:
        """Start with the scheduler."""
        try:
            self.store.start(scheduler, alias)
        except Exception:
            if not self.shared:
                raise
            logger.info("starting %r failed, which is tried again", self.store, exc_info=True)
            self.store.start(scheduler, alias)  # two replicas that start at once both make its table: one has failed

    # Reading

    def due_jobs(self, now: datetime, executors: Container[str]) -> list[Job]:
        """The due jobs that can be run here."""
        jobs = _restored(self.store.get_due_jobs(now))
        for job in jobs:
            if job.executor not in executors:
                self._tell(f"there is no executor {job.executor!r} for job {job.id!r}")
        return [job for job in jobs if job.executor in executors]

    def all_jobs(self) -> list[Job]:
        """All jobs that can be restored."""
        return _restored(self.store.get_all_jobs())

    def job(self, job_id: str) -> Job | None:
        """The job as it is stored. Raises the error that kept it from being restored."""
        job = self.store.lookup_job(job_id)
        if isinstance(job, _Parked):
            raise job.error
        return job

    # Writing from a pass of the scheduler: errors are made good later, what others have changed is kept

    def forget(self) -> None:
        """Write nothing that is pending: the jobs are another leader's by now."""
        self._pending.clear()

    def move(self, job: Job, next_run_time: datetime | None) -> None:
        """Have ``job``, as it was read, run then; None: remove it. Errors of the store are logged, and made good."""
        self._pending[job.id] = _Change(job, next_run_time)
        try:
            self.catch_up()
        except Exception as error:  # noqa: BLE001 (a store raises whatever its database's driver does)
            logger.warning("job %s was not updated in %r, which is tried again: %s", job.id, self.store, error)

    def catch_up(self) -> None:
        """Write what is pending. Raises what the store raises."""
        for job_id, change in tuple(self._pending.items()):
            try:
                self._write(change)
            except JobLookupError:
                logger.info("job %s was removed meanwhile", job_id)
            del self._pending[job_id]

    def _write(self, change: _Change) -> None:
        job = change.job
        if self.shared:  # another replica may have changed it since it was read
            job = self.store.lookup_job(job.id)
            if not isinstance(job, Job) or job.next_run_time != change.job.next_run_time:
                return
        if change.next_run_time is None:
            self.store.remove_job(job.id)
        else:
            modify(job, next_run_time=change.next_run_time)
            self.store.update_job(job)

    def _try_to_restore(self, state: Any) -> Job | _Parked:
        try:
            return self._restore(state)
        except Exception as error:  # noqa: BLE001 (restoring a job imports and runs code of the program)
            self._tell(repr(error))
            return _Parked(error)

    def _tell(self, why: str) -> None:
        if why not in self._told:
            self._told.add(why)
            logger.warning(
                "a job in %r cannot be used by this version of the program, and is left alone: %s", self.store, why
            )


def _restored(jobs: list[Job | _Parked]) -> list[Job]:
    return [job for job in jobs if not isinstance(job, _Parked)]
