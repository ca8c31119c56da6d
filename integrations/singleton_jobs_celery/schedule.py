"""When a Celery schedule is due: the nominal times of its fires, from what was seen and the time passed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone, tzinfo

from celery.schedules import BaseSchedule, schedule

from singleton_jobs.decisions.ledger import INSTANT

__all__ = ["is_plain", "latest_due", "next_due", "resumed"]

SPANS = tuple(timedelta(minutes=2**power) for power in range(24))  # from a minute to sixteen years
HOUR_TWICE = timedelta(hours=3)  # longer than any time that clocks show twice

Following = Callable[[datetime], datetime | None]


def next_due(schedule: BaseSchedule, last: datetime) -> datetime | None:
    """The first fire after ``last`` (UTC), if any. One no later than ``last`` is named for ever."""
    if is_plain(schedule):
        fire: datetime = last + schedule.run_every
        return fire
    return _following(schedule)(last)


def latest_due(schedule: BaseSchedule, last: datetime, now: datetime) -> datetime | None:
    """The latest fire after ``last`` that is due at ``now``; None if none is.

    An interval's fires keep their distance, so that lateness does not add up. Of several that were missed, beat sends
    one; it stands for the latest.
    """
    if is_plain(schedule):
        return _on_grid(last, schedule.run_every, now)
    following = _following(schedule)
    first = following(last)
    if first is None or first > now:
        return None
    if hasattr(schedule, "run_every"):  # the times of an interval depend on where they are counted from
        second = following(first)
        return first if second is None else _on_grid(first, second - first, now) or first
    for since in _bases(first, now):
        if passed := list(_walk(following, since, now)):
            return passed[-1]
    return first


def resumed(schedule: BaseSchedule, last: datetime) -> datetime:
    """From when Celery is to be asked for the fire after ``last`` (UTC): later, if it would name one before that.

    In the second pass of an hour that clocks show twice, a crontab names times of the first. It goes on from the end
    of that hour, since all of them were due in the first pass.
    """
    if is_plain(schedule) or not last.astimezone(schedule.tz).fold:
        return last
    fire = _asking(schedule)(last)
    return last if fire is None or fire > last else _second_pass_ends(last, schedule.tz)


def _following(schedule: BaseSchedule) -> Following:
    """What fire comes after another, if one does."""
    ask = _asking(schedule)

    def following(last: datetime) -> datetime | None:
        fire = ask(last)
        if fire is not None and fire <= last and last.astimezone(schedule.tz).fold:
            return ask(_second_pass_ends(last, schedule.tz))
        return fire

    return following


def _asking(schedule: BaseSchedule) -> Following:
    """What Celery names after a fire, by a copy of ``schedule`` whose clock shows the time of that fire.

    So the answer depends on nothing else. Celery's own clock makes a difference before 5.7: a crontab that ran last
    on another day leaves out the rest of that hour. It shows the zone's time, but as an offset from UTC, or what is
    subtracted from it would be what clocks show, not what passes.
    """
    frozen: BaseSchedule = object.__new__(type(schedule))
    frozen.__dict__.update(schedule.__dict__)

    def ask(last: datetime) -> datetime | None:
        local = last.astimezone(schedule.tz)
        now = last.astimezone(timezone(local.utcoffset() or timedelta(0)))
        frozen.nowfun = lambda: now
        try:
            left = frozen.remaining_estimate(local)
        except NotImplementedError:  # this schedule says only whether it is due
            return None
        return None if left is None else last + left

    return ask


def _second_pass_ends(time: datetime, zone: tzinfo) -> datetime:
    """The last instant at which clocks of ``zone`` show for the second time what they have shown before."""
    last, first = time, time + HOUR_TWICE
    while first - last > INSTANT:
        middle = last + (first - last) // 2
        if middle.astimezone(zone).fold:
            last = middle
        else:
            first = middle
    return last


def _bases(first: datetime, now: datetime) -> Iterator[datetime]:
    """Where to count from, so that a long absence takes no long walk: nearest first."""
    for span in SPANS:
        if now - span <= first:
            break
        yield now - span
    yield first


def _walk(following: Following, since: datetime, now: datetime) -> Iterator[datetime]:
    while (fire := following(since)) is not None and since < fire <= now:
        yield fire
        since = fire


def _on_grid(last: datetime, step: timedelta, now: datetime) -> datetime | None:
    if step <= timedelta(0):
        return now if now > last else None
    steps = (now - last) // step
    return last + steps * step if steps > 0 else None


def is_plain(schedule_: BaseSchedule) -> bool:
    """Whether it is an interval and nothing more."""
    return type(schedule_) is schedule and not schedule_.relative
