"""What stands in for a due job's trigger, from the job store to the executor: it knows which fire each run is."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

from apscheduler.job import Job
from apscheduler.triggers.base import BaseTrigger

from .fires import Fires
from .schedule import Schedule

__all__ = ["DueTrigger", "clone", "is_same"]


class DueTrigger(BaseTrigger):
    """The trigger of a job that was handed out as due; never stored.

    ``job`` is the job as it is stored, ``key`` its name in the ledger. ``resume_after``: where its schedule goes on
    after a run that is off schedule. ``run_now``: the job was told to run at once; ``asked``: or at that time, by
    somebody.
    """

    __slots__ = ("_asked", "_nominal", "_resume_after", "_run_now", "_schedule", "fires", "job", "key")

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
    ) -> None:
        self.fires = fires
        self.job = job
        self.key = key
        self._schedule = schedule
        self._resume_after = resume_after
        self._run_now = run_now
        self._asked = asked
        self._nominal: dict[datetime, datetime] = {}  # by the times of their runs

    def __str__(self) -> str:
        return str(self.job.trigger)

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
