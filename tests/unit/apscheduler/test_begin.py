"""How a new leader goes on with a job: by its mark, its grace, and what was planned."""

from datetime import UTC, datetime, timedelta

import pytest

from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from unit.apscheduler.moments import (
    BERLIN,
    DAY,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    Doubling,
    claimed,
    count_questions,
    every,
    goes_on,
    hourly,
    introduced,
    minutely,
    starts,
)

TICK = timedelta(microseconds=1)
HALF = NOON + 30 * SECOND


# with a mark


@pytest.mark.parametrize("grace", [MINUTE, HOUR, None], ids=["minute", "hour", "unlimited"])
@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_the_first_fire_after_the_mark_is_next(grace, shared):
    assert goes_on(minutely(), claimed(NOON - MINUTE), HALF, grace, shared=shared) == NOON


def test_nothing_missed_means_the_coming_fire():
    assert goes_on(minutely(), claimed(NOON), HALF) == NOON + MINUTE


def test_missed_fires_older_than_the_grace_are_left_out_while_a_younger_one_is_due():
    assert goes_on(minutely(), claimed(NOON - DAY), HALF, 2 * MINUTE) == NOON - MINUTE


def test_a_fire_exactly_as_old_as_the_grace_is_in_or_out_but_never_in_the_past_of_it():
    assert goes_on(hourly(), claimed(NOON - HOUR), NOON + MINUTE, MINUTE + TICK) == NOON
    assert goes_on(minutely(), claimed(NOON - DAY), NOON, MINUTE - TICK) == NOON


def test_when_all_missed_fires_are_older_than_the_grace_the_latest_is_next():
    assert goes_on(hourly(), claimed(NOON - DAY), NOON + 30 * MINUTE, MINUTE) == NOON
    assert goes_on(hourly(), claimed(NOON - DAY), NOON + 30 * MINUTE, MINUTE, shared=True) == NOON


def test_without_a_grace_no_fire_is_too_old():
    assert goes_on(hourly(), claimed(NOON - DAY), HALF, None) == NOON - DAY + HOUR


def test_what_was_introduced_counts_as_a_mark():
    assert goes_on(hourly(), introduced(NOON - 10 * MINUTE), HALF) == NOON
    assert goes_on(hourly(), introduced(NOON + SECOND), HALF) == NOON + HOUR


def test_a_month_of_minutes_is_jumped_over(monkeypatch):
    questions = count_questions(monkeypatch, CronTrigger)
    assert goes_on(minutely(), claimed(NOON - 30 * DAY), HALF, 100 * SECOND, planned=NOON) == NOON - MINUTE
    assert len(questions) < 10


def test_a_month_of_missed_minutes_is_jumped_over_to_the_latest(monkeypatch):
    questions = count_questions(monkeypatch, CronTrigger)
    trigger = CronTrigger(minute="*/7", timezone=UTC)
    late = NOON + 6 * MINUTE
    assert goes_on(trigger, claimed(NOON - 30 * DAY), late, SECOND, planned=NOON) == NOON
    assert len(questions) < 30


def test_a_schedule_that_has_ended_is_never_next():
    ended = hourly(end_date=NOON - HOUR)
    assert goes_on(ended, claimed(NOON - HOUR), planned=NOON - HOUR) is None


def test_the_last_fire_of_a_schedule_that_has_ended_meanwhile_still_runs_in_its_grace():
    ended = hourly(end_date=NOON)
    assert goes_on(ended, claimed(NOON - HOUR), HALF, MINUTE, planned=NOON) == NOON


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_an_interval_goes_on_with_its_phase(shared):
    re_made = every(MINUTE, NOON + MINUTE)
    planned = NOON + MINUTE if not shared else NOON + 10 * SECOND
    got = goes_on(re_made, claimed(NOON - 50 * SECOND), NOON, MINUTE, planned=planned, shared=shared)
    assert got == NOON + 10 * SECOND


def test_an_interval_that_was_missed_is_next_at_its_old_phase():
    re_made = every(MINUTE, NOON + MINUTE)
    assert goes_on(re_made, claimed(NOON - 100 * SECOND), NOON, MINUTE) == NOON - 40 * SECOND


def test_an_interval_that_is_to_start_much_later_waits():
    start = NOON + 5 * HOUR
    assert goes_on(every(HOUR, start), claimed(NOON - 10 * MINUTE)) == start


def test_an_interval_whose_end_has_come_is_over():
    ended = every(HOUR, NOON - 5 * HOUR, end_date=NOON - HOUR)
    assert goes_on(ended, claimed(NOON - HOUR), planned=NOON - HOUR) is None


def test_calendar_intervals_go_on_from_their_mark():
    trigger = CalendarIntervalTrigger(days=2, start_date=datetime(2026, 5, 1), timezone=UTC)
    mark = claimed(datetime(2026, 5, 29, tzinfo=UTC))
    assert goes_on(trigger, mark, NOON, DAY, planned=datetime(2026, 5, 31, tzinfo=UTC)) == datetime(
        2026, 5, 31, tzinfo=UTC
    )


def test_a_trigger_of_somebody_elses_making_goes_on_from_its_mark():
    trigger = Doubling(NOON - 8 * SECOND)
    mark = claimed(NOON - 4 * SECOND)
    assert goes_on(trigger, mark, NOON + SECOND, MINUTE, planned=NOON) == NOON


def test_an_or_of_cron_and_interval_goes_on_from_its_mark():
    trigger = OrTrigger([every(10 * MINUTE, NOON - DAY), CronTrigger(minute=58, timezone=UTC)])
    assert goes_on(trigger, claimed(NOON - 9 * MINUTE), NOON, HOUR) == NOON - 2 * MINUTE


def test_a_date_that_was_claimed_is_over():
    assert goes_on(DateTrigger(NOON), claimed(NOON), HALF) is None


def test_a_date_that_was_missed_runs_in_its_grace_and_is_named_after_it():
    assert goes_on(DateTrigger(NOON), introduced(NOON - HOUR), HALF, MINUTE) == NOON
    assert goes_on(DateTrigger(NOON), introduced(NOON - HOUR), HALF, SECOND) == NOON


@pytest.mark.parametrize("planned", [NOON - MINUTE, NOON + MINUTE, NOON + 40 * DAY], ids=["before", "after", "later"])
@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_a_date_that_was_moved_is_due_where_it_was_moved_to_unless_that_was_claimed(planned, shared):
    trigger = DateTrigger(NOON)
    assert goes_on(trigger, claimed(NOON - HOUR), HALF, None, planned=planned, shared=shared) == planned
    assert goes_on(trigger, claimed(planned), HALF, None, planned=planned, shared=shared) is None
    assert (
        goes_on(trigger, claimed(planned, "c"), HALF, planned=planned, shared=shared, since=planned - TICK) == planned
    )


@pytest.mark.parametrize("late", [0, 7, 600], ids=str)
def test_jitter_is_drawn_again_and_stays_within_its_bounds(late):
    trigger = hourly(jitter=600)
    planned = NOON + late * SECOND
    got = goes_on(trigger, claimed(NOON - HOUR), NOON + late * SECOND, HOUR, planned=planned, shared=True)
    assert NOON <= got <= NOON + 600 * SECOND


def test_a_shared_jittered_plan_for_the_coming_fire_is_kept():
    planned = NOON + HOUR + 17 * SECOND
    assert goes_on(hourly(jitter=60), claimed(NOON), HALF, planned=planned, shared=True) == planned


def test_what_was_put_off_stays_put_off():
    later = NOON + 5 * HOUR + 7 * SECOND
    assert goes_on(hourly(), claimed(NOON - HOUR), HALF, planned=later) == later
    assert goes_on(hourly(), claimed(NOON - HOUR), HALF, planned=later, shared=True) == later
    assert goes_on(every(HOUR), claimed(NOON - HOUR), HALF, planned=later, shared=True) == later


def test_a_plan_of_an_own_interval_up_to_one_interval_ahead_was_not_put_off():
    assert goes_on(every(HOUR, HALF + HOUR), claimed(NOON - HOUR), HALF, planned=HALF + HOUR) == NOON


def test_what_a_shared_store_plans_ahead_is_kept():
    planned = NOON + 10 * MINUTE
    assert goes_on(hourly(), claimed(NOON), HALF, planned=planned, shared=True) == planned


def test_a_shared_row_that_was_advanced_without_a_claim_is_taken_back():
    assert goes_on(minutely(), claimed(NOON - MINUTE), HALF, planned=NOON + MINUTE, shared=True) == NOON


def test_fires_that_were_claimed_here_and_have_not_run_are_next():
    mark = claimed(NOON, "c")
    assert goes_on(minutely(), mark, HALF, since=NOON - TICK) == NOON
    assert goes_on(minutely(), mark, HALF, 5 * MINUTE, since=NOON - 2 * MINUTE - TICK) == NOON - 2 * MINUTE
    interval = every(MINUTE, NOON + MINUTE)
    assert goes_on(interval, claimed(NOON, "c"), HALF, since=NOON - TICK) == NOON


def test_zones_of_what_is_given_do_not_matter():
    local = [time.astimezone(BERLIN) for time in (NOON + MINUTE, HALF)]
    start = starts(minutely(), claimed(NOON - MINUTE), *local)
    assert (start.next_run_time, start.mark) == (NOON, None)


# clocks


@pytest.mark.parametrize("back", [1, 59, 3600, 86400], ids=str)
@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_a_clock_that_steps_back_does_not_bring_claimed_fires_again(back, shared):
    now = NOON - back * SECOND
    assert goes_on(minutely(), claimed(NOON), now, planned=NOON + MINUTE, shared=shared) > NOON


@pytest.mark.parametrize("back", [1, 59, 3600, 86400], ids=str)
def test_a_clock_that_steps_back_does_not_bring_claimed_fires_of_a_fresh_replica_again(back):
    now = NOON - back * SECOND
    assert goes_on(minutely(), claimed(NOON), now) > NOON
    assert goes_on(every(MINUTE, now + MINUTE), claimed(NOON), now) > NOON


def test_a_clock_that_steps_forth_leaves_the_grace_to_say_what_runs():
    assert goes_on(minutely(), claimed(NOON), NOON + DAY + SECOND, MINUTE, planned=NOON + MINUTE) == NOON + DAY


# without a mark


@pytest.mark.parametrize(
    ("trigger", "planned"),
    [
        (hourly(), NOON + HOUR),
        (minutely(), NOON + MINUTE),
        (
            CalendarIntervalTrigger(days=1, start_date=datetime(2026, 6, 2), timezone=UTC),
            datetime(2026, 6, 2, tzinfo=UTC),
        ),
    ],
    ids=["hourly", "minutely", "calendar"],
)
def test_a_job_seen_for_the_first_time_is_marked_with_now(trigger, planned):
    assert starts(trigger, None, planned, HALF) == (planned, HALF)


def test_past_fires_of_a_job_seen_for_the_first_time_never_run():
    got = starts(minutely(), None, NOON - DAY, HALF, 2 * DAY)
    assert got == (NOON + MINUTE, HALF)


def test_an_interval_seen_for_the_first_time_keeps_the_phase_of_its_process():
    assert starts(every(MINUTE, NOON + 47 * SECOND), None, NOON + 47 * SECOND) == (
        NOON + 47 * SECOND,
        NOON - 13 * SECOND,
    )


def test_an_interval_that_began_long_ago_starts_with_its_coming_fire():
    start = starts(every(MINUTE, NOON - DAY + 7 * SECOND), None, NOON - DAY + 7 * SECOND, NOON)
    assert start == (NOON + 7 * SECOND, NOON - 53 * SECOND)


def test_an_interval_that_starts_much_later_waits_for_it():
    start = starts(every(HOUR, NOON + DAY), None, NOON + DAY)
    assert start.next_run_time == NOON + DAY
    assert start.mark <= NOON


@pytest.mark.parametrize("asked", [False, True], ids=["planned", "asked"])
@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_a_date_needs_no_mark(asked, shared):
    for time in (NOON - DAY, NOON, NOON + DAY):
        assert starts(DateTrigger(time), None, time, asked=asked, shared=shared) == (time, None)


@pytest.mark.parametrize("trigger", [hourly(), every(HOUR, NOON + HOUR)], ids=["cron", "interval"])
@pytest.mark.parametrize("first", [-SECOND, timedelta(0), 7 * SECOND], ids=["past", "now", "soon"])
def test_a_first_run_that_the_program_asked_for_is_next(trigger, first):
    start = starts(trigger, None, NOON + first, asked=True)
    assert start.next_run_time == NOON + first
    assert start.mark < NOON + first
    assert start.mark <= NOON


def test_a_fire_that_a_shared_store_has_due_is_run_at_first_sight():
    start = starts(hourly(), None, NOON, HALF, MINUTE, shared=True)
    assert start.next_run_time == NOON
    assert start.mark < NOON


def test_a_fire_that_a_shared_store_has_had_due_for_longer_than_the_grace_is_not():
    assert starts(hourly(), None, NOON - DAY, HALF, MINUTE, shared=True) == (NOON + HOUR, HALF)


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
@pytest.mark.parametrize("asked", [False, True], ids=["planned", "asked"])
@pytest.mark.parametrize("offset", [-DAY, -SECOND, timedelta(0), SECOND, DAY], ids=str)
@pytest.mark.parametrize("trigger", [hourly(), every(HOUR, NOON + HOUR)], ids=["cron", "interval"])
def test_a_mark_is_never_introduced_in_the_future(trigger, offset, asked, shared):
    assert starts(trigger, None, NOON + offset, asked=asked, shared=shared).mark <= NOON


@pytest.mark.parametrize("trigger", [hourly(), every(HOUR, NOON + HOUR)], ids=["cron", "interval"])
def test_what_was_put_off_before_it_was_ever_seen_stays_put_off(trigger):
    later = NOON + 7 * HOUR + SECOND
    assert starts(trigger, None, later).next_run_time == later
