"""The leases of one spread store's jobs, and which of them look otherwise than before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from functools import partial

from singleton_jobs.leading.spread import SpreadLeases

from .job_lease import JobLease

__all__ = ["JobLeases"]

TOLD_WITHIN = timedelta(seconds=1)  # by the watch that has begun; what it does not tell by then is asked for


class JobLeases:
    """By the ids of jobs; ``key`` makes their names in the ledger of these. ``wake`` is called when there is news.

    ``alias``: of the store, known from its start on. ``ask_at``: when to call `ask`, if leases are yet to be told of.
    """

    alias = ""

    def __init__(self, spread: SpreadLeases, key: Callable[[str], str], wake: Callable[[], None]) -> None:
        self.spread = spread
        self._key = key
        self.ask_at: datetime | None = None
        self._wake = wake
        self._leases: dict[str, JobLease] = {}
        self._news: set[str] = set()  # ids of jobs whose leases look otherwise

    def get(self, job_id: str) -> JobLease | None:
        """The lease of the job, if there is one yet."""
        return self._leases.get(job_id)

    def of(self, job_id: str, now: datetime) -> JobLease:
        """The lease of the job, from now on."""
        lease = self._leases.get(job_id)
        if lease is None:
            part = self.spread.part(job_id if self.alias == "default" else f"{self.alias}.{job_id}")
            lease = self._leases[job_id] = JobLease(part, self._key(job_id), partial(self._tell, job_id))
            self._news.add(job_id)
            self.ask_at = now + TOLD_WITHIN
        return lease

    def ask(self, now: datetime) -> None:
        """Ask for those that no watch has told of in time."""
        if self.ask_at and now >= self.ask_at:
            self.ask_at = None
            for lease in self._leases.values():
                if not lease.is_known:
                    lease.scout()

    def take_news(self) -> list[str]:
        """The ids of jobs whose leases look otherwise than when this was asked before."""
        news = list(self._news)
        self._news.difference_update(news)
        return news

    def look_again(self, job_ids: Iterable[str]) -> None:
        """Have these jobs among the news."""
        self._news.update(job_ids)

    def keep(self, job_ids: Collection[str]) -> list[str]:
        """Forget the leases of all other jobs, whose ids these are."""
        gone = [job_id for job_id in self._leases if job_id not in job_ids]
        for job_id in gone:
            self.forget(job_id)
        return gone

    def forget(self, job_id: str) -> None:
        """The job is gone."""
        lease = self._leases.pop(job_id, None)
        if lease:
            lease.forget()

    def close(self) -> None:
        """The store ends: give back what is held, once what runs has ended."""
        for lease in self._leases.values():
            lease.close()
        self._leases.clear()

    def _tell(self, job_id: str) -> None:
        self._news.add(job_id)
        self._wake()
