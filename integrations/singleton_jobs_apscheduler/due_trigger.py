"""What stands in for a due job's trigger, from the job store to the executor: it knows which fire each run is."""

from __future__ import annotations

import pickle
from abc import abstractmethod
from datetime import UTC, datetime, timedelta

from apscheduler.job import Job
from apscheduler.triggers.base import BaseTrigger

from singleton_jobs.decisions.ledger import Attempt, Claim, Mark

from .fires import Fires
from .schedule import Schedule

__all__ = ["DueTrigger", "RerunTrigger", "StandIn", "clone", "is_same"]

LATER = timedelta(days=1)


class StandIn(BaseTrigger):
    """The trigger of a job that was handed out; never stored.

    ``job`` is the job as it is stored, ``key`` its name in the ledger, ``mark`` what its runs were planned by.
    """

    __slots__ = ("fires", "job", "key", "mark")

    def __init__(self, fires: Fires, job: Job, key: str, mark: Mark | None) -> None:
        self.mark = mark
        self.fires = fires
        self.job = job
        self.key = key

    def __str__(self) -> str:
        return str(self.job.trigger)

    @property
    def after(self) -> Attempt | None:
        """The attempt that the run follows."""
        return None

    @abstractmethod
    def claim(self, run_time: datetime) -> Claim | None:
        """The claim for the run at ``run_time``; None for one that is off schedule."""


class DueTrigger(StandIn):
    """The trigger of a job that was handed out as due.

    ``resume_after``: where its schedule goes on after a run that is off schedule. ``run_now``: the job was told to run
    at once; ``asked``: or at that time, by somebody.
    """

    __slots__ = ("_asked", "_nominal", "_resume_after", "_run_now", "_schedule")

    def __init__(
        self,
        fires: Fires,
        job: Job,
        key: str,
        schedule: Schedule,
        resume_after: datetime,
        *,
        run_now: bool,
        asked: bool,
        mark: Mark | None,
    ) -> None:
        super().__init__(fires, job, key, mark)
        self._schedule = schedule
        self._resume_after = resume_after
        self._run_now = run_now
        self._asked = asked
        self._nominal: dict[datetime, datetime] = {}  # by the times of their runs

    def claim(self, run_time: datetime) -> Claim | None:
        """The claim for the fire that runs at ``run_time``; None for a run that is off schedule."""
        fire = self.nominal(run_time)
        return None if fire is None else self.fires.claim(self.job, self.key, fire)

    def nominal(self, run_time: datetime) -> datetime | None:
        """The nominal time of the fire that runs at ``run_time``; None for a run that is off schedule."""
        run_time = run_time.astimezone(UTC)
        fire = self._nominal.get(run_time)
        if fire is None:
            schedule, asked = self._schedule, self._asked
            fire = schedule.unclaimed(run_time) if self._run_now else schedule.nominal(run_time, asked=asked)
            if fire is not None:
                self._nominal[run_time] = fire
        return fire

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The next run after that of ``previous_fire_time``, jitter included."""
        last = self.nominal(previous_fire_time) if previous_fire_time else None
        fire = self._schedule.first(self._resume_after) if last is None else self._schedule.following(last)
        if fire is None:
            return None
        run_time = self._schedule.with_jitter(fire)
        self._nominal[run_time] = fire
        return run_time.astimezone(now.tzinfo)


class RerunTrigger(StandIn):
    """The trigger of a job that was handed out to run a fire again, after an attempt that was ``cut`` short."""

    __slots__ = ("claimed", "cut")

    def __init__(self, fires: Fires, job: Job, key: str, cut: Attempt, mark: Mark | None = None) -> None:
        super().__init__(fires, job, key, mark)
        self.cut = cut
        self.claimed = False

    @property
    def after(self) -> Attempt:
        """The attempt that the run follows."""
        return self.cut

    def claim(self, run_time: datetime) -> Claim:
        """The claim for the next attempt."""
        self.claimed = True
        return self.fires.claim_again(self.key, self.cut)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Later, for the scheduler not to take the job for finished; it is never stored."""
        return now + LATER


def clone(job: Job, **changes: object) -> Job:
    """A copy of ``job``, also of one that could not be stored."""
    copy = Job.__new__(Job)
    for name in Job.__slots__:
        if name != "__weakref__" and hasattr(job, name):
            setattr(copy, name, getattr(job, name))
    for name, value in changes.items():
        setattr(copy, name, value)
    return copy


def is_same(one: Job, other: Job) -> bool:
    """Whether two jobs are stored alike; arguments need not compare."""
    return pickle.dumps(one.__getstate__()) == pickle.dumps(other.__getstate__())
