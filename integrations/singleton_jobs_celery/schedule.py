"""When a Celery schedule is due: the nominal times of its fires, from what was seen and the time passed in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from celery.schedules import BaseSchedule, schedule

__all__ = ["latest_due", "next_due"]

SPANS = tuple(timedelta(minutes=2**power) for power in range(24))  # two minutes and less, to sixteen years


def next_due(schedule: BaseSchedule, last: datetime, now: datetime) -> datetime | None:
    """The first fire after ``last`` (UTC), as the schedule itself names it at ``now``; None if there is none."""
    if _is_plain(schedule):
        fire: datetime = last + schedule.run_every
        return fire
    return _after(_at(schedule, now), last, now)


def latest_due(schedule: BaseSchedule, last: datetime, now: datetime) -> datetime | None:
    """The latest fire after ``last`` that is due at ``now``; None if none is.

    An interval's fires keep their distance, so that lateness does not add up. Of several that were missed, beat sends
    one; it stands for the latest.
    """
    if _is_plain(schedule):
        return _on_grid(last, schedule.run_every, now)
    frozen = _at(schedule, now)
    first = _after(frozen, last, now)
    if first is None or first > now:
        return None
    if hasattr(schedule, "run_every"):  # depends on where it is counted from
        second = _after(frozen, first, now)
        return first if second is None else _on_grid(first, second - first, now) or first
    for since in _bases(first, now):
        latest = None
        for latest in _walk(frozen, since, now):  # noqa: B007 (the last one)
            pass
        if latest:
            return latest
    return first


def _bases(first: datetime, now: datetime) -> Iterator[datetime]:
    """Where to count from, so that a long absence takes no long walk: nearest first."""
    for span in SPANS:
        if now - span <= first:
            break
        yield now - span
    yield first


def _walk(frozen: BaseSchedule, since: datetime, now: datetime) -> Iterator[datetime]:
    while (fire := _after(frozen, since, now)) is not None and since < fire <= now:
        yield fire
        since = fire


def _on_grid(last: datetime, step: timedelta, now: datetime) -> datetime | None:
    if step <= timedelta(0):
        return now if now > last else None
    steps = (now - last) // step
    return last + steps * step if steps > 0 else None


def _is_plain(schedule_: BaseSchedule) -> bool:
    return type(schedule_) is schedule and not schedule_.relative


def _at(schedule: BaseSchedule, now: datetime) -> BaseSchedule:
    """A copy whose clock stands still: what it answers depends on nothing else."""
    frozen: BaseSchedule = object.__new__(type(schedule))
    frozen.__dict__.update(schedule.__dict__)
    local = now.astimezone(schedule.tz)
    frozen.nowfun = lambda: local
    return frozen


def _after(frozen: BaseSchedule, last: datetime, now: datetime) -> datetime | None:
    left = frozen.remaining_estimate(last.astimezone(frozen.tz))
    if left is None:
        return None
    fire: datetime = (now + left).astimezone(UTC)
    return fire
