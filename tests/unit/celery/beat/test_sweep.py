"""Every kind of schedule, minute by minute across both changes of the clocks in five zones.

Whenever an entry was seen first, its fires are those that Celery names, each once, and it is never silent for longer than
its plan says.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django_celery_beat.tzcrontab import TzAwareCrontab
from redbeat.schedules import rrule

from celery import Celery
from celery.schedules import crontab, schedule, solar
from singleton_jobs_celery.schedule import latest_due, next_due, resumed
from unit.celery.beat.site import DAY, HOUR, MINUTE

CHANGES = {  # when clocks go on and when they go back, in UTC, and by how much
    "Europe/Berlin": (datetime(2026, 3, 29, 1), datetime(2026, 10, 25, 1), HOUR),
    "America/New_York": (datetime(2026, 3, 8, 7), datetime(2026, 11, 1, 6), HOUR),
    "Australia/Lord_Howe": (datetime(2026, 10, 3, 15, 30), datetime(2026, 4, 4, 15), 30 * MINUTE),
    "America/Santiago": (datetime(2026, 9, 6, 4), datetime(2026, 4, 5, 3), HOUR),
    "Pacific/Auckland": (datetime(2026, 9, 26, 14), datetime(2026, 4, 4, 14), HOUR),
}
OFFSETS = (-70 * MINUTE, 0 * MINUTE, 10 * MINUTE, 59 * MINUTE, 70 * MINUTE)


def app_in(zone):
    app = Celery("app", set_as_current=False)
    app.conf.timezone = zone
    return app


def cron(**fields):
    return lambda app, change, hour: crontab(**{k: hour if v == "that" else v for k, v in fields.items()}, app=app)


def aware(**fields):
    return lambda app, change, hour: TzAwareCrontab(**fields, tz=app.timezone, app=app)


def rule(**fields):
    def of(app, change, hour):
        return rrule(dtstart=(change.astimezone(app.timezone) + 2 * HOUR - DAY).replace(tzinfo=None), app=app, **fields)

    return of


def interval(length, **more):
    return lambda app, change, hour: schedule(length, app=app, **more)


# What it is, and how long it may be silent on such a day besides the hour (or half of one) that clocks repeat.
PLANS = {
    "*/5 * * * *": (cron(minute="*/5"), 5 * MINUTE),
    "*/15 * * * *": (cron(minute="*/15"), 15 * MINUTE),
    "17 * * * *": (cron(minute=17), HOUR),
    "30 of that hour": (cron(minute=30, hour="that"), DAY),
    "*/10 of that hour": (cron(minute="*/10", hour="that", day_of_month="1-31"), DAY),
    "30 of that hour on Sundays": (cron(minute=30, hour="that", day_of_week="sun"), 7 * DAY),
    "0 0 * * *": (cron(minute=0, hour=0), DAY),
    "TzAwareCrontab */5": (aware(minute="*/5"), 5 * MINUTE),
    "rrule, 15 min": (rule(freq="MINUTELY", interval=15), 15 * MINUTE),
    "rrule, daily": (rule(freq="DAILY"), DAY),
    "7 min": (interval(7 * MINUTE), 7 * MINUTE),
    "1 h, relative": (interval(HOUR, relative=True), HOUR),
}


def sweep(plan, first, until):
    """The fires claimed when an entry is first seen at ``first``, by a beat that looks each minute; and the next."""
    found, last = [], resumed(plan, first)
    while (due := next_due(plan, last)) <= until:
        now = due + (first - due) % MINUTE
        fire = latest_due(plan, last, now)
        assert last < fire <= now < fire + MINUTE
        found.append(fire)
        last = resumed(plan, fire)
    return found, due


def test_a_solar_schedule_knows_no_clocks():
    plan, first = solar("sunset", 50, 10, app=app_in("Europe/Berlin")), datetime(2026, 10, 23, 12, tzinfo=UTC)
    fires, _ = sweep(plan, first, first + 5 * DAY)
    assert len(fires) == 5
    assert all(abs(later - earlier - DAY) < 3 * MINUTE for earlier, later in zip(fires, fires[1:], strict=False))


@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("name", PLANS)
def test_each_fire_is_claimed_once_and_none_is_waited_for_longer_than_planned(zone, name):
    make, silent = PLANS[name]
    app, shift = app_in(zone), CHANGES[zone][2]
    for change, repeats in zip(CHANGES[zone][:2], (False, True), strict=True):
        change = change.replace(tzinfo=UTC)
        hour = (change.astimezone(ZoneInfo(zone)) - (0 if repeats else 1) * shift).hour  # shown twice, or left out
        plan = make(app, change, hour)
        swept = {offset: sweep(plan, change + offset, change + 130 * MINUTE) for offset in OFFSETS}
        for offset, (fires, due) in swept.items():
            times = [change + offset, *fires, due]
            gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
            assert all(gap > 0 * MINUTE for gap in gaps)
            assert max(gaps) <= silent + (2 * shift if silent >= DAY else shift), (repeats, offset, times)
            if hasattr(plan, "run_every"):
                continue  # counted from when it was first seen
            gap_ends = (
                change if repeats or offset < 0 * MINUTE else change + shift
            )  # it names what it was asked for before
            after = max(change + offset, gap_ends)
            once = [fire.replace(microsecond=0) for fire in fires if fire > after]
            assert once == [fire.replace(microsecond=0) for fire in swept[OFFSETS[0]][0] if fire > after]
