"""Starts and ends that a definition takes from the clock as it is made, such as ``start_date=datetime.now()``.

They move: each start of the program makes them anew, and each replica its own. The new start of a job that has a mark
says nothing of when it began, and would cut what was missed since. A start that somebody has written down lies near
the moment of its making by chance only, and is obeyed. No clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import BaseCombiningTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from singleton_jobs.decisions.ledger import Mark

from .triggers import changed

__all__ = ["SOON", "first_day", "is_day_of", "is_near", "moves", "put_back", "same_schedule", "unbound"]

STARTING = timedelta(minutes=5)  # what a program may need from its first line until it adds its jobs
SOON = timedelta(minutes=1)  # how long after that it may want its first run


def same_schedule(one: BaseTrigger, other: BaseTrigger) -> bool:
    """Whether two triggers mean the same times, apart from when they begin and end; that both do so, or neither."""
    if type(one) is not type(other):
        return False
    if isinstance(one, CronTrigger | IntervalTrigger | CalendarIntervalTrigger):
        return _unbound_state(one) == _unbound_state(other)
    if isinstance(one, BaseCombiningTrigger):
        pairs = zip(one.triggers, other.triggers, strict=False)
        alike = len(one.triggers) == len(other.triggers) and one.jitter == other.jitter
        return alike and all(same_schedule(*pair) for pair in pairs)
    return bool(one.__getstate__() == other.__getstate__())


def put_back(trigger: BaseTrigger, mark: Mark | None, made: datetime | None) -> BaseTrigger:
    """``trigger``, ``made`` here then, with starts that move where they were for ``mark``; itself if none moves."""
    if mark is None or made is None or (not mark.nonce and mark.fire >= made):
        return trigger  # the job is new here: its trigger starts where it says
    last, ago = mark.fire, made - mark.fire

    def moved(start: datetime, step: timedelta) -> datetime:
        if not (is_near(start, made) or is_near(start - step, made)):
            return start
        return min(start, last) if mark.nonce else start - ago

    if isinstance(trigger, CalendarIntervalTrigger):
        return trigger if mark.nonce else _put_back_days(trigger, last, made)
    return _restarted(trigger, moved)


def unbound(trigger: BaseTrigger, last: datetime) -> BaseTrigger:
    """``trigger`` with no start later than its ``last`` fire; itself if there is none."""
    return _restarted(trigger, lambda start, step: start if step else min(start, last))


def moves(known: BaseTrigger, new: BaseTrigger) -> bool:
    """Whether two that are the `same_schedule` begin or end at other times; an interval's start, which may, aside."""
    if isinstance(new, BaseCombiningTrigger):
        return any(moves(*pair) for pair in zip(known.triggers, new.triggers, strict=True))
    bounds = ("end_date",) if isinstance(new, IntervalTrigger) else ("start_date", "end_date")
    return any(getattr(known, bound, None) != getattr(new, bound, None) for bound in bounds)


def _restarted(trigger: BaseTrigger, start: Callable[[datetime, timedelta], datetime]) -> BaseTrigger:
    """``trigger`` with other starts for its crons and intervals: ``start(old, step)``; a cron has no step."""
    if isinstance(trigger, BaseCombiningTrigger):
        inner = [_restarted(each, start) for each in trigger.triggers]
        alike = all(one is other for one, other in zip(inner, trigger.triggers, strict=True))
        return trigger if alike else changed(trigger, triggers=inner)
    if not isinstance(trigger, CronTrigger | IntervalTrigger) or trigger.start_date is None:
        return trigger
    step = trigger.interval if isinstance(trigger, IntervalTrigger) else timedelta(0)
    old = trigger.start_date.astimezone(UTC)
    new = start(old, step)
    return trigger if new == old else changed(trigger, start_date=new.astimezone(trigger.timezone))


def _put_back_days(trigger: CalendarIntervalTrigger, first: datetime, made: datetime) -> BaseTrigger:
    """As it was made when it was ``first`` seen, or as it is: whichever comes first is claimed, and counted from."""
    if not is_day_of(trigger, made) or is_day_of(trigger, first):
        return trigger
    return _Either([changed(trigger, start_date=first.astimezone(trigger.timezone).date()), trigger])


class _Either(BaseCombiningTrigger):
    """The times of all its triggers; unlike those of an ``or``, they do not count from one another's."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        times = []
        for trigger in self.triggers:
            time = trigger.get_next_fire_time(None, now)
            while time is not None and previous_fire_time is not None and time <= previous_fire_time:
                time = trigger.get_next_fire_time(time, now)
            times.append(time)
        return min((time for time in times if time is not None), default=None)


def _unbound_state(trigger: CronTrigger | IntervalTrigger | CalendarIntervalTrigger) -> tuple[object, ...]:
    """What ``trigger`` is apart from when it begins and ends, and whether it does."""
    state = changed(trigger, start_date=None, end_date=None).__getstate__()
    return state, trigger.start_date is None, trigger.end_date is None


def is_near(time: datetime, made: datetime) -> bool:
    """Whether ``time`` may have been taken from the clock when its trigger was ``made``."""
    return made - STARTING <= time <= made + SOON


def is_day_of(trigger: CalendarIntervalTrigger, made: datetime) -> bool:
    """Whether ``trigger`` begins on the day when it was ``made``, as by default: by its own zone, or by the host's."""
    return first_day(trigger) in (made.astimezone(trigger.timezone).date(), made.astimezone().date())


def first_day(trigger: CalendarIntervalTrigger) -> date:
    """The first day of ``trigger``, whose start may have been given as a time."""
    start: date = trigger.start_date
    return start.date() if isinstance(start, datetime) else start
