"""SpreadStore: a job store whose jobs fire on any replica, each fire on one: whoever takes the lease of its job."""

from __future__ import annotations

import logging
import random
from collections import Counter
from datetime import datetime, timedelta
from typing import NamedTuple

from apscheduler.executors.base import BaseExecutor
from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore
from apscheduler.schedulers.base import BaseScheduler

from singleton_jobs.decisions.ledger import AHEAD, Mark
from singleton_jobs.leading.spread import SpreadLeases

from .due_trigger import RerunTrigger, clone
from .executor import ClaimingExecutor
from .fairness import delay
from .internals import executors_of, running
from .job_lease import JobLease
from .job_leases import JobLeases
from .planned import PlannedStore
from .repeating import attempts_of
from .spread_fires import SpreadFires
from .spread_membership import SpreadMembership
from .triggers import is_date

__all__ = ["SpreadStore"]

logger = logging.getLogger("singleton_jobs")

LIST_EVERY = timedelta(seconds=10)  # a store that all share is looked through for jobs that others have added


class _Upcoming(NamedTuple):
    job: Job
    submitted: datetime  # when it was to run
    next_run_time: datetime | None


class SpreadStore(PlannedStore[SpreadMembership]):
    """Guards the jobs of ``inner``, each by one of the ``leases``; ``attempts``: of a fire whose job does not say."""

    _fires: SpreadFires

    def __init__(self, inner: BaseJobStore, leases: SpreadLeases, poll: timedelta, attempts: int) -> None:
        self._leases = JobLeases(leases, self._key, self._wake)
        fires = SpreadFires(self._leases, self._wake, lambda job: attempts_of(job.func, attempts))
        super().__init__(inner, leases, poll, fires)
        fires.is_current, fires.granted = self._is_current, self._granted
        self.leases = leases
        self._unseen = True  # the jobs that were stored before
        self._wishes: dict[str, datetime] = {}  # runs that were asked for at once, and are not granted yet
        self._list_at: datetime | None = None  # when a shared store is looked through again
        self._upcoming: dict[str, _Upcoming] = {}  # how jobs go on once their runs were granted

    def __repr__(self) -> str:
        return f"<{type(self).__name__} ({self._inner.store!r}, lease={self.leases.base!r})>"

    # What the scheduler calls

    def shutdown(self) -> None:
        """Stop with the scheduler; leases are given back once what runs has ended."""
        if self._membership:
            self._settle()
            self._remove_finished()
            self._membership.leave()
            self._membership = None
        self._unseen = True
        self._inner.store.shutdown()
        self._leases.close()

    def get_due_jobs(self, now: datetime) -> list[Job]:
        """The due jobs whose leases are free, as far as one can see: their claims decide."""
        self._look_at, self._handed_out = None, {}
        if not self._fires_here or any(executor.is_over for executor in self._executors.values()):
            return []
        self._inner.catch_up()
        self._settle()
        self._find_leases(now)
        news = self._leases.take_news()
        try:
            return self._due_jobs(news, now)
        except Exception:  # the next pass sees what this one has not come to
            self._leases.look_again(news)
            raise

    def _due_jobs(self, news: list[str], now: datetime) -> list[Job]:
        again = [job for job_id in news if (job := self._see(job_id, now))]
        self._remove_finished()
        due = self._inner.due_jobs(now, self._executors)
        random.shuffle(due)  # or all replicas would want the same ones first
        due.sort(key=lambda job: job.next_run_time.replace(microsecond=0))
        load = Counter({alias: running(executor) for alias, executor in self._executors.items()})
        load.update(job.executor for job in again)
        before = load.copy()
        taken: list[Job] = []
        for job in due:
            if job.id not in self._handed_out and self._is_takeable(job, now) and self._is_turn(job, now, before, load):
                taken.append(job)
                load[job.executor] += 1
        self._handed_out |= {job.id: job for job in taken}
        handed_out = again + [self._hand_out(job, self._leases.of(job.id, now).mark, now) for job in taken]
        return [clone(job, _jobstore_alias=self._alias) for job in handed_out]

    # What it depends on who may fire

    def _join(self, scheduler: BaseScheduler) -> SpreadMembership:
        self.leases.prepare()
        self._leases.alias = self._alias
        return SpreadMembership(scheduler, self.leases.core, self._wake)

    @property
    def _fires_here(self) -> bool:
        return self._membership is not None and self._membership.runs

    def _mark(self, job_id: str) -> Mark | None:
        lease = self._leases.get(job_id)
        return lease.mark if lease else None

    def _skipped(self, job: Job) -> None:
        fires = self._fires.candidacy_of(job.id).fires
        fires.skipped(self._key(job.id), job.next_run_time, "refused")

    def _may_move(self, job_id: str) -> bool:
        return True

    def _handled(self, job: Job, next_run_time: datetime | None) -> None:
        if self._fires.is_under_way(job.id) or job.id in self._fires.decided:
            self._upcoming[job.id] = _Upcoming(job, job.next_run_time, next_run_time)
        elif next_run_time is None:
            self._finish(job)
        else:
            self._move(job, next_run_time)

    def _unsubmitted(self, rerun: RerunTrigger) -> None:
        lease = self._leases.get(rerun.job.id)
        if lease:
            lease.settle([rerun.cut])

    def _is_unfinished(self, job_id: str) -> bool:
        lease = self._leases.get(job_id)
        stored = lease.stored if lease else None
        return self._fires.is_under_way(job_id) or bool(stored and stored.attempts)

    def _forget(self, job_id: str) -> None:
        self._fires.notes.pop(job_id, None)
        self._starts.forget(job_id)
        self._leases.forget(job_id)

    def _know(self, jobs: list[Job]) -> None:
        for job_id in self._leases.keep({job.id for job in jobs}):
            self._forget(job_id)

    def _hand_out(self, job: Job, mark: Mark | None, now: datetime) -> Job:
        if self._fires.notes[job.id].run_now == job.next_run_time:
            self._wishes[job.id] = job.next_run_time
        handed_out = super()._hand_out(job, mark, now)
        handed_out.trigger.mark = self._leases.of(job.id, now).stored  # where the job begins may not be stored yet
        return handed_out

    # Inner parts

    @property
    def _executors(self) -> dict[str, BaseExecutor]:
        return executors_of(self._scheduler)

    def _find_leases(self, now: datetime) -> None:
        """Have a lease for each job, also of those that other replicas add, and for no others."""
        listed = self._inner.shared and (self._list_at is None or now >= self._list_at)
        if self._unseen or self._fresh or listed:
            self._list_at = now + LIST_EVERY
            jobs = self.get_all_jobs()
            for job in jobs:
                self._leases.of(job.id, now)
            self._know([*jobs, *self._fires.finished.values()])
            self._unseen, self._fresh = False, set()
        self._leases.ask(now)
        self._look(self._leases.ask_at)

    def _granted(self, job_id: str) -> None:
        """Runs of the job are about to begin: after its last fire nobody finds it any more, as in a plain scheduler.

        Without the scheduler's lock, which a shutdown holds while it waits for this.
        """
        upcoming = self._upcoming.get(job_id)
        if upcoming and upcoming.next_run_time is None:
            self._hide(upcoming)

    def _hide(self, upcoming: _Upcoming) -> None:
        """Its last fire was granted: nobody finds the job any more, unless somebody has put another in its place."""
        stored = self._inner.store.lookup_job(upcoming.job.id)
        if isinstance(stored, Job) and stored.next_run_time == upcoming.submitted:
            self._fires.finished[stored.id] = upcoming.job

    def _settle(self) -> None:
        """Plans go on from what was granted since the last pass; what was not is planned anew, by the new mark."""
        settled = tuple(self._fires.decided)
        for job_id in settled:
            granted = self._fires.decided[job_id]
            del self._fires.decided[job_id]
            upcoming = self._upcoming.pop(job_id, None)
            lease = self._leases.get(job_id)
            wish = self._wishes.pop(job_id, None)
            if wish and not granted:
                self._fires.notes[job_id].run_now = wish
            if granted and lease and upcoming:
                lease.planned()
                if upcoming.next_run_time is None:
                    self._hide(upcoming)
                elif upcoming.job.next_run_time == upcoming.submitted:  # else somebody has changed it meanwhile
                    self._move(upcoming.job, upcoming.next_run_time)
        self._leases.look_again(settled)

    def _see(self, job_id: str, now: datetime) -> Job | None:
        """The lease of the job looks otherwise: plan by its mark; what is to run again at once, if something is."""
        lease = self._leases.get(job_id)
        job = self._inner.store.lookup_job(job_id)
        if job is None and not self._fires.is_under_way(job_id):
            self._forget(job_id)
        if lease is None:
            return None
        if stored := lease.stored:
            self._fires.turns.note(stored.by, lease.candidacy.clock.now())
        if isinstance(job, Job) and job.next_run_time is not None and self._is_at_rest(job_id, lease):
            if stored and stored.fire > lease.candidacy.fires.store_time() + AHEAD:
                lease.settle([])  # which lowers it: a broken clock must not silence the job
            elif stored and (stored.attempts or stored.state == "c"):
                return self._again(job, lease, stored, now)
            elif not lease.is_planned and job_id not in self._fires.finished:
                self._plan_by(job, lease, now)
        return None

    def _is_at_rest(self, job_id: str, lease: JobLease) -> bool:
        """Whether nobody runs the job, here or elsewhere; if that is not known, or not so, it is waited for."""
        if self._fires.is_under_way(job_id) or lease.is_busy:
            return False
        if not (lease.is_known and lease.is_free):
            lease.scout()  # whoever holds it may die
            return False
        return True

    def _plan_by(self, job: Job, lease: JobLease, now: datetime) -> bool:
        """Whether ``job`` may be taken now, as it goes on where its mark says."""
        stored = lease.stored
        if self._fires.notes[job.id].run_now == job.next_run_time:
            lease.planned()
            return True
        start = self._plan(job, stored, now, None, None)
        lease.planned()
        if stored is None and not is_date(job.trigger):
            lease.first = Mark(start.mark or now, "", "d")
            lease.settle([], lease.first)
            return False
        return start.next_run_time is not None and start.next_run_time <= now

    def _again(self, job: Job, lease: JobLease, stored: Mark, now: datetime) -> Job | None:
        """The run that follows one that was cut short; of what nobody runs again, people are told."""
        most = self._fires.attempts(job)
        left = sorted(each for each in stored.attempts if each.number < most and not self._is_too_late(job, lease, now))
        if job.executor not in self._executors:  # it runs where there is one
            return None
        if not left:
            lease.settle([*stored.attempts], None, "skipped" if most == 1 else "gave-up")
            return None
        self._handed_out[job.id] = job
        return clone(
            job,
            trigger=RerunTrigger(self._fires, job, lease.key, left[0], stored),
            next_run_time=min(left[0].fire.astimezone(now.tzinfo), now),
            misfire_grace_time=None,
        )

    def _is_too_late(self, job: Job, lease: JobLease, now: datetime) -> bool:
        """Whether nobody was there for longer than the grace of ``job``."""
        seen = lease.candidacy.candidate.seen
        written = (seen.written_at or seen.record.renew_time) if seen else None
        grace = job.misfire_grace_time
        if written is None or grace is None:
            return False
        return now - written > timedelta(seconds=grace + lease.candidacy.config.lease_duration)

    def _is_takeable(self, job: Job, now: datetime) -> bool:
        lease = self._leases.of(job.id, now)
        if job.id in self._fires.finished or not self._is_at_rest(job.id, lease):
            return False
        return lease.is_planned or self._plan_by(job, lease, now)

    def _is_turn(self, job: Job, now: datetime, before: Counter[str], load: Counter[str]) -> bool:
        """Whether others have had their chance, by what runs here."""
        executor = self._executors[job.executor]
        size = executor.places if isinstance(executor, ClaimingExecutor) else None
        grace = None if job.misfire_grace_time is None else timedelta(seconds=job.misfire_grace_time)
        busy = load if size is not None and load[job.executor] >= size else before
        wish = delay(busy[job.executor], size, grace)
        at = None if wish is None else job.next_run_time + wish
        if at and at <= now:
            return True
        self._look(at)
        return False

    def _look(self, at: datetime | None) -> None:
        if at:
            self._look_at = min(self._look_at or at, at)

    def _is_current(self, job: Job) -> bool:
        """Whether ``job`` is stored as it was when it was handed out, in a store that others may have written to."""
        try:
            stored = self._inner.store.lookup_job(job.id) if self._inner.shared else job
        except Exception as error:  # noqa: BLE001 (a store raises whatever its database's driver does)
            logger.warning("job %s was not found in %r, and does not run now: %s", job.id, self._inner.store, error)
            return False
        return isinstance(stored, Job) and stored.next_run_time == job.next_run_time
