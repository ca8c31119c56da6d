"""Clocks that are put forward and back: every nominal instant once, whoever leads."""

from datetime import UTC, datetime

import pytest

from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from unit.apscheduler.moments import BERLIN, DAY, HOUR, MINUTE, SECOND, claimed, fires, goes_on, introduced, schedule

SPRING = datetime(2026, 3, 29, 1, tzinfo=UTC)  # 02:00 becomes 03:00 in Berlin
AUTUMN = datetime(2026, 10, 25, 1, tzinfo=UTC)  # 03:00 becomes 02:00
CHANGES = pytest.mark.parametrize("change", [SPRING, AUTUMN], ids=["spring", "autumn"])


def nightly(**more):
    return CronTrigger(hour=2, minute=30, timezone=BERLIN, **more)


def taken_over_every(trigger, mark, start, until, step):
    """The fires of a job whose leader changes at each ``step``; each leader claims what is due, then dies."""
    got, now = [], start
    while now <= until:
        due = goes_on(trigger, mark, now, 2 * HOUR)
        if due is not None and due <= now:
            fire = schedule(trigger, mark, now).nominal(due)
            assert fire is not None, f"{due} is planned, and then no fire"
            mark = claimed(fire)
            got.append(fire)
        else:
            now += step
    return got


@CHANGES
@pytest.mark.parametrize(
    "trigger",
    [
        nightly(),
        CronTrigger(minute="*/20", timezone=BERLIN),
        CronTrigger(hour=2, minute="0,59", timezone=BERLIN),
        IntervalTrigger(minutes=25, start_date=SPRING - DAY, timezone=BERLIN),
        CalendarIntervalTrigger(days=1, hour=2, minute=30, start_date=datetime(2026, 3, 27), timezone=BERLIN),
    ],
    ids=["nightly", "minutes", "edges", "interval", "calendar"],
)
def test_nominal_times_grow_and_are_told_back(trigger, change):
    what = schedule(trigger, introduced(change - DAY), change)
    times = fires(what, change - DAY, change + DAY)
    assert times == sorted(set(times)) != []
    assert [what.nominal(time) for time in times] == times
    assert [what.nominal(time.astimezone(BERLIN)) for time in times] == times
    assert what.latest(change - DAY, change + DAY) == times[-1]


def test_the_night_that_has_no_half_past_two():
    times = fires(schedule(nightly()), SPRING - 2 * DAY, SPRING + 2 * DAY)
    assert datetime(2026, 3, 28, 1, 30, tzinfo=UTC) in times
    assert datetime(2026, 3, 30, 0, 30, tzinfo=UTC) in times
    assert len([time for time in times if time.date() == SPRING.date()]) <= 1


def test_the_night_that_has_half_past_two_twice_names_two_instants():
    times = fires(schedule(nightly()), AUTUMN - HOUR, AUTUMN + HOUR)
    assert 1 <= len(times) <= 2
    assert set(times) <= {AUTUMN - 30 * MINUTE, AUTUMN + 30 * MINUTE}
    assert AUTUMN - 30 * MINUTE in times


@CHANGES
@pytest.mark.parametrize(
    ("trigger", "step"),
    [
        (nightly(), 7 * MINUTE),
        (CronTrigger(minute="*/20", timezone=BERLIN), 7 * MINUTE),
        (CronTrigger(minute="*/20", timezone=BERLIN), 45 * MINUTE),
        (IntervalTrigger(minutes=25, start_date=SPRING - DAY, timezone=BERLIN), 7 * MINUTE),
    ],
    ids=["nightly", "minutes", "minutes-coarse", "interval"],
)
def test_leaders_that_change_across_it_run_every_instant_once(trigger, step, change):
    begin, end = change - 6 * HOUR + SECOND, change + 6 * HOUR
    mark = claimed(change - 6 * HOUR)
    got = taken_over_every(trigger, mark, begin, end, step)
    assert got == fires(schedule(trigger, mark, begin), mark.fire, got[-1])
    assert schedule(trigger, mark, begin).first(got[-1]) > end - step


@CHANGES
def test_an_interval_counts_elapsed_time(change):
    trigger = IntervalTrigger(hours=1, start_date=change - DAY, timezone=BERLIN)
    times = fires(schedule(trigger, claimed(change - 3 * HOUR)), change - 3 * HOUR, change + 3 * HOUR)
    assert times == [change + n * HOUR for n in range(-2, 4)]


@CHANGES
def test_a_mark_in_the_hour_that_comes_twice_is_one_instant(change):
    trigger = CronTrigger(minute=30, timezone=BERLIN)
    first, second = change - 30 * MINUTE, change + 30 * MINUTE
    assert goes_on(trigger, claimed(first), second + SECOND, DAY) == second
    assert goes_on(trigger, claimed(second), second + SECOND, DAY) == second + HOUR
