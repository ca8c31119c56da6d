"""SingletonJobStore: a job store whose jobs fire on the leader only, each from where its ledger says."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore, JobLookupError
from apscheduler.schedulers.base import STATE_STOPPED, BaseScheduler

from singleton_jobs import Config, ConfigError, Leadership, Replica, Term
from singleton_jobs.config import Seconds, seconds
from singleton_jobs.decisions.ledger import Mark
from singleton_jobs.default import default_replica
from singleton_jobs.leading.membership import members
from singleton_jobs.leading.participant import part_of
from singleton_jobs.reruns import MAX_ATTEMPTS, Interrupted, attempts

from .due_trigger import DueTrigger, RerunTrigger, clone, is_same
from .fires import Fires, Note
from .grace import Grace
from .inner_store import InnerStore
from .internals import defaults_of, executors_of, modify, plugin, stores_of
from .membership import SchedulerMembership
from .repeating import attempts_of
from .reruns import Reruns
from .schedule import Schedule, begin
from .scheduler import GuardedStore, adopt, refuse_bad_id
from .starts import Starts
from .triggers import is_date

__all__ = ["SingletonJobStore"]

logger = logging.getLogger("singleton_jobs")


class SingletonJobStore(GuardedStore):
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
        super().__init__()
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
        if not isinstance(inner, BaseJobStore) or isinstance(inner, SingletonJobStore):
            raise ConfigError(f"a singleton job store goes round another job store, or the alias of one, not {inner!r}")
        self.leadership: Leadership = (replica or default_replica()).leadership(lease, config)
        self._inner = InnerStore(inner)
        self._inner.protect()
        self._poll = timedelta(seconds=seconds("poll", cast("Seconds", poll)))
        self._grace = Grace(self.leadership)
        self._begun: Term | None = None  # the term under which the schedules were taken over
        self._fresh: set[str] = set()  # ids of jobs that were added here since then
        self._starts = Starts()
        self._handed_out: dict[str, Job] = {}  # due jobs of the present pass, as they were read
        self._fires = Fires(self.leadership, self._wake, lambda job: attempts_of(job.func, most))
        self._reruns = Reruns(self._fires, self._inner, self._is_elsewhere, timedelta(seconds=self._grace.needed))
        self._membership: SchedulerMembership | None = None
        self._waiting: dict[str, datetime] = {}  # ids of due jobs that have to wait, and since when
        self._look_at: datetime | None = None  # when a due job that has to wait is to be looked at again

    def __repr__(self) -> str:
        return f"<{type(self).__name__} ({self._inner.store!r}, lease={self.leadership.lease!r})>"

    # What the scheduler calls

    def start(self, scheduler: BaseScheduler, alias: str) -> None:
        """Start with the scheduler; candidacy starts when that first runs."""
        if ":" in alias:
            raise ConfigError(
                f"the alias of a guarded job store may not have a colon, which ends it in ledgers: {alias!r}"
            )
        super().start(scheduler, alias)
        adopt(scheduler)
        membership = SchedulerMembership(scheduler, self.leadership)
        self._fires.candidacy = membership.candidacy
        self._inner.start(scheduler, alias)
        if self._membership:  # an earlier start has failed half-way
            self._membership.leave()
        self._membership = membership
        membership.start()

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
        handed_out = again + [self._hand_out(job, marks, now) for job in self._handed_out.values()]
        self._waiting = {job.id: self._waiting.get(job.id, now) for job in due if job.id not in self._handed_out}
        return [clone(job, _jobstore_alias=self._alias) for job in handed_out]

    def get_next_run_time(self) -> datetime | None:
        """When to look again: never on a follower, which is woken when it leads."""
        if self._term is None:
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
        mark = self._fires.candidacy.fires.mark(self._key(job.id))
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
            if not job.trigger.claimed:  # it could not be submitted, and the scheduler has said why
                self._fires.candidacy.fires.give_up(job.trigger.key, job.trigger.cut)
            return
        if isinstance(job.trigger, DueTrigger):
            self._move(job.trigger.job, job.next_run_time)
            return
        note = self._fires.notes[job.id]
        replaced, note.replaces = note.replaces, None
        if self._inner.shared and replaced is not None and is_same(replaced, job):
            return  # nothing is new: the row is the leader's, who may have moved it on since it was read
        self._inner.store.update_job(job)
        if job.next_run_time is not None and job.next_run_time <= datetime.now(UTC) and self._term:
            note.run_now = job.next_run_time

    def remove_job(self, job_id: str) -> None:
        """Remove a job; in a pass of the scheduler, because its schedule has come to its end."""
        job = self._handed_out.get(job_id) if self._scheduler.passing == threading.get_ident() else None
        if job and self._is_unfinished(job_id):
            self._fires.finished[job_id] = job
            return
        if job:
            self._move(job, None)
        elif job_id in self._fires.finished:
            raise JobLookupError(job_id)
        else:
            self._inner.store.remove_job(job_id)
        self._forget(job_id)

    def remove_all_jobs(self) -> None:
        """Remove every job, also what cannot be restored."""
        self._inner.store.remove_all_jobs()
        self._fires.finished.clear()
        self._know([])

    # Inner parts

    @property
    def _term(self) -> Term | None:
        """The term under which jobs may fire now."""
        return self._membership.running_term if self._membership else None

    def _wake(self) -> None:
        if self._membership:
            self._membership.wake()

    def _remove_finished(self) -> None:
        """Remove finished jobs whose last run is over; one whose term has ended is the next leader's to judge."""
        for job_id, job in tuple(self._fires.finished.items()):
            if not self._is_unfinished(job_id):
                del self._fires.finished[job_id]
                self._move(job, None)
                self._forget(job_id)

    def _is_unfinished(self, job_id: str) -> bool:
        """Whether something of the job was submitted and is not over, or was cut short and may run again."""
        return self._fires.is_under_way(job_id) or self._key(job_id) in self._fires.candidacy.fires.cut()

    def _is_elsewhere(self, job_id: str) -> bool:
        """Whether the job with that key is another scheduler's of this process, under the same lease."""
        schedulers = {each.scheduler for each in members(self.leadership) if isinstance(each, SchedulerMembership)}
        stores = [stores_of(each).get(self._alias) for each in schedulers - {self._scheduler}]
        return any(store.has(job_id) for store in stores if isinstance(store, GuardedStore))

    def _key(self, job_id: str) -> str:
        return f"aps:{self._alias}:{job_id}"

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
            self._grace.settle(job, defaults_of(self._scheduler))
            note = self._fires.notes.pop(job.id, Note())
            mark = marks.get(key)
            self._starts.judge(job, mark, now, candidacy.fires.led_until)
            grace = None if job.misfire_grace_time is None else timedelta(seconds=job.misfire_grace_time)
            start = begin(
                job.trigger,
                mark,
                job.next_run_time,
                now,
                grace,
                shared=self._inner.shared and note.added_for != job.next_run_time,
                asked=note.asked,
                led_until=candidacy.fires.led_until,
                since=self._fires.unrun_since(key, mark),
                made=self._starts.made(job.id),
            )
            if start.mark:
                new_marks[key] = start.mark
            off_schedule = self._schedule(job, mark, now).nominal(job.next_run_time, asked=True) is None
            if start.next_run_time != job.next_run_time:
                if job.next_run_time <= now and off_schedule:
                    logger.info("job %s: a run off schedule, asked for at %s, is dropped", job.id, job.next_run_time)
                self._go_on(job, start.next_run_time, now)
            elif not off_schedule:
                self._fires.notes[job.id].planned = start.next_run_time
        candidacy.fires.introduce(new_marks)

    def _schedule(self, job: Job, mark: Mark | None, now: datetime) -> Schedule:
        return Schedule(job.trigger, mark, now, self._starts.made(job.id))

    def _go_on(self, job: Job, next_run_time: datetime | None, now: datetime) -> None:
        if next_run_time is None:
            if not self._is_unfinished(job.id):
                self._fires.candidacy.fires.skipped(self._key(job.id), job.next_run_time, "refused")
            self._handed_out[job.id] = job
            self._scheduler.remove_job(job.id, self._alias)
        else:
            self._move(job, next_run_time.astimezone(now.tzinfo))

    def _move(self, job: Job, next_run_time: datetime | None) -> None:
        self._fires.notes[job.id].planned = next_run_time
        if not self._inner.shared or self._fires.candidacy.work.admits:  # else a shared row is the next leader's by now
            self._inner.move(job, next_run_time)

    def _hand_out(self, job: Job, marks: dict[str, Mark], now: datetime) -> Job:
        key = self._key(job.id)
        mark = marks.get(key)
        schedule = self._schedule(job, mark, now)
        note = self._fires.notes[job.id]
        run_now, note.run_now = note.run_now == job.next_run_time, None
        resume_after = job.next_run_time
        if run_now and mark:  # an extra run was asked for: the schedule goes on after the last claimed fire
            resume_after = max(mark.fire, note.submitted or mark.fire)
            if job.misfire_grace_time is not None:
                resume_after = max(resume_after, now - timedelta(seconds=job.misfire_grace_time))
        asked = note.planned != job.next_run_time
        due = DueTrigger(self._fires, job, key, schedule, resume_after, run_now=run_now, asked=asked)
        grace = job.misfire_grace_time
        if grace is not None:  # that it had to wait here makes no fire too late
            grace += (now - self._waiting.get(job.id, now)).total_seconds()
        return clone(job, trigger=due, misfire_grace_time=grace)
