"""SingletonJobStore: a job store whose jobs fire on the leader only, each from where its ledger says."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, cast

from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore
from apscheduler.schedulers.base import BaseScheduler

from singleton_jobs import Config, ConfigError, Leadership, Replica, Term
from singleton_jobs.config import Seconds, seconds
from singleton_jobs.decisions.ledger import Mark
from singleton_jobs.default import default_replica
from singleton_jobs.leading.membership import members
from singleton_jobs.leading.participant import part_of
from singleton_jobs.reruns import MAX_ATTEMPTS, Interrupted, attempts

from .due_trigger import RerunTrigger, clone
from .fires import Fires
from .internals import executors_of, plugin, stores_of
from .membership import SchedulerMembership
from .planned import PlannedStore
from .repeating import attempts_of
from .reruns import Reruns
from .scheduler import GuardedStore

__all__ = ["SingletonJobStore"]


class SingletonJobStore(PlannedStore[SchedulerMembership]):
    """Guards the jobs of ``inner``, a job store or the alias of one with its ``options``; plugin alias: ``singleton``.

    All replicas name the same ``lease``; only its holder runs jobs, each fire once. ``poll``: how many seconds at
    most until the holder sees what another replica has changed in a store that all share. ``interrupted``: what
    becomes of a fire that was cut short, of a job that does not say so itself; with ``"rerun"`` it has
    ``max_attempts`` in all. ``config``, ``replica``: as for `singleton_jobs.leadership`. The scheduler's executors are
    guarded with it; jobs of its other stores run on every replica. Raises ConfigError for a bad lease name, and for
    jobs without an id of their own.
    """

    def __init__(
        self,
        inner: str | BaseJobStore = "memory",
        lease: str = "",
        *,
        config: Config | None = None,
        replica: Replica | None = None,
        poll: Seconds | str = 1.0,
        interrupted: Interrupted = "skip",
        max_attempts: int | str = MAX_ATTEMPTS,
        **options: Any,
    ) -> None:
        if isinstance(poll, str):  # a configuration file is all text
            with suppress(ValueError):
                poll = float(poll)
        if isinstance(max_attempts, str):
            with suppress(ValueError):
                max_attempts = int(max_attempts)
        most = attempts(interrupted, cast("int", max_attempts))
        if not lease:
            raise ConfigError('a singleton job store needs the name of its lease: lease="jobs"')
        if isinstance(inner, str):
            inner = plugin("job store", inner)(**options)
        if not isinstance(inner, BaseJobStore) or isinstance(inner, GuardedStore):
            raise ConfigError(f"a singleton job store goes round another job store, or the alias of one, not {inner!r}")
        self.leadership: Leadership = (replica or default_replica()).leadership(lease, config)
        part = part_of(self.leadership)
        fires = Fires(part.core.nonce, self._wake, lambda job: attempts_of(job.func, most))
        super().__init__(inner, part, timedelta(seconds=seconds("poll", cast("Seconds", poll))), fires)
        self._begun: Term | None = None  # the term under which the schedules were taken over
        self._reruns = Reruns(self._fires, self._inner, self._is_elsewhere, timedelta(seconds=self._grace.needed))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} ({self._inner.store!r}, lease={self.leadership.lease!r})>"

    # What the scheduler calls

    def shutdown(self) -> None:
        """Stop with the scheduler, and give the lease back once what runs has ended."""
        if self._membership:
            self._remove_finished()
        self._inner.store.shutdown()
        if self._membership:  # else the store was removed before the start
            self._begun = None
            self._membership.leave()
            self._membership = None

    def get_due_jobs(self, now: datetime) -> list[Job]:
        """The due jobs, on a leader whose scheduler runs; else none."""
        term = self._term
        if term is None:
            return []
        if any(executor.is_over for executor in executors_of(self._scheduler).values()):
            part_of(self.leadership).begin_close()
            return []
        begins = term is not self._begun
        if begins:
            self._inner.forget()
            self._fires.finished.clear()
            self._waiting.clear()
        self._inner.catch_up()
        executors = executors_of(self._scheduler)
        again = self._reruns.due(self._key(""), executors, now, begins=begins)
        if begins or self._fresh:
            self._begin(None if begins else self._fresh, now)
            self._begun = term
            self._fresh = set()
        self._remove_finished()
        due = [job for job in self._inner.due_jobs(now, executors) if job.id not in self._fires.finished]
        waits = {job.id: self._fires.wait(job, now) for job in due if job.id not in self._reruns.held}
        looks = (self._reruns.look_at, *waits.values())
        self._look_at = min((time for time in looks if time), default=None)
        self._handed_out = {job.id: job for job in due if job.id in waits and waits[job.id] is None}
        self._fires.to_ask = len(again) + len(self._handed_out)
        marks = self._fires.candidacy.fires.marks() if self._handed_out else {}
        handed_out = again + [
            self._hand_out(job, marks.get(self._key(job.id)), now) for job in self._handed_out.values()
        ]
        self._waiting = {job.id: self._waiting.get(job.id, now) for job in due if job.id not in self._handed_out}
        return [clone(job, _jobstore_alias=self._alias) for job in handed_out]

    # Inner parts

    @property
    def _term(self) -> Term | None:
        """The term under which jobs may fire now."""
        return self._membership.running_term if self._membership else None

    def _join(self, scheduler: BaseScheduler) -> SchedulerMembership:
        """Candidacy starts when the scheduler first runs."""
        membership = SchedulerMembership(scheduler, self.leadership)
        self._fires.candidacy = membership.candidacy
        return membership

    @property
    def _fires_here(self) -> bool:
        return self._term is not None

    def _mark(self, job_id: str) -> Mark | None:
        return self._fires.candidacy.fires.mark(self._key(job_id))

    def _skipped(self, job: Job) -> None:
        self._fires.candidacy.fires.skipped(self._key(job.id), job.next_run_time, "refused")

    def _may_move(self, job_id: str) -> bool:
        return self._fires.candidacy.work.admits  # else a shared row is the next leader's by now

    def _handled(self, job: Job, next_run_time: datetime | None) -> None:
        if next_run_time is None:
            self._finish(job)
        else:
            self._move(job, next_run_time)

    def _unsubmitted(self, rerun: RerunTrigger) -> None:
        self._fires.candidacy.fires.give_up(rerun.key, rerun.cut)

    def _is_unfinished(self, job_id: str) -> bool:
        return self._fires.is_under_way(job_id) or self._key(job_id) in self._fires.candidacy.fires.cut()

    def _is_elsewhere(self, job_id: str) -> bool:
        """Whether the job with that key is another scheduler's of this process, under the same lease."""
        schedulers = {each.scheduler for each in members(self.leadership) if isinstance(each, SchedulerMembership)}
        stores = [stores_of(each).get(self._alias) for each in schedulers - {self._scheduler}]
        return any(store.has(job_id) for store in stores if isinstance(store, GuardedStore))

    def _forget(self, job_id: str) -> None:
        self._fires.notes.pop(job_id, None)
        self._starts.forget(job_id)
        part_of(self.leadership).jobs.discard(self._key(job_id))

    def _know(self, jobs: list[Job]) -> None:
        """The marks of ``jobs`` are kept however old they get; those of jobs that are gone are not."""
        jobs_here = {self._key(job.id) for job in jobs}
        kept = part_of(self.leadership).jobs
        kept -= {key for key in kept if key.startswith(self._key(""))} - jobs_here
        kept |= jobs_here

    def _begin(self, ids: set[str] | None, now: datetime) -> None:
        """Go on with each job (or those of ``ids``) where its mark says."""
        candidacy = self._fires.candidacy
        marks = candidacy.fires.marks()
        new_marks: dict[str, datetime] = {}
        jobs = self.get_all_jobs()
        self._know(jobs)
        for job in jobs:
            key = self._key(job.id)
            if job.next_run_time is None or (ids is not None and job.id not in ids):
                continue
            since = self._fires.unrun_since(key, marks.get(key))
            start = self._plan(job, marks.get(key), now, candidacy.fires.led_until, since)
            if start.mark:
                new_marks[key] = start.mark
        candidacy.fires.introduce(new_marks)
