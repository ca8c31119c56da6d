"""Writing to the inner job store from a pass of the scheduler: errors are made good later, others' changes are kept."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import NamedTuple

from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore, JobLookupError

__all__ = ["Rows"]

logger = logging.getLogger("singleton_jobs")


class _Change(NamedTuple):
    job: Job  # as it was read
    next_run_time: datetime | None  # None: it has come to its end


class Rows:
    """Changes of jobs in ``store`` that is ``shared`` with other replicas, or not."""

    def __init__(self, store: BaseJobStore, *, shared: bool) -> None:
        self._store = store
        self._shared = shared
        self._pending: dict[str, _Change] = {}

    def forget(self) -> None:
        """Write nothing that is pending: the jobs are another leader's by now."""
        self._pending.clear()

    def move(self, job: Job, next_run_time: datetime | None) -> None:
        """Have ``job``, as it was read, run then; None: remove it. Errors of the store are logged, and made good."""
        self._pending[job.id] = _Change(job, next_run_time)
        try:
            self.catch_up()
        except Exception as error:
            logger.warning("job %s was not updated in %r, which is tried again: %s", job.id, self._store, error)

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
        if self._shared:  # another replica may have changed it since it was read
            job = self._store.lookup_job(job.id)
            if not isinstance(job, Job) or job.next_run_time != change.job.next_run_time:
                return
        if change.next_run_time is None:
            self._store.remove_job(job.id)
        else:
            job._modify(next_run_time=change.next_run_time)
            self._store.update_job(job)
