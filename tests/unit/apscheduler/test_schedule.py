"""Nominal times: the ones after, before and at a moment, whatever the trigger."""

from datetime import UTC, datetime, timedelta

import pytest

from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from singleton_jobs_apscheduler.bounds import same_schedule
from unit.apscheduler.moments import (
    BERLIN,
    DAY,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    Doubling,
    Stuck,
    claimed,
    count_questions,
    every,
    fires,
    hourly,
    introduced,
    minutely,
    schedule,
)

TICK = timedelta(microseconds=1)


def test_the_first_fire_is_later_than_the_moment_itself():
    assert schedule(minutely()).first(NOON) == NOON + MINUTE
    assert schedule(minutely()).first(NOON - TICK) == NOON


def test_the_first_fire_is_told_in_utc():
    trigger = CronTrigger(hour=14, timezone=BERLIN)
    first = schedule(trigger).first(NOON - HOUR)
    assert (first, first.tzinfo) == (NOON, UTC)


def test_the_latest_fire_is_no_later_than_the_limit_and_later_than_the_start():
    hours = schedule(hourly())
    assert hours.latest(NOON - DAY, NOON) == NOON
    assert hours.latest(NOON - DAY, NOON - TICK) == NOON - HOUR
    assert hours.latest(NOON - HOUR, NOON - TICK) is None
    assert hours.latest(NOON, NOON) is None


def test_the_latest_of_a_yearly_cron_is_found_a_year_back():
    trigger = CronTrigger(month=6, day=2, timezone=UTC)
    assert schedule(trigger).latest(datetime(2023, 1, 1, tzinfo=UTC), NOON) == datetime(2025, 6, 2, tzinfo=UTC)


def test_the_latest_of_a_cron_that_has_ended_is_its_last():
    ended = hourly(end_date=NOON - 100 * DAY)
    assert schedule(ended).latest(NOON - 300 * DAY, NOON) == NOON - 100 * DAY


def test_the_latest_minute_of_a_month_is_found_without_going_through_it(monkeypatch):
    questions = count_questions(monkeypatch, CronTrigger)
    assert schedule(minutely()).latest(NOON - 30 * DAY, NOON - SECOND) == NOON - MINUTE
    assert len(questions) < 10


@pytest.mark.parametrize("run_time", [NOON, NOON + timedelta(0)], ids=["utc", "again"])
def test_a_run_at_a_nominal_time_is_that_fire(run_time):
    assert schedule(hourly()).nominal(run_time) == NOON
    assert schedule(every(HOUR)).nominal(run_time) == NOON
    assert schedule(DateTrigger(NOON)).nominal(run_time) == NOON


@pytest.mark.parametrize("trigger", [hourly(), OrTrigger([hourly(), CronTrigger(minute=30, timezone=UTC)])], ids=str)
def test_a_run_at_another_time_of_a_fixed_schedule_is_no_fire(trigger):
    assert schedule(trigger).nominal(NOON + SECOND) is None


def test_a_date_is_a_fire_wherever_it_was_moved_to_and_nothing_follows():
    moved = schedule(DateTrigger(NOON + DAY))
    assert moved.nominal(NOON) == NOON
    assert moved.following(NOON) is None
    assert moved.following(NOON + 2 * DAY) is None


def test_an_interval_goes_on_from_where_it_was_moved_to():
    assert schedule(every(HOUR), claimed(NOON)).following(NOON + MINUTE) == NOON + HOUR + MINUTE
    assert schedule(hourly(), claimed(NOON)).following(NOON + MINUTE) == NOON + HOUR


def test_a_moved_run_of_an_interval_is_a_fire_of_its_own():
    assert schedule(every(HOUR)).nominal(NOON + SECOND) == NOON + SECOND
    assert schedule(every(HOUR)).scheduled(NOON + SECOND) is None


@pytest.mark.parametrize("late", [0, 1, 30], ids=lambda late: f"{late}s")
def test_jitter_is_no_part_of_the_nominal_time(late):
    jittered = hourly(jitter=30)
    assert schedule(jittered).nominal(NOON + late * SECOND) == NOON
    assert schedule(jittered).nominal(NOON + 31 * SECOND) is None


@pytest.mark.parametrize(
    "trigger",
    [hourly(jitter=30), every(HOUR, jitter=30), OrTrigger([hourly(jitter=30), minutely(jitter=5)], jitter=20)],
    ids=["cron", "interval", "or"],
)
def test_a_jittered_run_lies_within_its_jitter(trigger):
    what = schedule(trigger)
    most = what.jitter
    runs = [what.with_jitter(NOON) for _ in range(200)]
    assert all(NOON <= run <= NOON + most for run in runs)
    assert len(set(runs)) > 1


@pytest.mark.parametrize("trigger", [hourly(jitter=3000), every(HOUR, jitter=3000)], ids=["cron", "interval"])
def test_jitter_never_moves_nominal_times(trigger):
    what = schedule(trigger)
    assert fires(what, NOON - TICK, NOON + DAY) == [NOON + hour * HOUR for hour in range(25)]
    assert trigger.jitter == 3000, "the program's own trigger was changed"


def test_jitter_inside_a_combined_trigger_moves_no_nominal_time():
    inner = [hourly(jitter=1800), CronTrigger(minute=30, timezone=UTC, jitter=1800)]
    what = schedule(OrTrigger(inner))
    assert fires(what, NOON - TICK, NOON + HOUR) == [NOON, NOON + HOUR / 2, NOON + HOUR]
    assert inner[0].jitter == 1800


# intervals


def test_an_interval_counts_from_its_mark():
    mark = claimed(NOON - 90 * SECOND)
    what = schedule(every(MINUTE, NOON + 7 * SECOND), mark)
    assert fires(what, NOON - 2 * MINUTE, NOON + MINUTE) == [NOON + s * SECOND for s in (-90, -30, 30)]


def test_an_interval_counts_from_an_introduced_mark_too():
    what = schedule(every(MINUTE, NOON + 7 * SECOND), introduced(NOON - 10 * SECOND))
    assert what.first(NOON) == NOON + 50 * SECOND


def test_an_interval_made_anew_keeps_its_times():
    mark = claimed(NOON - 90 * SECOND)
    made = [schedule(every(MINUTE, NOON + s * SECOND), mark).first(NOON) for s in (0, 7, 33, 60)]
    assert made == [NOON + 30 * SECOND] * 4


def test_an_interval_without_a_mark_counts_from_its_start():
    assert schedule(every(MINUTE, NOON + 7 * SECOND)).first(NOON) == NOON + 7 * SECOND
    assert schedule(every(MINUTE, NOON - DAY + 7 * SECOND)).first(NOON) == NOON + 7 * SECOND


def test_an_interval_that_starts_far_ahead_waits_for_its_start():
    start = NOON + 3 * HOUR + SECOND
    what = schedule(every(HOUR, start), claimed(NOON - 10 * MINUTE))
    assert what.first(NOON) == start
    assert what.first(start) == start + HOUR


def test_an_interval_that_starts_one_interval_ahead_has_just_been_made():
    assert schedule(every(HOUR, NOON + HOUR), claimed(NOON - 10 * MINUTE)).first(NOON) == NOON + 50 * MINUTE


def test_an_interval_ends_with_its_end_date():
    what = schedule(every(HOUR, end_date=NOON + HOUR), claimed(NOON))
    assert what.first(NOON) == NOON + HOUR
    assert what.first(NOON + HOUR) is None


def test_an_interval_across_a_year_is_found_at_once():
    mark = claimed(NOON - 400 * DAY)
    assert schedule(every(SECOND), mark).first(NOON) == NOON + SECOND
    assert schedule(every(SECOND), mark).latest(NOON - 399 * DAY, NOON) == NOON


def test_an_interval_in_fractions_of_a_second_does_not_drift():
    step = timedelta(seconds=0.1)
    what = schedule(every(step), claimed(NOON))
    assert what.first(NOON + DAY) == NOON + DAY + step


# one after the other


def test_calendar_intervals_are_counted_from_the_claimed_one():
    trigger = CalendarIntervalTrigger(months=1, hour=3, start_date=datetime(2026, 1, 31), timezone=UTC)
    what = schedule(trigger, claimed(datetime(2026, 3, 31, 3, tzinfo=UTC)))
    assert what.first(NOON) == datetime(2026, 7, 31, 3, tzinfo=UTC)


def test_calendar_intervals_are_counted_from_their_start_date_where_the_mark_is_no_fire():
    trigger = CalendarIntervalTrigger(days=2, hour=3, start_date=datetime(2026, 5, 30), timezone=UTC)
    what = schedule(trigger, introduced(NOON - DAY))
    assert fires(what, NOON, NOON + 4 * DAY) == [datetime(2026, 6, day, 3, tzinfo=UTC) for day in (3, 5)]


def test_calendar_intervals_reckon_in_their_own_zone():
    trigger = CalendarIntervalTrigger(months=1, hour=0, start_date=datetime(2026, 1, 31), timezone=BERLIN)
    fire = datetime(2026, 5, 31, tzinfo=BERLIN)
    assert schedule(trigger, claimed(fire.astimezone(UTC))).first(NOON) == datetime(2026, 7, 31, tzinfo=BERLIN)


def test_or_is_the_earliest_of_its_triggers():
    what = schedule(OrTrigger([hourly(), CronTrigger(minute="*/20", timezone=UTC)]), claimed(NOON))
    assert fires(what, NOON, NOON + HOUR) == [NOON + minutes * MINUTE for minutes in (20, 40, 60)]


def test_and_is_when_all_its_triggers_agree():
    what = schedule(
        AndTrigger([CronTrigger(hour=6, timezone=UTC), CronTrigger(day_of_week="sat", hour="*", timezone=UTC)])
    )
    assert what.first(NOON) == datetime(2026, 6, 6, 6, tzinfo=UTC)


def test_an_or_of_crons_jumps(monkeypatch):
    questions = count_questions(monkeypatch, CronTrigger)
    inner = [minutely(), CronTrigger(minute="30", timezone=UTC)]
    assert schedule(OrTrigger(inner), claimed(NOON - 30 * DAY)).first(NOON) == NOON + MINUTE
    assert [trigger for trigger, _, _ in questions] == inner


def test_an_or_with_an_interval_goes_on_from_the_claimed_fire():
    trigger = OrTrigger([every(10 * MINUTE, NOON + 7 * SECOND), CronTrigger(minute=55, timezone=UTC)])
    what = schedule(trigger, claimed(NOON - 9 * MINUTE))
    assert fires(what, NOON - 9 * MINUTE, NOON + 11 * MINUTE) == [NOON - 5 * MINUTE, NOON + 5 * MINUTE]


def test_a_trigger_of_somebody_elses_making_goes_on_from_the_claimed_fire():
    trigger = Doubling(NOON)
    assert schedule(trigger, claimed(NOON + 4 * SECOND)).first(NOON + 4 * SECOND) == NOON + 8 * SECOND
    assert schedule(trigger, introduced(NOON + 5 * SECOND)).first(NOON + 5 * SECOND) == NOON + 8 * SECOND
    assert schedule(trigger).first(NOON - HOUR) == NOON


def test_a_trigger_that_names_one_time_for_ever_ends():
    assert schedule(Stuck(NOON)).first(NOON - SECOND) == NOON
    assert schedule(Stuck(NOON)).first(NOON) is None
    assert schedule(Stuck(NOON), claimed(NOON)).first(NOON) is None


def test_a_trigger_that_must_be_asked_step_by_step_is_not_asked_for_ever():
    class Endless(Doubling):
        def get_next_fire_time(self, previous, now):
            self.calls += 1
            return self.start if previous is None else previous + SECOND

    trigger = Endless(NOON - 30 * DAY)
    assert schedule(trigger).first(NOON) == NOON + SECOND
    assert trigger.calls <= 10_001 + 1  # and for its zone


def test_a_date_is_due_once():
    what = schedule(DateTrigger(NOON))
    assert what.first(NOON - SECOND) == NOON
    assert what.first(NOON) is None
    assert what.latest(NOON - DAY, NOON + DAY) == NOON


# what counts as the same schedule


def test_an_interval_made_anew_is_the_same_schedule():
    assert same_schedule(every(HOUR, NOON), every(HOUR, NOON + SECOND))
    assert same_schedule(OrTrigger([every(HOUR, NOON), hourly()]), OrTrigger([every(HOUR, NOON + SECOND), hourly()]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (every(HOUR), every(MINUTE)),
        (every(HOUR), every(HOUR, jitter=5)),
        (every(HOUR), every(HOUR, end_date=NOON + DAY)),
        (every(HOUR), hourly()),
        (hourly(), minutely()),
        (hourly(), hourly(jitter=5)),
        (hourly(), CronTrigger(minute=0, timezone=BERLIN)),
        (DateTrigger(NOON), DateTrigger(NOON + SECOND)),
        (OrTrigger([hourly()]), AndTrigger([hourly()])),
        (OrTrigger([hourly()]), OrTrigger([hourly(), minutely()])),
        (OrTrigger([hourly()]), OrTrigger([minutely()])),
        (OrTrigger([hourly()]), OrTrigger([hourly()], jitter=5)),
        (Doubling(NOON), Doubling(NOON + SECOND)),
    ],
    ids=[
        "step",
        "jitter",
        "end",
        "kind",
        "cron",
        "cron-jitter",
        "zone",
        "date",
        "combination",
        "number",
        "inner",
        "combined-jitter",
        "unknown",
    ],
)
def test_another_schedule_is_not_the_same(one, other):
    assert not same_schedule(one, other)


@pytest.mark.parametrize(
    "make",
    [
        hourly,
        lambda: DateTrigger(NOON),
        lambda: CalendarIntervalTrigger(months=1, start_date=NOON.date(), timezone=UTC),
        lambda: AndTrigger([hourly(), minutely()]),
        lambda: IntervalTrigger(minutes=5, timezone=UTC),
    ],
    ids=["cron", "date", "calendar", "and", "interval"],
)
def test_the_same_line_of_code_is_the_same_schedule(make):
    assert same_schedule(make(), make())
