"""Both clock changes of five zones, minute by minute: each fire once, and none later than its trigger alone says."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest

from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from singleton_jobs_apscheduler.schedule import begin
from singleton_jobs_apscheduler.triggers import zones
from unit.apscheduler.moments import DAY, HOUR, MINUTE, SECOND, claimed, fires, introduced, schedule

HALF = 30 * MINUTE
YEAR = datetime(2025, 1, 1, tzinfo=UTC)  # a past one: zones whose clocks change today may not do so tomorrow


class Change(NamedTuple):
    """``at``: the instant. ``wall``: the middle of what is left out, or comes twice. ``by``: how far clocks are put."""

    zone: ZoneInfo
    at: datetime
    wall: datetime
    by: timedelta


def changes_of(name):
    zone = ZoneInfo(name)

    def offset(time):
        return time.astimezone(zone).utcoffset()

    for day in range(365):
        early, late = YEAR + day * DAY, YEAR + (day + 1) * DAY
        before, after = offset(early), offset(late)
        if before != after:
            while late - early > MINUTE:
                middle = early + (late - early) / 2
                early, late = (middle, late) if offset(middle) == before else (early, middle)
            at = late.replace(second=0, microsecond=0)
            yield Change(zone, at, at.replace(tzinfo=None) + (before + after) / 2, after - before)


ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Casablanca"]
CHANGES = [change for name in ZONES for change in changes_of(name)]
changes = pytest.mark.parametrize(
    "change", CHANGES, ids=lambda c: f"{c.zone}-{'spring' if c.by > c.by * 0 else 'autumn'}"
)


def nightly(change):
    return CronTrigger(hour=change.wall.hour, minute=change.wall.minute, timezone=change.zone)


def often(change):
    return CronTrigger(minute="*/5", timezone=change.zone)


KINDS = {
    "cron": nightly,
    "minutes": often,
    "interval": lambda change: IntervalTrigger(minutes=25, start_date=change.at - DAY, timezone=change.zone),
    "calendar": lambda change: CalendarIntervalTrigger(
        days=1,
        hour=change.wall.hour,
        minute=change.wall.minute,
        start_date=change.wall.date() - 2 * DAY,
        timezone=change.zone,
    ),
    "or": lambda change: OrTrigger([nightly(change), CronTrigger(minute="20,50", timezone=change.zone)]),
}
kinds = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())


def test_there_are_two_changes_in_each_zone():
    assert [change.by > timedelta(0) for change in CHANGES].count(True) == len(ZONES)
    assert len(CHANGES) == 2 * len(ZONES)
    assert {abs(change.by) for change in CHANGES} == {HALF, HOUR}


def taken_over(trigger, mark, now, started=None):
    """What a new leader runs next, however old it is, whose program was started then."""
    planned = trigger.get_next_fire_time(None, (started or now).astimezone(next(zones(trigger))))
    return begin(trigger, mark, planned, now, None, shared=False, asked=False)


@changes
@kinds
def test_a_leader_at_any_minute_goes_on_with_the_next_fire(make, change):
    trigger, first = make(change), introduced(change.at - 4 * HOUR)
    times = fires(schedule(trigger, first, change.at), change.at - 4 * HOUR, change.at + 30 * HOUR)
    assert times == sorted(set(times))
    due = iter(times)
    upcoming, last = next(due), first
    for minute in range(-100, 100):
        now = change.at + minute * MINUTE + SECOND
        while upcoming <= now:
            assert (
                taken_over(trigger, last, now, change.at - 4 * HOUR).next_run_time == upcoming
            )  # whenever it is missed
            last, upcoming = claimed(upcoming), next(due)
        assert taken_over(trigger, last, now, change.at - 4 * HOUR).next_run_time == upcoming


@changes
@kinds
def test_a_job_first_seen_at_any_minute_is_not_silent_for_longer_than_its_trigger(make, change):
    trigger = make(change)
    times = fires(
        schedule(trigger, introduced(change.at - 4 * HOUR), change.at), change.at - 4 * HOUR, change.at + 30 * HOUR
    )
    for minute in range(-90, 90, 6):
        now = change.at + minute * MINUTE + SECOND
        start = taken_over(trigger, None, now)
        alone = trigger.get_next_fire_time(None, now.astimezone(change.zone))
        assert now < start.next_run_time
        if alone > now:
            assert start.next_run_time <= alone
        if not isinstance(trigger, IntervalTrigger):  # which counts from when it is first seen
            assert start.next_run_time in times


# what each does, as the documentation says


@changes
def test_a_wall_time_that_is_left_out_runs_as_much_later_and_one_that_comes_twice_runs_twice(change):
    late = change.at + abs(change.by) / 2
    times = [time for time in fires(schedule(nightly(change)), change.at - 2 * HOUR, change.at + 2 * HOUR)]
    if change.by < timedelta(0):
        assert times == [late - abs(change.by), late]
    else:
        assert times == ([late] if change.wall.hour else [])  # a cron does not look past a midnight that is left out


@changes
def test_a_calendar_interval_leaves_the_night_out_or_runs_at_the_first_of_two(change):
    times = fires(schedule(KINDS["calendar"](change)), change.at - 2 * HOUR, change.at + 2 * HOUR)
    assert times == ([] if change.by > timedelta(0) else [change.at - abs(change.by) / 2])


@changes
def test_what_is_combined_is_compared_as_instants_in_the_hour_that_comes_twice_too(change):
    parts = [often(change), CronTrigger(minute="*/15", timezone=change.zone)]
    within = change.at - 2 * HOUR, change.at + 2 * HOUR
    quarters = fires(schedule(parts[1]), *within)
    assert fires(schedule(AndTrigger(parts)), *within) == quarters
    assert fires(schedule(OrTrigger(parts)), *within) == fires(schedule(parts[0]), *within)
    assert {later - earlier for earlier, later in zip(quarters, quarters[1:], strict=False)} == {15 * MINUTE}


@changes
def test_minutes_and_intervals_count_elapsed_time(change):
    for make, step in ((often, 5 * MINUTE), (KINDS["interval"], 25 * MINUTE)):
        times = fires(schedule(make(change)), change.at - 3 * HOUR, change.at + 3 * HOUR)
        assert {later - earlier for earlier, later in zip(times, times[1:], strict=False)} == {step}
