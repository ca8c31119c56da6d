"""A job whose definition was made anew: whether it goes on, and what its new start has to say. No clock, no I/O."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import BaseCombiningTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from singleton_jobs.decisions.ledger import Mark

from .bounds import SOON, first_day, is_day_of, is_near, put_back, same_schedule, unbound
from .schedule import Schedule
from .triggers import changed, is_plain

__all__ = ["judge_start", "renewed"]

LONG = timedelta(days=1)  # for less, a leader may let fires pass that it would have claimed: a pause, a long last run


def renewed(
    known: BaseTrigger, new: BaseTrigger, planned: datetime | None, mark: Mark | None, now: datetime
) -> BaseTrigger | None:
    """What takes the place of ``known``: ``new``, which was made ``now``, with the starts of ``known``.

    None if the job is not to go on as ``planned``: ``new`` means other times, somebody has set another start, or it
    ends before. ``known`` itself if nothing is new; of another's class, which may know more than it stores, never.
    """
    trigger = _merged(known, new, now) if same_schedule(known, new) else None
    if trigger is None:
        return None
    if trigger.__getstate__() == known.__getstate__():
        return known if is_plain(new) else trigger
    before, after = (planned and Schedule(each, mark, now).scheduled(planned) for each in (known, trigger))
    return None if before and not after else trigger


def _merged(known: BaseTrigger, new: BaseTrigger, now: datetime) -> BaseTrigger | None:
    """``new`` with the starts of ``known``; None if they differ for good."""
    if isinstance(new, BaseCombiningTrigger):
        inner = [_merged(*pair, now) for pair in zip(known.triggers, new.triggers, strict=True)]
        return None if None in inner else changed(new, triggers=inner)
    if not isinstance(new, CronTrigger | IntervalTrigger | CalendarIntervalTrigger) or known.start_date is None:
        return new
    if known.start_date != new.start_date:
        if isinstance(new, CalendarIntervalTrigger):
            moves = is_day_of(new, now) and first_day(known) <= first_day(new)
        elif isinstance(new, IntervalTrigger):  # goes on from its last fire, unless it is to wait for its start
            moves = max(known.start_date, new.start_date) <= now + max(new.interval, SOON)
        else:
            moves = is_near(new.start_date, now) and known.start_date <= now + SOON
        if not moves:
            return None
    return changed(new, start_date=known.start_date)


def judge_start(
    trigger: BaseTrigger, mark: Mark | None, now: datetime, made: datetime | None, led_until: datetime | None
) -> Literal["moves", "kept", "cuts"] | None:
    """What is to be known of a start of ``trigger``, which was ``made`` here then, for a job with this ``mark``.

    It ``moves`` with each making. Or it looks so, but was ``kept`` to by whoever led until ``led_until``: a fire before
    it was due then, for long, and not claimed. Or it leaves out (``cuts``) what was missed, and may be one that moves.
    """
    if mark is None:
        return None
    put = put_back(trigger, mark, made)
    if put is not trigger:
        return "kept" if _was_kept_to(put, mark, now, led_until) else "moves"
    free = unbound(trigger, mark.fire)
    if free is trigger:
        return None
    missed, first = (Schedule(each, mark, now).first(mark.fire) for each in (free, trigger))
    if missed is None or missed > now or (first is not None and first <= missed):
        return None
    return None if _was_kept_to(free, mark, now, led_until) else "cuts"


def _was_kept_to(free: BaseTrigger, mark: Mark, now: datetime, led_until: datetime | None) -> bool:
    schedule = Schedule(free, mark, now)
    fire = schedule.first(mark.fire)
    return fire is not None and led_until is not None and fire + schedule.jitter <= led_until - LONG
