"""Fires of a job store's jobs that were cut short: which of them run again now, and which are given up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from apscheduler.executors.base import BaseExecutor
from apscheduler.job import Job

from singleton_jobs.decisions.ledger import Attempt

from .due_trigger import RerunTrigger, clone
from .fires import Fires
from .inner_store import InnerStore
from .internals import instances

__all__ = ["Reruns"]

SOON = timedelta(seconds=1)  # until another store's runs are looked at again, whose ends wake nobody here


class Reruns:
    """What the ledger says was cut short of the jobs of ``inner``.

    ``is_elsewhere``: whether a job that is not there is another store's. ``patience``: for how long after the beginning
    of a term one may still be added. ``held``: ids of jobs whose other fires wait, since one has to run again first.
    ``look_at``: when to look again, if not before.
    """

    def __init__(
        self, fires: Fires, inner: InnerStore, is_elsewhere: Callable[[str], bool], patience: timedelta
    ) -> None:
        self.held: set[str] = set()
        self.look_at: datetime | None = None
        self._fires = fires
        self._inner = inner
        self._is_elsewhere = is_elsewhere
        self._patience = patience
        self._gone_from: datetime | None = None  # from then on a job that is not there will not come

    def due(self, prefix: str, executors: Mapping[str, BaseExecutor], now: datetime, *, begins: bool) -> list[Job]:
        """What to hand out now, of jobs whose keys in the ledger have ``prefix``; ``begins``: a term does."""
        if begins:
            self._gone_from = now + self._patience
        self.held, self.look_at = set(), None
        due: list[Job] = []
        for key, cut in self._fires.candidacy.fires.cut().items():
            job_id = key.removeprefix(prefix)
            if job_id == key:
                continue
            job = self._inner.store.lookup_job(job_id)
            if job is None and not self._is_elsewhere(job_id):
                self._miss(key, cut, now)
            elif isinstance(job, Job) and job.next_run_time is not None and job.executor in executors:
                due += self._due(job, key, executors[job.executor], now, begins=begins)
        return due

    def _due(self, job: Job, key: str, executor: BaseExecutor, now: datetime, *, begins: bool) -> list[Job]:
        left = self._fires.candidacy.fires.cut_of(key, self._fires.attempts(job))
        if begins and self._is_too_late(job, now):
            for attempt in left:
                self._fires.candidacy.fires.give_up(key, attempt)
            return []
        left = sorted(each for each in left if not self._fires.is_followed(job.id, each))
        if left:
            self.held.add(job.id)
        left = left[: self._fires.room(job, wanted=bool(left))]
        free = max(0, job.max_instances - instances(executor, job.id))
        if len(left) > free:  # runs of another store's job of that id take up the rest, for APScheduler
            self._look(now + SOON)
        return [self._again(job, key, attempt, now) for attempt in left[:free]]

    def _is_too_late(self, job: Job, now: datetime) -> bool:
        grace, led_until = job.misfire_grace_time, self._fires.candidacy.fires.led_until
        return grace is not None and led_until is not None and now - led_until > timedelta(seconds=grace)

    def _again(self, job: Job, key: str, attempt: Attempt, now: datetime) -> Job:
        return clone(
            job,
            trigger=RerunTrigger(self._fires, job, key, attempt),
            next_run_time=min(attempt.fire.astimezone(now.tzinfo), now),  # this clock may be behind that of its claim
            misfire_grace_time=None,  # how late it comes was judged above
        )

    def _miss(self, key: str, cut: list[Attempt], now: datetime) -> None:
        """The job is not there, and will not come."""
        if self._gone_from and now < self._gone_from:
            self._look(self._gone_from)
            return
        for attempt in cut:
            self._fires.candidacy.fires.give_up(key, attempt)

    def _look(self, time: datetime) -> None:
        self.look_at = min(self.look_at or time, time)
