"""Starts and ends that a definition takes from the clock as it is made: they cut nothing of what was missed."""

from datetime import UTC, datetime, timedelta

import pytest

from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from singleton_jobs_apscheduler.redefinition import judge_start, renewed
from singleton_jobs_apscheduler.bounds import same_schedule
from singleton_jobs_apscheduler.schedule import Schedule, begin
from unit.apscheduler.moments import BERLIN, DAY, HOUR, MINUTE, NOON, SECOND, claimed, every, hourly, introduced

MONTH = 30 * DAY
# What a line of code makes of the time at which it is run; each is due at every full hour, and at no other time.
LINES = {
    "cron": lambda now: hourly(),
    "cron-start": lambda now: hourly(start_date=now),
    "cron-start-truncated": lambda now: hourly(start_date=now.replace(microsecond=0)),
    "cron-start-text": lambda now: hourly(start_date=now.strftime("%Y-%m-%d %H:%M:%S")),
    "cron-start-soon": lambda now: hourly(start_date=now + 10 * SECOND),
    "cron-end": lambda now: hourly(end_date=now + MONTH),
    "cron-both": lambda now: hourly(start_date=now, end_date=now + MONTH),
    "cron-jitter": lambda now: hourly(start_date=now, jitter=30),
    "cron-no-zone": lambda now: CronTrigger(minute=0, start_date=now.astimezone(BERLIN)),
    "or": lambda now: OrTrigger([hourly(start_date=now), hourly(start_date=now, end_date=now + MONTH)]),
    "and": lambda now: AndTrigger([hourly(start_date=now), CronTrigger(second=0, start_date=now, timezone=UTC)]),
    "nested": lambda now: OrTrigger([AndTrigger([hourly(start_date=now), hourly()]), OrTrigger([hourly()], jitter=9)]),
    "interval": lambda now: every(HOUR, now + HOUR),  # as it is without a start
    "interval-no-zone": lambda now: IntervalTrigger(hours=1, start_date=now.astimezone(BERLIN)),
    "interval-start": lambda now: every(HOUR, now),
    "interval-start-soon": lambda now: every(HOUR, now + 10 * SECOND),
    "interval-end": lambda now: every(HOUR, now + HOUR, end_date=now + MONTH),
    "interval-both": lambda now: every(HOUR, now, end_date=now + MONTH, jitter=30),
    "or-interval": lambda now: OrTrigger([every(HOUR, now + HOUR), every(DAY, now)]),
    "calendar": lambda now: CalendarIntervalTrigger(days=1, hour=12, start_date=now.date(), timezone=UTC),
    "calendar-time": lambda now: CalendarIntervalTrigger(days=1, hour=12, start_date=now, timezone=UTC),
    "calendar-end": lambda now: CalendarIntervalTrigger(
        days=1, hour=12, start_date=now.date(), end_date=(now + MONTH).date(), timezone=UTC
    ),
    "or-calendar": lambda now: OrTrigger(
        [CalendarIntervalTrigger(days=1, hour=12, start_date=now, timezone=UTC), hourly(start_date=now)]
    ),
}
lines = pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
starting = pytest.mark.parametrize(
    "line", [line for name, line in LINES.items() if "start" in name or name in ("and", "or", "nested")]
)
MADE = NOON + 5 * MINUTE + 0.25 * SECOND  # a program's start, after the fire of noon was missed
LED_UNTIL = NOON - 10 * SECOND


def goes_on(line, mark, *, made=MADE, grace=HOUR, led_until=LED_UNTIL, planned=None, now=None):
    """When a leader runs it that was started ``made``, and what it finds of its start."""
    trigger, now = line(made), now or made + SECOND
    planned = planned or trigger.get_next_fire_time(None, made)
    found = judge_start(trigger, mark, now, made, led_until)
    how = {"shared": False, "asked": False, "led_until": led_until, "made": None if found == "kept" else made}
    return begin(trigger, mark, planned, now, grace, **how).next_run_time, found


def within_jitter(time):
    return pytest.approx(time.timestamp() + 15, abs=15)


@lines
@pytest.mark.parametrize("apart", [SECOND, 26 * HOUR, 40 * DAY], ids=["second", "day", "month"])
def test_made_twice_it_is_the_same_schedule(line, apart):
    assert same_schedule(line(MADE), line(MADE + apart))


@lines
@pytest.mark.parametrize("apart", [SECOND, 26 * HOUR, 40 * DAY], ids=["second", "day", "month"])
def test_a_stored_job_that_is_added_again_goes_on_as_planned(line, apart):
    known, now = line(MADE), MADE + apart
    planned = now - MINUTE if apart > DAY else NOON + HOUR
    found = renewed(known, line(now - 0.25 * SECOND), planned, claimed(NOON), now)
    assert found is not None
    assert getattr(found, "start_date", None) == getattr(known, "start_date", None)
    assert getattr(found, "end_date", None) == getattr(line(now - 0.25 * SECOND), "end_date", None)


@lines
def test_a_job_that_was_stored_with_the_same_words_keeps_its_row(line):
    known = line(MADE)
    assert renewed(known, line(MADE), NOON + HOUR, claimed(NOON), MADE + SECOND) is known


@lines
def test_what_was_missed_before_the_start_is_next(line):
    last = NOON - (DAY if isinstance(line(MADE), CalendarIntervalTrigger) else HOUR)
    got, found = goes_on(line, claimed(last))
    assert found in ("moves", None)
    assert got.timestamp() == within_jitter(NOON)
    what = Schedule(line(MADE), claimed(last), MADE, MADE)
    assert what.nominal(got) == NOON  # so it is claimed
    assert what.following(NOON) > MADE


@starting
@pytest.mark.parametrize("grace", [SECOND, None], ids=["short", "unlimited"])
def test_what_was_missed_is_told_if_it_is_too_old_and_run_if_no_time_is(line, grace):
    got, _ = goes_on(line, claimed(NOON - 3 * HOUR), grace=grace, led_until=NOON - 3 * HOUR + SECOND)
    expected = NOON if grace else NOON - 2 * HOUR
    assert got.timestamp() == within_jitter(expected)


@lines
def test_what_was_missed_by_a_job_that_never_ran_is_next_too(line):
    """The first program was started five minutes past eleven, and killed before noon."""
    first = NOON - 55 * MINUTE
    seen = begin(
        line(first), None, line(first).get_next_fire_time(None, first), first + SECOND, HOUR, shared=False, asked=False
    )
    if seen.next_run_time > NOON + HOUR:
        pytest.skip("its first fire is not due yet")
    due = min(seen.next_run_time, NOON + MINUTE)
    got, _ = goes_on(line, introduced(seen.mark), made=due + 5 * MINUTE, led_until=due - SECOND)
    assert abs(got - seen.next_run_time) <= 31 * SECOND


@lines
def test_nothing_of_the_past_of_a_job_never_seen_before_runs(line):
    trigger, now = line(MADE), MADE + SECOND
    planned = trigger.get_next_fire_time(None, MADE)
    first = begin(trigger, None, planned, now, None, shared=False, asked=False, made=MADE)
    assert first.next_run_time >= MADE
    again, found = goes_on(line, introduced(first.mark), grace=None, now=now + SECOND)  # it was lost and taken again
    assert again >= MADE
    assert found != "cuts"


def test_a_first_start_is_waited_for():
    def line(now):
        return hourly(start_date=now + 40 * SECOND)

    made = NOON - 20 * SECOND
    assert goes_on(line, None, made=made) == (NOON + HOUR, None)
    assert goes_on(line, introduced(made + SECOND), made=made, now=made + 5 * SECOND) == (NOON + HOUR, None)


# starts that somebody has set


@pytest.mark.parametrize("make", [hourly, lambda **bounds: OrTrigger([hourly(**bounds)])], ids=["cron", "or"])
@pytest.mark.parametrize("mark", [claimed(NOON - HOUR), introduced(NOON - HOUR)], ids=["claimed", "introduced"])
def test_a_start_next_month_is_obeyed(make, mark):
    next_run_time, found = goes_on(lambda now: make(start_date=NOON + MONTH), mark, grace=None)
    assert next_run_time == NOON + MONTH
    assert found != "moves"


@pytest.mark.parametrize("step", [MINUTE, HOUR, DAY], ids=str)
def test_an_interval_that_starts_next_month_is_obeyed(step):
    assert goes_on(lambda now: every(step, NOON + MONTH), claimed(NOON - HOUR), grace=None) == (NOON + MONTH, None)


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_an_interval_that_has_never_run_begins_at_its_start_and_not_before(shared):
    start = NOON + 14 * HOUR
    trigger, mark = every(DAY, start), introduced(NOON - 10 * DAY + 7 * MINUTE)
    first = begin(trigger, mark, start, NOON, None, shared=shared, asked=False, made=NOON)
    assert first.next_run_time == start


def test_a_first_run_that_was_asked_for_before_the_start_is_no_less_due():
    trigger, asked = every(HOUR, NOON + HOUR), NOON + SECOND
    mark = begin(trigger, None, asked, NOON + SECOND, HOUR, shared=True, asked=True).mark
    again = begin(trigger, introduced(mark), asked, NOON + MINUTE, HOUR, shared=True, asked=False)
    assert again.next_run_time == asked


def test_a_start_that_has_come_while_nobody_led_is_obeyed_and_told():
    """It was deployed long before, and its leader died a minute before it."""
    start, made = NOON - 2 * MINUTE, NOON - 20 * DAY

    def line(now):
        return CronTrigger(minute="*", start_date=start, timezone=UTC)

    for mark in (claimed(start - 2 * MINUTE), introduced(start - 2 * MINUTE)):
        got = goes_on(line, mark, made=made, grace=None, led_until=start - 80 * SECOND, planned=start, now=NOON)
        assert got == (start, "cuts")


def test_a_start_that_was_kept_to_is_no_start_that_moves():
    """A program that is started within minutes of what somebody has written down."""
    start = NOON.replace(month=7, day=1, hour=0)
    made = start + 30 * SECOND

    def line(now):
        return CronTrigger(minute="*", start_date=start, timezone=UTC)

    for mark in (introduced(start - 10 * DAY), claimed(start - 10 * DAY)):
        assert goes_on(line, mark, made=made, grace=None, led_until=start - 5 * SECOND) == (start, "kept")


def test_a_start_in_the_morning_of_each_day_is_obeyed_and_told():
    made = datetime(2026, 6, 1, 0, 20, tzinfo=UTC)

    def line(now):
        return CronTrigger(minute=50, start_date=now.date(), timezone=UTC)

    got = goes_on(line, claimed(made - 90 * MINUTE), made=made, led_until=made - 40 * MINUTE)
    assert got == (made + 30 * MINUTE, "cuts")


@pytest.mark.parametrize(
    ("known", "new"),
    [
        (hourly(start_date=NOON - DAY), hourly(start_date=NOON + MONTH)),
        (hourly(start_date=NOON - DAY), hourly(start_date=NOON - 2 * HOUR)),
        (hourly(start_date=NOON + MONTH), hourly(start_date=NOON)),
        (hourly(), hourly(start_date=NOON)),
        (hourly(end_date=NOON + DAY), hourly()),
        (every(HOUR, NOON - DAY), every(HOUR, NOON + MONTH)),
        (every(HOUR, NOON + MONTH), every(HOUR, NOON + HOUR)),
        (every(SECOND, NOON - DAY), every(SECOND, NOON + HOUR)),
        (OrTrigger([hourly(start_date=NOON)]), OrTrigger([hourly(start_date=NOON + MONTH)])),
        (
            CalendarIntervalTrigger(days=2, start_date=NOON.date(), timezone=UTC),
            CalendarIntervalTrigger(days=2, start_date=NOON.date() + 9 * DAY, timezone=UTC),
        ),
        (
            CalendarIntervalTrigger(days=2, start_date=NOON.date() + 9 * DAY, timezone=UTC),
            CalendarIntervalTrigger(days=2, start_date=NOON.date(), timezone=UTC),
        ),
        (DateTrigger(NOON), DateTrigger(NOON + SECOND)),
    ],
)
def test_another_start_is_another_schedule(known, new):
    assert renewed(known, new, NOON + HOUR, claimed(NOON), NOON + SECOND) is None


@pytest.mark.parametrize("make", [hourly, lambda **bounds: every(HOUR, NOON, **bounds)], ids=["cron", "interval"])
def test_an_end_before_what_is_planned_ends_the_job_and_a_later_one_does_not(make):
    known = make(end_date=NOON + DAY)
    sooner, later = make(end_date=NOON + HOUR / 2), make(end_date=NOON + 2 * HOUR)
    assert renewed(known, sooner, NOON + HOUR, claimed(NOON), NOON + SECOND) is None
    assert renewed(known, sooner, NOON, claimed(NOON - HOUR), NOON + SECOND) is not None
    assert renewed(known, later, NOON + HOUR, claimed(NOON), NOON + SECOND).end_date == NOON + 2 * HOUR


def test_what_was_put_off_stays_put_off_whatever_moves():
    later = NOON + 5 * HOUR + 7 * SECOND
    assert goes_on(LINES["cron-start"], claimed(NOON - HOUR), planned=later) == (later, "moves")


def test_calendar_intervals_by_default_begin_on_the_day_they_were_first_seen():
    made = [datetime(2026, 6, day, 9, 30, 1, tzinfo=UTC) for day in (1, 2)]

    def line(now):
        return CalendarIntervalTrigger(months=1, hour=22, start_date=now.date(), timezone=UTC)

    missed = made[0].replace(hour=22, minute=0, second=0)
    got = goes_on(line, introduced(made[0] + SECOND), made=made[1], grace=DAY, led_until=made[0] + HOUR)
    assert got == (missed, "moves")
    what = Schedule(line(made[1]), introduced(made[0] + SECOND), made[1], made[1])
    assert what.nominal(missed) == missed


def test_calendar_intervals_whose_start_somebody_set_begin_there_also_after_a_restart_on_that_day():
    first = datetime(2026, 5, 20, 23, tzinfo=UTC)
    made = datetime(2026, 6, 1, 10, tzinfo=UTC)

    def line(now):
        return CalendarIntervalTrigger(months=1, hour=22, start_date=made.date(), timezone=UTC)

    got, _ = goes_on(line, introduced(first), made=made, grace=None, led_until=made - MINUTE)
    assert got == made.replace(hour=22)
