"""When a job is due: the nominal times of its trigger, counted from its mark in the ledger. No clock, no I/O.

Replicas never agree on what a trigger alone says: an interval begins when its process began, and jitter is drawn by
each. So fires are named by their nominal time. A cron's nominal times are its own; an interval's are its mark plus
whole intervals, whoever leads; jitter moves a run, not its name. A trigger of somebody's own is asked for one time
after the other, from its mark on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property, partial
from typing import NamedTuple

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from singleton_jobs.decisions.ledger import AHEAD, FORGOTTEN_AFTER, INSTANT, Mark

from .bounds import put_back
from .triggers import exact, is_and, is_date, is_interval, is_or, jitter, jumps, zones

__all__ = ["Schedule", "Start", "begin"]

SECOND = timedelta(seconds=1)
SHIFT = timedelta(hours=2)  # no zone's clocks leave out more at once
STEPS = 10_000  # how often a trigger is asked at most that tells only one time after the other
FIRST_WINDOW = timedelta(minutes=1)  # before now: the latest missed fire is looked for in it, then in wider ones
LAST_WINDOW = timedelta(days=366)


class Schedule:
    """The nominal times of ``trigger``, seen at ``now``, for a job whose last fire is ``mark``.

    ``made``: when the trigger was made here, if it may have starts that move with that.
    """

    def __init__(self, trigger: BaseTrigger, mark: Mark | None, now: datetime, made: datetime | None = None) -> None:
        self.jitter = timedelta(seconds=jitter(trigger))
        self._trigger = exact(put_back(trigger, mark, made))
        self._mark = mark
        self._now = now.astimezone(UTC)
        self._local = now  # in the scheduler's zone

    def first(self, after: datetime) -> datetime | None:
        """The first nominal time later than ``after``, in UTC; None if there is none."""
        trigger = self._trigger
        if is_interval(trigger):
            return self._first_interval(trigger, self._mark.fire if self._mark else None, after)
        if is_date(trigger):
            only = trigger.run_date.astimezone(UTC)
            return only if only > after else None
        if jumps(trigger):
            return _first_jump(trigger, after)
        return self._first_of_chain(after)

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """The last nominal time later than ``after`` and not later than ``until``."""
        window = FIRST_WINDOW
        while True:
            start = max(after, until - window)
            fire = self.first(start)
            if fire is not None and fire <= until:
                while (following := self.following(fire)) is not None and following <= until:
                    fire = following
                return fire
            if start == after or window > LAST_WINDOW:
                return None
            window *= 4

    def nominal(self, run_time: datetime, *, asked: bool = True) -> datetime | None:
        """The nominal time of the fire that is due at ``run_time``; None if somebody ``asked`` for it off schedule."""
        fire = self.scheduled(run_time)
        if fire is not None or (asked and jumps(self._trigger)):
            return fire
        return run_time.astimezone(UTC)  # such a trigger counts from its last run, wherever that was moved

    def following(self, fire: datetime) -> datetime | None:
        """The nominal time after that of ``fire``, wherever that was."""
        trigger = self._trigger
        if is_date(trigger):
            return None
        if is_interval(trigger):
            return self._first_interval(trigger, fire, fire)
        if jumps(trigger):
            return self.first(fire)
        following = self._next(fire, fire)
        return following if following and following > fire else None  # else the trigger names its last time for ever

    def unclaimed(self, run_time: datetime) -> datetime | None:
        """The nominal time of a run that was told to start then; None if it is off schedule, or was claimed before."""
        fire = self.scheduled(run_time)
        return None if fire and self._mark and self._mark.nonce and fire <= self._mark.fire else fire

    def scheduled(self, run_time: datetime) -> datetime | None:
        """The nominal time that a run at ``run_time`` may belong to by the trigger, and by its jitter."""
        run_time = run_time.astimezone(UTC)
        if is_date(self._trigger):
            return run_time
        return self.latest(run_time - self.jitter - INSTANT, run_time)

    def with_jitter(self, fire: datetime) -> datetime:
        """When to run ``fire``."""
        return fire + self.jitter * random.random() if self.jitter else fire

    def latest_plan(self, upcoming: datetime | None, *, shared: bool) -> datetime:
        """The latest time that the trigger itself may have planned, ``upcoming`` being its next fire."""
        if upcoming is None:
            return self._now
        if is_interval(self._trigger) and not shared:  # an interval of this process alone began with it
            upcoming = self._now + self._trigger.interval
        elif not (shared or jumps(self._trigger)):  # a trigger of this process alone may have begun with it
            upcoming = max(upcoming, self._next(None, self._now) or upcoming)
        return upcoming + self.jitter

    def _first_interval(self, trigger: IntervalTrigger, last: datetime | None, after: datetime) -> datetime | None:
        step, start = trigger.interval, trigger.start_date.astimezone(UTC)
        if start > self._now + step:  # asked for: by itself a trigger starts one interval after its making
            base, after = start, max(after, start - INSTANT)
        else:
            base = last or start
        fire = base + ((after - base) // step + 1) * step
        end = trigger.end_date
        return fire if end is None or fire <= end else None

    def _first_of_chain(self, after: datetime) -> datetime | None:
        mark = self._mark
        fire = mark.fire if mark and mark.nonce else None  # a mark that was introduced is where the job began, no fire
        following = self._next(fire, mark.fire if mark and fire is None else after)
        for _ in range(STEPS - 1):
            if following is None or following > after:
                return following
            if fire is not None and following <= fire:
                return None  # the trigger names its last time for ever
            fire, following = following, self._next(following, after)
        return self._next(after, after)

    def _next(self, fire: datetime | None, after: datetime) -> datetime | None:
        """The trigger's answer, asked as APScheduler does: now in the scheduler's zone, its last fire in its own."""
        now = (after + INSTANT).astimezone(self._local.tzinfo)
        if is_and(self._trigger):
            fire = None  # its parts would each go on from there on their own, though it is a time of all of them
        return _utc(self._trigger.get_next_fire_time(fire and fire.astimezone(self._zone), now))

    @cached_property
    def _zone(self) -> tzinfo | None:
        """The zone of the trigger's answers; some count days of the month in it."""
        zone = next(zones(self._trigger), None)
        answer = None if zone else self._trigger.get_next_fire_time(None, self._local)
        return zone or (answer or self._local).tzinfo


class Start(NamedTuple):
    """How a new leader goes on with a job: when it runs next (None: never again), and a mark to introduce."""

    next_run_time: datetime | None
    mark: datetime | None = None


def begin(
    trigger: BaseTrigger,
    mark: Mark | None,
    planned: datetime,
    now: datetime,
    grace: timedelta | None,
    *,
    shared: bool,
    asked: bool,
    since: datetime | None = None,
    led_until: datetime | None = None,
    made: datetime | None = None,
) -> Start:
    """When the job that is ``planned`` for then is to run next, by its ``mark`` in the ledger.

    It goes on with the first fire after its mark that is no older than ``grace`` (None: however old); if all that was
    missed is older, with the latest of that, so that it is reported. ``shared``: what is planned comes from a store
    that all replicas see. ``asked``: the program itself named the first run. ``since``: fires after that, up to the
    mark, were claimed here and have not run. ``led_until``: the last write of the leader before. A shared store's job
    whose fires until then are neither claimed nor planned was paused or put off by somebody, and does not make up for
    them. ``made``: when ``trigger`` was made here, as for `Schedule`.
    """
    planned, now = planned.astimezone(UTC), now.astimezone(UTC)
    earliest = planned - timedelta(seconds=jitter(trigger)) - INSTANT  # no fire before is the one that is planned
    skipped = min(led_until - AHEAD, earliest) if led_until and shared else None
    if is_date(trigger):  # a date has one fire, wherever that was moved
        done = mark.fire if mark else now - FORGOTTEN_AFTER  # a mark may be forgotten after that
        done = since or done
        return Start(planned if planned > done else None)
    put = put_back(trigger, mark, made)
    if put is not trigger:
        own = _utc(exact(trigger).get_next_fire_time(None, now))
        if own is not None and planned <= own + timedelta(seconds=jitter(trigger)):
            planned = min(planned, now)  # it was planned by a start that moves, and not put off by somebody
    elif mark and not mark.nonce and is_interval(trigger) and (shared or made):
        start = trigger.start_date.astimezone(UTC)
        if planned == start > mark.fire + trigger.interval:  # the interval has yet to begin
            mark = mark._replace(fire=start - trigger.interval)
    schedule = partial(Schedule, put, now=now)
    if mark is None:
        trusted = asked or (shared and (grace is None or planned >= now - grace))
        mark = Mark(_first_mark(trigger, planned, now, trusted=trusted), "", "d")
        if asked or (trusted and planned <= now):
            return Start(planned, mark.fire)
        return Start(_go_on(schedule(mark=mark), mark.fire, planned, now, grace, shared=shared), mark.fire)
    done = since or max(mark.fire, skipped or mark.fire)
    return Start(_go_on(schedule(mark=mark), done, planned, now, grace, shared=shared))


def _go_on(
    schedule: Schedule, done: datetime, planned: datetime, now: datetime, grace: timedelta | None, *, shared: bool
) -> datetime | None:
    upcoming = schedule.first(max(now, done))  # a clock may be behind the mark
    if planned > schedule.latest_plan(upcoming, shared=shared):
        return planned  # somebody has put it off
    floor = done if grace is None else max(done, now - grace)
    due = schedule.first(floor)
    if due is not None and due <= now:
        return schedule.with_jitter(due)
    missed = schedule.latest(done, floor)
    if missed is not None:
        return missed
    if shared and planned > now:
        return planned
    return upcoming and schedule.with_jitter(upcoming)


def _first_mark(trigger: BaseTrigger, planned: datetime, now: datetime, *, trusted: bool) -> datetime:
    if not is_interval(trigger):
        return min(now, planned - INSTANT) if trusted else now
    step: timedelta = trigger.interval
    before = planned - step
    if not trusted and planned <= now:
        before = planned + (now - planned) // step * step
    return min(now, before)


def _first_jump(trigger: BaseTrigger, after: datetime) -> datetime | None:
    """The first time later than ``after`` of crons and what combines them, as instants.

    APScheduler combines them by what clocks show, which in the hour that they show twice is no order.
    """
    if is_or(trigger):
        fires = [_first_jump(each, after) for each in trigger.triggers]
    elif is_and(trigger):
        return _first_agreed(trigger.triggers, after)
    else:
        fires = [_utc(trigger.get_next_fire_time(None, start)) for start in _starts(trigger, after)]
    return min((fire for fire in fires if fire is not None and fire > after), default=None)


def _first_agreed(triggers: list[BaseTrigger], after: datetime) -> datetime | None:
    for _ in range(STEPS):
        fires = [fire for each in triggers if (fire := _first_jump(each, after))]
        if len(fires) < len(triggers):
            return None
        if min(fires) == max(fires):
            return fires[0]
        after = max(fires) - INSTANT
    return None


def _starts(trigger: BaseTrigger, after: datetime) -> Iterator[datetime]:
    """Where to ask a cron for its first time later than ``after``.

    A time in the hour that summer time leaves out runs later, but only a cron that is asked from before that hour
    knows of it.
    """
    yield after + INSTANT
    for zone in set(zones(trigger)):
        early, late = after - SHIFT, after + INSTANT
        if _offset(zone, early) < _offset(zone, late):
            while late - early > SECOND:
                middle = early + (late - early) / 2
                early, late = (middle, late) if _offset(zone, middle) == _offset(zone, early) else (early, middle)
            yield early - SECOND


def _offset(zone: tzinfo, time: datetime) -> timedelta:
    return time.astimezone(zone).utcoffset() or timedelta(0)


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(UTC)
