"""What guarded job stores have in common: the store inside, and what is known and planned of its jobs."""

from __future__ import annotations

import logging
import threading
from abc import abstractmethod
from datetime import UTC, datetime, timedelta
from typing import Generic, Protocol, TypeVar

from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore, JobLookupError
from apscheduler.schedulers.base import STATE_STOPPED, BaseScheduler

from singleton_jobs import ConfigError
from singleton_jobs.decisions.ledger import Mark

from .due_trigger import DueTrigger, RerunTrigger, clone, is_same
from .fires import Fires, Note
from .grace import Grace, Timed
from .inner_store import InnerStore
from .internals import defaults_of, modify
from .schedule import Schedule, Start, begin
from .scheduler import GuardedStore, adopt, refuse_bad_id
from .starts import Starts
from .triggers import is_date

__all__ = ["PlannedStore"]

logger = logging.getLogger("singleton_jobs")


class _Membership(Protocol):
    """The scheduler's part in the lease or leases, from `start` to `leave`."""

    def start(self) -> None: ...

    def leave(self) -> None: ...

    def wake(self) -> None: ...


M = TypeVar("M", bound=_Membership)


class PlannedStore(GuardedStore, Generic[M]):
    """Guards the jobs of ``inner``; ``part``: what takes part in their lease, or leases."""

    def __init__(self, inner: BaseJobStore, part: Timed, poll: timedelta, fires: Fires) -> None:
        super().__init__()
        self._inner = InnerStore(inner)
        self._inner.protect()
        self._poll = poll
        self._grace = Grace(part)
        self._fires = fires
        self._membership: M | None = None
        self._fresh: set[str] = set()  # ids of jobs that were added here, and whose schedules were not looked at since
        self._starts = Starts()
        self._handed_out: dict[str, Job] = {}  # due jobs of the present pass, as they were read
        self._waiting: dict[str, datetime] = {}  # ids of due jobs that have to wait, and since when
        self._look_at: datetime | None = None  # when a due job that has to wait is to be looked at again

    # What it depends on who may fire

    @abstractmethod
    def _join(self, scheduler: BaseScheduler) -> M:
        """What takes part for ``scheduler``."""

    @property
    @abstractmethod
    def _fires_here(self) -> bool:
        """Whether jobs may fire here now."""

    @abstractmethod
    def _mark(self, job_id: str) -> Mark | None:
        """The last claimed fire of the job, as far as it is known here."""

    @abstractmethod
    def _skipped(self, job: Job) -> None:
        """Tell people that the last fire of ``job`` does not run here."""

    @abstractmethod
    def _may_move(self, job_id: str) -> bool:
        """Whether the row of the job in a store that all share is this replica's to change now."""

    @abstractmethod
    def _is_unfinished(self, job_id: str) -> bool:
        """Whether something of the job was submitted and is not over, or was cut short and may run again."""

    @abstractmethod
    def _handled(self, job: Job, next_run_time: datetime | None) -> None:
        """In a pass of the scheduler ``job``, as it was read, was submitted and runs next then; None: never again."""

    @abstractmethod
    def _unsubmitted(self, rerun: RerunTrigger) -> None:
        """It could not be submitted, and the scheduler has said why."""

    @abstractmethod
    def _forget(self, job_id: str) -> None:
        """The job is gone."""

    @abstractmethod
    def _know(self, jobs: list[Job]) -> None:
        """These are all."""

    # What the scheduler calls

    def start(self, scheduler: BaseScheduler, alias: str) -> None:
        """Start with the scheduler."""
        if ":" in alias:
            raise ConfigError(
                f"the alias of a guarded job store may not have a colon, which ends it in ledgers: {alias!r}"
            )
        super().start(scheduler, alias)
        adopt(scheduler)
        membership = self._join(scheduler)
        self._inner.start(scheduler, alias)
        if self._membership:  # an earlier start has failed half-way
            self._membership.leave()
        self._membership = membership
        membership.start()

    def get_next_run_time(self) -> datetime | None:
        """When to look again: never while nothing may fire here, until woken."""
        if not self._fires_here:
            return None
        now = datetime.now(UTC)
        later = now + self._poll
        try:
            upcoming = self._inner.store.get_next_run_time()
            if upcoming is not None and upcoming <= now:  # some due jobs have to wait, but others do not wait for them
                plans = (job.next_run_time for job in self.get_all_jobs())
                upcoming = min((plan for plan in plans if plan and plan > now), default=later)
                upcoming = min(upcoming, later)
            if self._look_at:
                upcoming = min(upcoming or self._look_at, self._look_at)
        except Exception as error:  # noqa: BLE001 (a store raises whatever its database's driver does)
            self._logger.warning("Error getting the next run time from job store %r: %s", self._alias, error)
            return now + timedelta(seconds=self._scheduler.jobstore_retry_interval)
        return min(upcoming or later, later) if self._inner.shared else upcoming

    def has(self, job_id: str) -> bool:
        """Whether such a job is stored, also one that the scheduler takes for removed, or that cannot be restored."""
        return self._inner.store.lookup_job(job_id) is not None

    def lookup_job(self, job_id: str) -> Job | None:
        """The job as it is stored."""
        return None if job_id in self._fires.finished else self._inner.job(job_id)

    def get_all_jobs(self) -> list[Job]:
        """All jobs but those that this version of the program cannot restore."""
        return [job for job in self._inner.all_jobs() if job.id not in self._fires.finished]

    def prepare(self, job: Job, *, replace: bool) -> None:
        """Give a job that is added its grace, and the schedule of the one it replaces if that is the same."""
        refuse_bad_id(job.id, job.func)
        self._grace.settle(job, defaults_of(self._scheduler))
        is_asked = hasattr(job, "next_run_time")
        if is_asked and (job.next_run_time is None or self._scheduler.state != STATE_STOPPED):
            self._fires.notes[job.id].asked = job.next_run_time is not None
            return  # somebody asks for that time now; what is said at each start is for new jobs
        now = datetime.now(self._scheduler.timezone)
        mark = self._mark(job.id)
        known = self._inner.store.lookup_job(job.id) if replace else None
        if self._starts.add(job, known if isinstance(known, Job) else None, mark, now):
            self._fires.notes[job.id] = Note(replaces=known)
            return
        self._fires.notes[job.id].asked = is_asked
        if mark and not is_asked:
            upcoming = Schedule(job.trigger, mark, now).first(max(now, mark.fire))
            if upcoming:
                modify(job, next_run_time=upcoming)

    def passed(self) -> None:
        """Have the claims sent of all jobs that were submitted."""
        self._fires.send()

    def add_job(self, job: Job) -> None:
        """Store a new job."""
        if self._fires.finished.pop(job.id, None):
            self._inner.store.remove_job(job.id)
        self._inner.store.add_job(job)
        if is_date(job.trigger):  # the only fire of a date is where it is planned
            self._fires.notes.pop(job.id, None)
            return
        self._fresh.add(job.id)
        self._fires.notes[job.id].added_for = job.next_run_time

    def update_job(self, job: Job) -> None:
        """Store a changed job; in a pass of the scheduler, an error of the store is made good later."""
        if isinstance(job.trigger, RerunTrigger):
            if not job.trigger.claimed:
                self._unsubmitted(job.trigger)
            return
        if isinstance(job.trigger, DueTrigger):
            self._handled(job.trigger.job, job.next_run_time)
            return
        note = self._fires.notes[job.id]
        replaced, note.replaces = note.replaces, None
        if self._inner.shared and replaced is not None and is_same(replaced, job):
            return  # nothing is new: the row may have been moved on since it was read
        self._inner.store.update_job(job)
        if job.next_run_time is not None and job.next_run_time <= datetime.now(UTC) and self._fires_here:
            note.run_now = job.next_run_time

    def remove_job(self, job_id: str) -> None:
        """Remove a job; in a pass of the scheduler, because its schedule has come to its end."""
        job = self._handed_out.get(job_id) if self._scheduler.passing == threading.get_ident() else None
        if job:
            self._handled(job, None)
            return
        if job_id in self._fires.finished:
            raise JobLookupError(job_id)
        self._inner.store.remove_job(job_id)
        self._forget(job_id)

    def remove_all_jobs(self) -> None:
        """Remove every job, also what cannot be restored."""
        self._inner.store.remove_all_jobs()
        self._fires.finished.clear()
        self._know([])

    # Inner parts

    def _wake(self) -> None:
        if self._membership:
            self._membership.wake()

    def _key(self, job_id: str) -> str:
        return f"aps:{self._alias}:{job_id}"

    def _remove_finished(self) -> None:
        """Remove finished jobs whose last run is over; one whose term has ended is the next leader's to judge."""
        for job_id, job in tuple(self._fires.finished.items()):
            if not self._is_unfinished(job_id):
                del self._fires.finished[job_id]
                self._move(job, None)
                self._forget(job_id)

    def _finish(self, job: Job) -> None:
        """The last fire of ``job`` was submitted: it is removed once that has run."""
        if self._is_unfinished(job.id):
            self._fires.finished[job.id] = job
        else:
            self._move(job, None)
            self._forget(job.id)

    def _plan(
        self, job: Job, mark: Mark | None, now: datetime, led_until: datetime | None, since: datetime | None
    ) -> Start:
        """How ``job`` goes on where its mark says, as that is seen anew."""
        self._grace.settle(job, defaults_of(self._scheduler))
        note = self._fires.notes.pop(job.id, Note())
        self._starts.judge(job, mark, now, led_until)
        grace = None if job.misfire_grace_time is None else timedelta(seconds=job.misfire_grace_time)
        start = begin(
            job.trigger,
            mark,
            job.next_run_time,
            now,
            grace,
            shared=self._inner.shared and note.added_for != job.next_run_time,
            asked=note.asked,
            led_until=led_until,
            since=since,
            made=self._starts.made(job.id),
        )
        off_schedule = self._schedule(job, mark, now).nominal(job.next_run_time, asked=True) is None
        if start.next_run_time != job.next_run_time:
            if job.next_run_time <= now and off_schedule:
                logger.info("job %s: a run off schedule, asked for at %s, is dropped", job.id, job.next_run_time)
            self._go_on(job, start.next_run_time, now)
        elif not off_schedule:
            self._fires.notes[job.id].planned = start.next_run_time
        return start

    def _schedule(self, job: Job, mark: Mark | None, now: datetime) -> Schedule:
        return Schedule(job.trigger, mark, now, self._starts.made(job.id))

    def _go_on(self, job: Job, next_run_time: datetime | None, now: datetime) -> None:
        if next_run_time is None:
            if not self._is_unfinished(job.id):
                self._skipped(job)
            self._handed_out[job.id] = job
            self._scheduler.remove_job(job.id, self._alias)
        else:
            self._move(job, next_run_time.astimezone(now.tzinfo))

    def _move(self, job: Job, next_run_time: datetime | None) -> None:
        self._fires.notes[job.id].planned = next_run_time
        if not self._inner.shared or self._may_move(job.id):
            self._inner.move(job, next_run_time)

    def _hand_out(self, job: Job, mark: Mark | None, now: datetime) -> Job:
        schedule = self._schedule(job, mark, now)
        note = self._fires.notes[job.id]
        run_now, note.run_now = note.run_now == job.next_run_time, None
        resume_after = job.next_run_time
        if run_now and mark:  # an extra run was asked for: the schedule goes on after the last claimed fire
            resume_after = max(mark.fire, note.submitted or mark.fire)
            if job.misfire_grace_time is not None:
                resume_after = max(resume_after, now - timedelta(seconds=job.misfire_grace_time))
        asked = note.planned != job.next_run_time
        due = DueTrigger(
            self._fires, job, self._key(job.id), schedule, resume_after, run_now=run_now, asked=asked, mark=mark
        )
        grace = job.misfire_grace_time
        if grace is not None:  # that it had to wait here makes no fire too late
            grace += (now - self._waiting.get(job.id, now)).total_seconds()
        return clone(job, trigger=due, misfire_grace_time=grace)
