"""Triggers of somebody's own making: what they say is the schedule, whatever class they derive from."""

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, BaseCombiningTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from singleton_jobs_apscheduler.bounds import same_schedule
from singleton_jobs_apscheduler.schedule import Schedule
from unit.apscheduler.moments import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    claimed,
    count_questions,
    every,
    fires,
    goes_on,
    hourly,
    introduced,
    minutely,
    schedule,
)
from unit.apscheduler.site import KEY, Delegate, now
from unit.apscheduler.work import work

TOKYO = ZoneInfo("Asia/Tokyo")
SHIFT = 20 * SECOND


class Later:
    """Mixed into a trigger: it fires a while after what it would fire at; its ``delay`` is not among what is stored."""

    delay = SHIFT

    def get_next_fire_time(self, previous, now):
        time = super().get_next_fire_time(previous, now)
        return time and time + self.delay


class LaterCron(Later, CronTrigger):
    pass


class LaterInterval(Later, IntervalTrigger):
    pass


class LaterDate(Later, DateTrigger):
    pass


class LaterCalendar(Later, CalendarIntervalTrigger):
    pass


class LaterOr(Later, OrTrigger):
    pass


class Spread(CronTrigger):
    """Has a fixed delay where others have jitter."""

    def _apply_jitter(self, time, jitter, now):
        return time and time + Later.delay


class Symmetric(CronTrigger):
    """Its jitter goes both ways; it has a slot that it does not store."""

    __slots__ = ("expression",)

    def _apply_jitter(self, time, jitter, now):
        assert self.expression == "hourly"
        return time + timedelta(seconds=random.uniform(-jitter, jitter)) if jitter else time


class Forgetful(IntervalTrigger):
    """Goes by the clock alone."""

    def get_next_fire_time(self, previous, now):
        return super().get_next_fire_time(None, now)


class Holidays(CronTrigger):
    """Not on some days; stores which."""

    def __init__(self, *days, **fields):
        super().__init__(**fields)
        self.days = days

    def get_next_fire_time(self, previous, now):
        time = super().get_next_fire_time(previous, now)
        while time and time.date() in self.days:
            time = super().get_next_fire_time(time, time)
        return time

    def __getstate__(self):
        return {**super().__getstate__(), "days": self.days}


class WorkingHours(IntervalTrigger):
    """Not on some hours of the day; stores which."""

    def __init__(self, *hours, **step):
        super().__init__(**step)
        self.hours = hours

    def get_next_fire_time(self, previous, now):
        time = super().get_next_fire_time(previous, now)
        while time and time.hour in self.hours:
            time = super().get_next_fire_time(time, time)
        return time

    def __getstate__(self):
        return {**super().__getstate__(), "hours": self.hours}

    def __setstate__(self, state):
        super().__setstate__(state)
        self.hours = state["hours"]


class Weekdays(BaseTrigger):
    """Goes round another trigger."""

    def __init__(self, inner, days=range(5)):
        self.inner, self.days = inner, days

    def get_next_fire_time(self, previous, now):
        time = self.inner.get_next_fire_time(previous, now)
        while time and time.weekday() not in self.days:
            time = self.inner.get_next_fire_time(time, time)
        return time


class Except(BaseCombiningTrigger):
    """The first one's times but those of the second."""

    def get_next_fire_time(self, previous, now):
        one, other = self.triggers
        time = one.get_next_fire_time(previous, now)
        while time and other.get_next_fire_time(None, time) == time:
            time = one.get_next_fire_time(time, time + timedelta(microseconds=1))
        return time


class Wandering(BaseTrigger):
    """Fires some time after each minute, never the same."""

    def get_next_fire_time(self, previous, now):
        time = max(now, previous or now).replace(second=0, microsecond=0) + MINUTE
        return time + timedelta(seconds=random.uniform(0, 50))


class Labelled(CronTrigger):
    """A cron with something written on it."""

    label = "a cron"

    def __str__(self):
        return self.label


OWN = {
    "cron": lambda: LaterCron(minute=0, timezone=UTC),
    "interval": lambda: LaterInterval(minutes=7, start_date=NOON, timezone=UTC),
    "calendar": lambda: LaterCalendar(days=1, hour=3, start_date="2026-05-20", timezone=UTC),
    "or": lambda: LaterOr([hourly(), CronTrigger(minute=20, timezone=UTC)]),
    "or-of-own": lambda: OrTrigger([LaterCron(minute=0, timezone=UTC), hourly()]),
    "spread": lambda: Spread(minute=0, timezone=UTC),
    "forgetful": lambda: Forgetful(minutes=7, start_date=NOON, timezone=UTC),
    "holidays": lambda: Holidays((NOON + DAY).date(), minute=0, timezone=UTC),
    "working-hours": lambda: WorkingHours(13, minutes=7, start_date=NOON, timezone=UTC),
    "weekdays": lambda: Weekdays(CronTrigger(hour="9,17", timezone=TOKYO)),
    "weekdays-calendar": lambda: Weekdays(CalendarIntervalTrigger(days=1, start_date="2026-05-20", timezone=TOKYO)),
    "except": lambda: Except([minutely(), hourly()]),
}

own = pytest.mark.parametrize("trigger", [make() for make in OWN.values()], ids=OWN)


def as_apscheduler(trigger, start, number=60):
    """The first times of a trigger, as a scheduler in UTC that is never late asks for them."""
    times, previous, moment = [], None, start
    while len(times) < number and (previous := trigger.get_next_fire_time(previous, moment)):
        times.append(previous.astimezone(UTC))
        moment = previous.astimezone(UTC) + timedelta(microseconds=1)
    return times


@own
def test_its_times_are_what_it_says_from_one_to_the_next(trigger):
    first, *rest = as_apscheduler(trigger, NOON - HOUR)
    assert fires(schedule(trigger, claimed(first)), first, rest[-1]) == rest


@own
def test_its_times_are_the_same_on_a_replica_that_takes_over(trigger):
    first, *rest = as_apscheduler(trigger, NOON - HOUR)
    assert schedule(trigger, introduced(NOON - HOUR), rest[5]).first(first) == rest[0]
    for last, following in zip(rest, rest[1:], strict=False):
        between = last + (following - last) / 2
        assert goes_on(trigger, claimed(last), now=between) == following
        assert goes_on(trigger, claimed(last), now=following + SECOND, planned=first) == following


@own
@pytest.mark.parametrize("asked", [False, True], ids=["planned", "asked"])
def test_each_of_its_runs_is_a_fire(trigger, asked):
    times = as_apscheduler(trigger, NOON - HOUR)
    for last, run_time in zip(times, times[1:], strict=False):
        assert schedule(trigger, claimed(last), run_time).nominal(run_time, asked=asked) == run_time


@own
def test_the_latest_of_its_times_is_found(trigger):
    times = as_apscheduler(trigger, NOON - HOUR)
    assert schedule(trigger, claimed(times[0])).latest(times[0], times[-1]) == times[-1]


def test_a_first_fire_that_nobody_ran_is_made_up_for():
    trigger, began = LaterCron(minute="*", timezone=UTC), NOON + 10 * SECOND
    due = NOON + MINUTE + SHIFT
    assert goes_on(trigger, introduced(began), now=due + 10 * SECOND, grace=28 * SECOND, planned=due) == due


def test_a_trigger_that_wanders_never_goes_back_behind_its_mark():
    for second in range(0, 60, 7):
        last = NOON + second * SECOND
        assert schedule(Wandering(), claimed(last), last).nominal(last, asked=False) == last
        assert goes_on(Wandering(), claimed(last), now=last + SECOND) >= NOON + MINUTE


def test_a_date_of_its_own_kind_is_not_taken_for_the_date_alone():
    trigger = LaterDate(NOON, timezone=UTC)
    assert fires(schedule(trigger, introduced(NOON - HOUR)), NOON - HOUR, NOON + DAY) == [NOON + SHIFT]
    assert goes_on(trigger, claimed(NOON + SHIFT), planned=NOON + SHIFT, now=NOON + MINUTE) is None


def test_an_interval_of_its_own_kind_gets_no_first_mark_before_its_start():
    start = schedule(every(HOUR)).first(NOON)
    assert start == NOON + HOUR
    assert goes_on(LaterInterval(hours=1, start_date=NOON, timezone=UTC), introduced(NOON), now=NOON + SECOND) == (
        NOON + HOUR + SHIFT
    )


def test_a_class_that_only_adds_data_is_as_fast_as_what_it_derives_from(monkeypatch):
    questions = count_questions(monkeypatch, CronTrigger)
    labelled = Labelled(minute="*", timezone=UTC)
    assert schedule(labelled, claimed(NOON - 30 * DAY)).first(NOON) == NOON + MINUTE
    assert schedule(labelled).latest(NOON - 30 * DAY, NOON - SECOND) == NOON - MINUTE
    assert schedule(labelled).nominal(NOON + SECOND, asked=True) is None
    assert len(questions) < 20


def test_a_method_of_one_instance_counts_too():
    shifted = Labelled(minute=0, timezone=UTC)
    shifted.get_next_fire_time = LaterCron(minute=0, timezone=UTC).get_next_fire_time
    assert schedule(shifted, claimed(NOON + SHIFT)).first(NOON + MINUTE) == NOON + HOUR + SHIFT


# jitter, as it is meant by others


def test_a_jitter_is_taken_off_without_what_else_a_trigger_knows():
    trigger = LaterCron(minute=0, timezone=UTC, jitter=30)
    trigger.delay = 2 * SHIFT
    what = schedule(trigger, claimed(NOON + 2 * SHIFT))
    assert fires(what, NOON, NOON + 2 * HOUR) == [NOON + hours * HOUR + 2 * SHIFT for hours in (1,)]
    assert what.jitter == 30 * SECOND
    assert trigger.jitter == 30


def test_a_jitter_that_goes_both_ways_is_no_part_of_the_name():
    trigger = Symmetric(minute=0, timezone=UTC, jitter=600)
    trigger.expression = "hourly"
    assert fires(schedule(trigger, claimed(NOON)), NOON, NOON + 2 * HOUR) == [NOON + HOUR, NOON + 2 * HOUR]


@pytest.mark.parametrize("jitter", [30 * SECOND, (0, 30), "30"], ids=["timedelta", "pair", "text"])
def test_a_jitter_that_is_no_number_is_the_triggers_own_affair(jitter):
    trigger = LaterCron(minute=0, timezone=UTC)
    nightly = Weekdays(trigger)
    nightly.jitter = jitter
    what = schedule(nightly, claimed(NOON + SHIFT))
    assert (what.first(NOON + MINUTE), what.jitter) == (NOON + HOUR + SHIFT, timedelta(0))


def test_a_jitter_that_cannot_be_taken_off_stays():
    class Fixed(Weekdays):
        jitter = property(lambda self: 30)

    what = schedule(Fixed(hourly()), claimed(NOON))
    assert what.first(NOON) == NOON + HOUR


def test_a_zone_that_is_only_a_name_is_not_taken_for_one():
    trigger = Weekdays(CalendarIntervalTrigger(days=1, start_date="2026-05-20", timezone=TOKYO))
    trigger.timezone = "Asia/Tokyo"
    midnight = datetime(2026, 6, 2, tzinfo=TOKYO)
    assert schedule(trigger, claimed(midnight.astimezone(UTC))).first(midnight) == midnight + DAY


def test_a_trigger_is_given_its_last_fire_as_it_named_it():
    zones = set()

    class Asking(Weekdays):
        def get_next_fire_time(self, previous, now):
            zones.add((previous and previous.tzinfo, now.tzinfo))
            return super().get_next_fire_time(previous, now)

    berlin = ZoneInfo("Europe/Berlin")
    trigger = Asking(CronTrigger(hour=3, timezone=TOKYO))
    Schedule(trigger, claimed(NOON), NOON.astimezone(berlin)).first(NOON + DAY)
    assert zones == {(None, berlin), (TOKYO, berlin)}


# what counts as the same schedule


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Holidays(NOON.date(), minute=0, timezone=UTC), Holidays(minute=0, timezone=UTC)),
        (WorkingHours(13, minutes=7), WorkingHours(14, minutes=7)),
        (LaterInterval(minutes=7), IntervalTrigger(minutes=7)),
        (OrTrigger([WorkingHours(13, minutes=7)]), OrTrigger([WorkingHours(14, minutes=7)])),
    ],
    ids=["holidays", "working-hours", "class", "inside"],
)
def test_what_a_class_adds_is_part_of_its_schedule(one, other):
    assert not same_schedule(one, other)


@pytest.mark.parametrize("name", ["holidays", "working-hours", "cron", "interval"])
def test_made_anew_it_is_the_same_schedule(name):
    assert same_schedule(OWN[name](), OWN[name]())


def test_working_hours_that_begin_with_their_process_are_the_same_schedule():
    assert same_schedule(WorkingHours(13, minutes=7), WorkingHours(13, minutes=7))


# in a scheduler

DUE = {
    "cron": LaterCron(second="*", timezone=UTC),
    "interval": LaterInterval(seconds=1, timezone=UTC),
    "or": OrTrigger([LaterCron(second="*", timezone=UTC), CronTrigger(year=2099, timezone=UTC)]),
    "spread": Spread(second="*", timezone=UTC),
    "weekdays": Weekdays(LaterCron(second="*", timezone=UTC), range(7)),
}


@pytest.mark.parametrize("trigger", DUE.values(), ids=DUE)
@pytest.mark.parametrize("store", ["memory", "shared"])
def test_what_it_plans_is_claimed(start, space, ran, monkeypatch, trigger, store):
    monkeypatch.setattr(Later, "delay", 0.05 * SECOND)
    inner = {"jobstores": {"default": Delegate()}} if store == "shared" else {}
    scheduler = start({"func": work, "trigger": trigger, "id": "job", "misfire_grace_time": 60}, **inner)
    space.ledger()
    scheduler.serve_in_time(EVENT_JOB_EXECUTED, 2)
    claims = [fire.time for _, fire, _ in ran]
    assert claims == [event.scheduled_run_time.astimezone(UTC) for event in scheduler.events(EVENT_JOB_EXECUTED)]
    assert space.ledger()[KEY].fire == claims[-1]


def test_a_run_that_was_planned_is_claimed_though_its_trigger_was_changed(start, space, ran):
    scheduler = start({"func": work, "trigger": "cron", "second": "*", "id": "job", "misfire_grace_time": 60})
    scheduler.look()
    planned = scheduler.get_job("job").next_run_time
    scheduler.modify_job("job", trigger=CronTrigger(month=1, day=1, timezone=UTC))
    scheduler.serve_in_time(EVENT_JOB_EXECUTED, 1)
    assert ran[0][1].time == planned
    assert space.ledger()[KEY].fire == planned
    assert scheduler.get_job("job").next_run_time > now() + SECOND


def test_a_class_that_stores_less_than_it_knows_is_replaced_by_the_one_that_is_added(start):
    old, new = (LaterCron(minute=0, timezone=UTC) for _ in range(2))
    scheduler = start({"func": work, "trigger": old, "id": "job", "misfire_grace_time": 60})
    new.delay = 2 * SHIFT
    scheduler.add_job(work, new, id="job", misfire_grace_time=60, replace_existing=True)
    assert scheduler.get_job("job").trigger is new


class Asked(CronTrigger):
    """Notes the last fires that it is told of."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.told = []

    def get_next_fire_time(self, previous, now):
        self.told.append(previous)
        return super().get_next_fire_time(None, now)


def test_what_an_and_combines_is_asked_from_a_time_on_not_from_a_fire():
    asked = Asked(minute=0, timezone=UTC)
    both = schedule(AndTrigger([asked, CronTrigger(hour=15, timezone=UTC)]), claimed(NOON))
    assert both.first(NOON) == NOON + 3 * HOUR
    assert both.following(NOON + 3 * HOUR) == NOON + 27 * HOUR
    assert set(asked.told) == {None}
