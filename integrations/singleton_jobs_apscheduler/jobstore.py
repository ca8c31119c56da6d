"""SingletonJobStore: a job store whose jobs fire on the leader only, each from where its ledger says."""

from __future__ import annotations

import logging
import math
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from apscheduler.events import EVENT_SCHEDULER_RESUMED, EVENT_SCHEDULER_STARTED, SchedulerEvent
from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore, JobLookupError
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.base import STATE_RUNNING, BaseScheduler

from singleton_jobs import Config, ConfigError, Leadership, Replica, Term
from singleton_jobs.config import JITTER, Seconds, seconds
from singleton_jobs.events import FireSkipped
from singleton_jobs.ledger import Claim, Mark
from singleton_jobs.process import default_replica
from singleton_jobs.signals import run_blocking

from .adoption import GuardedStore, adopt, refuse_generated_id
from .parking import Parking
from .plan import Plan, clone
from .schedule import Schedule, begin, same_schedule

__all__ = ["SingletonJobStore"]

logger = logging.getLogger("singleton_jobs")

SPARE = 10.0  # seconds of grace beyond the longest take-over
UNSET = 1  # seconds of grace that APScheduler gives a job for which nobody has asked for any


class SingletonJobStore(GuardedStore):
    """Guards the jobs of ``inner``, a job store or the alias of one with its ``options``; plugin alias: ``singleton``.

    All replicas name the same ``lease``; only its holder runs jobs, each fire once. ``poll``: how many seconds at
    most until the holder sees what another replica has changed in a store that all share. ``config``, ``replica``:
    as for `singleton_jobs.leadership`. The scheduler's executors are guarded with it; jobs of its other stores run
    on every replica. Raises ConfigError for a bad lease name, and for jobs without an id of their own.
    """

    def __init__(
        self,
        inner: str | BaseJobStore = "memory",
        lease: str = "",
        *,
        config: Config | None = None,
        replica: Replica | None = None,
        poll: Seconds = 1.0,
        **options: Any,
    ) -> None:
        super().__init__()
        if not lease:
            raise ConfigError('a singleton job store needs the name of its lease: lease="jobs"')
        if isinstance(inner, str):
            inner = BaseScheduler._jobstore_plugins[inner].load()(**options)
        self.leadership: Leadership = (replica or default_replica()).leadership(lease, config)
        self._inner = inner
        self._shared = not isinstance(inner, MemoryJobStore)
        self._poll = timedelta(seconds=seconds("poll", poll))
        self._parking = Parking(inner)
        self._begun: Term | None = None  # the term under which the schedules were taken over
        self._fresh: set[str] = set()  # jobs added since
        self._asked: set[str] = set()  # jobs whose first run the program has named
        self._run_now: dict[str, datetime] = {}
        self._unwritten: dict[str, Job | None] = {}  # what the inner store has failed to take; None: a removal
        self._unrun: dict[tuple[str, datetime], Claim] = {}  # claims whose term ended before their fire ran
        self._warned: set[str] = set()
        self._stopped = threading.Event()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} ({self._inner!r}, lease={self.leadership.lease!r})>"

    # What the scheduler calls

    def start(self, scheduler: BaseScheduler, alias: str) -> None:
        """Start with the scheduler; candidacy starts when that first runs."""
        super().start(scheduler, alias)
        adopt(scheduler)
        self.candidacy = self.leadership.prepare()
        self._inner.start(scheduler, alias)
        self._stopped = threading.Event()
        _users.setdefault(self.leadership, WeakSet()).add(self)
        scheduler.add_listener(self._on_running, EVENT_SCHEDULER_STARTED | EVENT_SCHEDULER_RESUMED)
        if scheduler.state == STATE_RUNNING:
            self.leadership.start()
        threading.Thread(target=self._watch, args=(self._stopped,), name="singleton-jobs-wakeup", daemon=True).start()

    def shutdown(self) -> None:
        """Stop with the scheduler, and give the lease back once what runs has ended."""
        self._stopped.set()
        self.candidacy.changed.notify()
        self._scheduler.remove_listener(self._on_running)
        self._inner.shutdown()
        self._begun = None
        users = _users[self.leadership]
        users.discard(self)
        if users or not self.candidacy.started:
            return
        if self.candidacy.active:
            self.leadership.begin_close()
        else:
            self.leadership.close()

    def get_due_jobs(self, now: datetime) -> list[Job]:
        """The due jobs, on a leader whose scheduler runs; else none."""
        term = self._leading()
        if term is None:
            return []
        self._catch_up()
        marks: dict[str, Mark] | None = None
        if term is not self._begun or self._fresh:
            marks = self.candidacy.marks()
            self._begin(None if term is not self._begun else self._fresh, marks, now)
            self._begun = term
            self._fresh = set()
        due = self._parking.known(self._inner.get_due_jobs(now), self._scheduler._executors)
        if not due:
            return []
        marks = self.candidacy.marks()
        return [self._hand_out(job, marks, now) for job in due]

    def get_next_run_time(self) -> datetime | None:
        """When to look again: never on a follower, which is woken when it leads."""
        if self._leading() is None:
            return None
        now = datetime.now(UTC)
        later = now + self._poll
        try:
            upcoming = self._inner.get_next_run_time()
        except Exception as error:
            self._logger.warning("Error getting the next run time from job store %r: %s", self._alias, error)
            return now + timedelta(seconds=self._scheduler.jobstore_retry_interval)
        if self._unwritten:
            return later
        if upcoming is not None and upcoming <= now and self._parking.has_due:
            return later
        return min(upcoming or later, later) if self._shared else upcoming

    def lookup_job(self, job_id: str) -> Job | None:
        """The job as it is stored."""
        return self._parking.one(self._inner.lookup_job(job_id))

    def get_all_jobs(self) -> list[Job]:
        """All jobs but those that this version of the program cannot restore."""
        return self._parking.restored(self._inner.get_all_jobs())

    def prepare(self, job: Job, *, replace: bool) -> None:
        """Give a job that is added its grace, and the schedule of the one it replaces if that is the same."""
        refuse_generated_id(job.id, job.func)
        self._check_grace(job)
        if hasattr(job, "next_run_time") and job.next_run_time is not None:
            self._asked.add(job.id)
        known = self._parking.one(self._inner.lookup_job(job.id)) if replace else None
        if known is None:
            self._fresh.add(job.id)
        elif same_schedule(known.trigger, job.trigger):
            job._modify(trigger=known.trigger, next_run_time=known.next_run_time)
            self._asked.discard(job.id)
        else:
            now = datetime.now(UTC)
            mark = self.candidacy.mark(self._key(job))
            if mark and not hasattr(job, "next_run_time"):
                job._modify(next_run_time=Schedule(job.trigger, mark, now).first(max(now, mark.fire)))

    def add_job(self, job: Job) -> None:
        """Store a new job."""
        self._inner.add_job(job)

    def update_job(self, job: Job) -> None:
        """Store a changed job; in a pass of the scheduler, an error of the store is made good later."""
        plan = job.trigger
        if isinstance(plan, Plan):
            plan.job._modify(next_run_time=job.next_run_time)
            self._write(job.id, plan.job)
            return
        self._inner.update_job(job)
        now = datetime.now(UTC)
        if job.next_run_time is not None and job.next_run_time <= now:
            self._run_now[job.id] = job.next_run_time

    def remove_job(self, job_id: str) -> None:
        """Remove a job; in a pass of the scheduler, because its schedule has come to its end."""
        if self._scheduler.passing == threading.get_ident():
            self._write(job_id, None)
        else:
            self._inner.remove_job(job_id)

    def remove_all_jobs(self) -> None:
        """Remove every job, also what cannot be restored."""
        self._inner.remove_all_jobs()

    # What executors call

    def claim(self, key: str, fire: datetime) -> Claim:
        """The claim for a fire: the one that an ended term left open, if there is one."""
        claim = self._unrun.pop((key, fire), None)
        if claim is None:
            return Claim(key, fire, self.leadership.replica.nonce())
        claim.outcome = None
        return claim

    def keep(self, claim: Claim) -> None:
        """The term of ``claim`` ended before its fire ran."""
        self._unrun[(claim.job, claim.fire)] = claim

    def skipped(self, key: str, fire: datetime, reason: str) -> None:
        """Tell hooks of a fire that does not run here."""
        time = fire.astimezone(UTC).isoformat()
        event = FireSkipped(self.leadership.lease, self.candidacy.identity, key, time, reason)
        self.leadership.replica.emit(event, self.leadership)

    # Inner parts

    def _key(self, job: Job) -> str:
        return f"aps:{self._alias}:{job.id}"

    def _leading(self) -> Term | None:
        return self.candidacy.term if self._scheduler.state == STATE_RUNNING and self.candidacy.admits else None

    def _on_running(self, event: SchedulerEvent) -> None:
        if self._scheduler.state == STATE_RUNNING:
            self.leadership.start()

    def _watch(self, stopped: threading.Event) -> None:
        """Wake the scheduler at the beginning of each term."""
        known: Term | None = None

        def news() -> bool:
            return stopped.is_set() or self._admitted() is not known

        while run_blocking(self.candidacy.changed.wait(news, math.inf, block=True)) and not stopped.is_set():
            known = self._admitted()
            if known is None:
                continue
            try:
                self._scheduler.wakeup()
            except RuntimeError:  # its event loop was closed
                return

    def _admitted(self) -> Term | None:
        return self.candidacy.term if self.candidacy.admits else None

    def _begin(self, ids: set[str] | None, marks: dict[str, Mark], now: datetime) -> None:
        """Go on with each job (or those of ``ids``) where its mark says."""
        new_marks: dict[str, datetime] = {}
        for job in self.get_all_jobs():
            if job.next_run_time is None or (ids is not None and job.id not in ids):
                continue
            key = self._key(job)
            self.leadership.jobs.add(key)
            self._check_grace(job)
            mark = marks.get(key)
            grace = None if job.misfire_grace_time is None else timedelta(seconds=job.misfire_grace_time)
            start = begin(
                job.trigger,
                mark,
                job.next_run_time,
                now,
                grace,
                shared=self._shared,
                asked=job.id in self._asked,
                since=self._unrun_since(key, mark),
            )
            if start.mark:
                new_marks[key] = start.mark
            self._move(job, start.next_run_time, now)
        self._asked.clear()
        self.candidacy.introduce(new_marks)

    def _unrun_since(self, key: str, mark: Mark | None) -> datetime | None:
        """Just before the first of the fires that ``mark`` stands for, were claimed here and have not run."""
        since = None
        for claim in [claim for (job, _), claim in self._unrun.items() if job == key]:
            if mark and mark.state == "c" and mark.nonce in claim.carried:
                since = min(since or claim.fire, claim.fire - timedelta(microseconds=1))
                continue
            del self._unrun[(key, claim.fire)]
            if claim.outcome == "granted":
                self.candidacy.interrupted(key, claim.fire, claim.nonce)
        return since

    def _move(self, job: Job, next_run_time: datetime | None, now: datetime) -> None:
        if next_run_time is None:
            self._scheduler.remove_job(job.id, self._alias)
        elif next_run_time != job.next_run_time:
            job._modify(next_run_time=next_run_time.astimezone(now.tzinfo))
            self._write(job.id, job)

    def _hand_out(self, job: Job, marks: dict[str, Mark], now: datetime) -> Job:
        key = self._key(job)
        mark = marks.get(key)
        schedule = Schedule(job.trigger, mark, now)
        grace = timedelta.max if job.misfire_grace_time is None else timedelta(seconds=job.misfire_grace_time)
        resume_after = mark.fire if mark else now
        if now - resume_after > grace:
            resume_after = now - grace
        run_now = self._run_now.pop(job.id, None) == job.next_run_time
        return clone(job, trigger=Plan(self, job, key, schedule, resume_after, run_now=run_now))

    def _write(self, job_id: str, job: Job | None) -> None:
        """Write through to the inner store; what it does not take now is kept for the next pass."""
        if self._shared and self._leading() is None:
            return  # the row is another leader's by now
        self._unwritten[job_id] = job
        try:
            self._catch_up()
        except Exception as error:
            self._logger.warning("Error updating job %r in job store %r, trying again: %s", job_id, self._alias, error)

    def _catch_up(self) -> None:
        for job_id, job in tuple(self._unwritten.items()):
            try:
                if job is None:
                    self._inner.remove_job(job_id)
                else:
                    self._inner.update_job(job)
            except JobLookupError:
                self._logger.info("Job %r was removed from job store %r meanwhile", job_id, self._alias)
            del self._unwritten[job_id]

    def _check_grace(self, job: Job) -> None:
        config = self.leadership.config or self.leadership.replica.default_config()
        needed = math.ceil(config.lease_duration + JITTER * config.retry_period + SPARE)
        if not hasattr(job, "misfire_grace_time") and self._scheduler._job_defaults["misfire_grace_time"] == UNSET:
            job._modify(misfire_grace_time=needed)
            logger.info(
                "job %s: no misfire_grace_time was given, %d s it is: a fire outlives a take-over", job.id, needed
            )
        grace = getattr(job, "misfire_grace_time", self._scheduler._job_defaults["misfire_grace_time"])
        if grace is not None and grace < needed and job.id not in self._warned:
            self._warned.add(job.id)
            logger.warning(
                "job %s: a misfire_grace_time of %d s loses fires whenever another replica takes over; set it to %d",
                job.id,
                grace,
                needed,
            )


_users: WeakKeyDictionary[Leadership, WeakSet[SingletonJobStore]] = WeakKeyDictionary()
