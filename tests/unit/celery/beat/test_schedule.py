"""Nominal times of Celery's schedules, from what was seen and the time passed in."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django_celery_beat.clockedschedule import clocked
from django_celery_beat.tzcrontab import TzAwareCrontab
from hypothesis import given
from hypothesis import strategies as st
from redbeat.schedules import rrule

from celery import Celery
from celery.schedules import BaseSchedule, crontab, schedule
from singleton_jobs_celery.schedule import latest_due, next_due
from unit.celery.beat.site import DAY, HOUR, MINUTE, SECOND

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
APP = Celery("app", set_as_current=False)


def cron(**fields):
    return crontab(**fields, app=APP)


def interval(seconds, **more):
    return schedule(timedelta(seconds=seconds), app=APP, **more)


class Counted(crontab):
    """Counts how often it is asked."""

    calls = 0

    def remaining_estimate(self, last_run_at, **more):
        Counted.calls += 1
        return super().remaining_estimate(last_run_at, **more)


@pytest.mark.parametrize(
    ("late", "fire"),
    [(-1, None), (0, 10), (0.5, 10), (9.999, 10), (10, 20), (35, 40)],
)
def test_an_interval_is_due_on_its_grid(late, fire):
    now = NOON + timedelta(seconds=10 + late)
    assert latest_due(interval(10), NOON, now) == (fire and NOON + fire * SECOND)


@given(step=st.integers(1, 10**7), gap=st.integers(0, 10**12))
def test_an_intervals_latest_fire_is_at_most_one_interval_ago(step, gap):
    every = schedule(timedelta(milliseconds=step), app=APP)
    now = NOON + timedelta(milliseconds=gap)
    fire = latest_due(every, NOON, now)
    if fire is None:
        assert now - NOON < every.run_every
    else:
        assert (fire - NOON) % every.run_every == timedelta(0)
        assert timedelta(0) <= now - fire < every.run_every


def test_an_interval_is_next_due_one_interval_later():
    assert next_due(interval(10), NOON) == NOON + 10 * SECOND


def test_an_interval_of_nothing_is_always_due():
    assert latest_due(interval(0), NOON, NOON + SECOND) == NOON + SECOND
    assert latest_due(interval(0), NOON, NOON) is None


def test_a_relative_interval_is_due_at_full_hours():
    hourly = interval(3600, relative=True)
    assert latest_due(hourly, NOON - 30 * MINUTE, NOON + 5 * MINUTE) == NOON
    assert latest_due(hourly, NOON - 30 * MINUTE, NOON + 65 * MINUTE) == NOON + HOUR


@pytest.mark.parametrize(
    ("last", "now", "fire"),
    [
        (NOON, NOON + 4 * MINUTE, None),
        (NOON, NOON + 5 * MINUTE, NOON + 5 * MINUTE),
        (NOON, NOON + 9 * MINUTE + 59 * SECOND, NOON + 5 * MINUTE),
        (NOON - 7 * SECOND, NOON, NOON),
        (NOON, NOON + 3 * HOUR + MINUTE, NOON + 3 * HOUR),
    ],
)
def test_a_crontab_is_due_at_its_minutes(last, now, fire):
    assert latest_due(cron(minute="*/5"), last, now) == fire


def test_a_crontab_is_next_due_at_its_next_minute():
    assert next_due(cron(minute="*/5"), NOON + SECOND) == NOON + 5 * MINUTE


def test_a_months_absence_of_a_minutely_crontab_is_no_long_walk():
    Counted.calls = 0
    assert latest_due(Counted(app=APP), NOON, NOON + 30 * DAY + 30 * SECOND) == NOON + 30 * DAY
    assert Counted.calls < 10


def test_a_yearly_crontab_is_found_after_years():
    new_year = cron(minute=0, hour=0, day_of_month=1, month_of_year=1)
    assert latest_due(new_year, datetime(2021, 3, 1, tzinfo=UTC), NOON) == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_crontab_is_in_the_apps_zone():
    app = Celery("app", set_as_current=False)
    app.conf.timezone = "Europe/Berlin"
    assert latest_due(crontab(minute=0, hour=14, app=app), NOON - HOUR, NOON) == NOON
    assert next_due(crontab(minute=0, hour=15, app=app), NOON) == datetime(2026, 6, 1, 13, tzinfo=UTC)


def test_a_crontab_of_django_is_in_its_own_zone():
    ours = TzAwareCrontab(minute="0", hour="15", tz=BERLIN, app=APP)
    assert latest_due(ours, NOON, NOON + 2 * HOUR) == NOON + HOUR


@pytest.mark.parametrize(
    ("day", "fires"),
    [(datetime(2026, 3, 29, tzinfo=UTC), 1), (datetime(2026, 10, 25, tzinfo=UTC), 1)],
)
def test_a_daily_crontab_is_due_once_on_days_when_clocks_change(day, fires):
    ours = TzAwareCrontab(minute="30", hour="2", tz=BERLIN, app=APP)
    found, now = set(), day - HOUR
    last = now
    while now < day + 6 * HOUR:
        if fire := latest_due(ours, last, now):
            found.add(fire)
            last = fire
        now += 10 * MINUTE
    assert len(found) == fires


def test_a_clocked_schedule_is_due_once():
    once = clocked(NOON, app=APP)
    assert latest_due(once, NOON - DAY, NOON - SECOND) is None
    assert latest_due(once, NOON - DAY, NOON + HOUR) == NOON


def test_a_rule_is_due_as_it_says():
    hourly = rrule("HOURLY", dtstart=NOON - DAY, app=APP)
    assert latest_due(hourly, NOON - 30 * MINUTE, NOON + 10 * MINUTE) == NOON
    assert latest_due(hourly, NOON - 30 * MINUTE, NOON + 190 * MINUTE) == NOON + 3 * HOUR


def test_a_rule_that_has_ended_is_not_due():
    ended = rrule("HOURLY", dtstart=NOON - DAY, until=NOON - HOUR, app=APP)
    assert latest_due(ended, NOON - HOUR, NOON) is None
    assert next_due(ended, NOON - HOUR) is None


def test_a_schedule_of_somebody_elses_that_counts_from_its_last_run_keeps_its_distance():
    class Theirs(schedule):
        def remaining_estimate(self, last_run_at):
            return super().remaining_estimate(last_run_at) + SECOND

    assert latest_due(Theirs(10 * SECOND, app=APP), NOON, NOON + 35 * SECOND) == NOON + 33 * SECOND


def test_a_schedule_that_says_only_whether_it_is_due_names_no_times():
    class Theirs(BaseSchedule):
        pass

    assert latest_due(Theirs(app=APP), NOON, NOON + DAY) is None
    assert next_due(Theirs(app=APP), NOON) is None
