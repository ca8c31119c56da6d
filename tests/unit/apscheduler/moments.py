"""Times and marks for schedules that are asked without a clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from singleton_jobs.decisions.ledger import Mark
from singleton_jobs_apscheduler.schedule import Schedule, begin

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def minutely(**more):
    return (
        CronTrigger.from_crontab("* * * * *", timezone=UTC)
        if not more
        else CronTrigger(minute="*", timezone=UTC, **more)
    )


def hourly(**more):
    return CronTrigger(minute=0, timezone=UTC, **more)


def every(step, start=None, **more):
    """An interval trigger as one is made ``step`` before ``start``."""
    return IntervalTrigger(seconds=step.total_seconds(), start_date=start or NOON, timezone=UTC, **more)


def claimed(fire, state="d"):
    return Mark(fire, "n", state)


def introduced(time):
    return Mark(time, "", "d")


def schedule(trigger, mark=None, now=NOON):
    return Schedule(trigger, mark, now)


def starts(trigger, mark, planned, now=NOON, grace=HOUR, *, shared=False, asked=False, since=None):
    """What `begin` says."""
    return begin(trigger, mark, planned, now, grace, shared=shared, asked=asked, since=since)


def goes_on(trigger, mark, now=NOON, grace=HOUR, *, planned=None, shared=False, since=None):
    """When a new leader runs a job next that is planned by its own trigger (or for ``planned``)."""
    if planned is None:
        planned = trigger.get_next_fire_time(None, now)
    start = begin(trigger, mark, planned, now, grace, shared=shared, asked=False, since=since)
    assert start.mark is None
    return start.next_run_time


def count_questions(monkeypatch, kind):
    """Every call of ``kind.get_next_fire_time`` from now on, as a list that grows."""
    asked, questions = kind.get_next_fire_time, []

    def asking(trigger, previous, now):
        questions.append((trigger, previous, now))
        return asked(trigger, previous, now)

    monkeypatch.setattr(kind, "get_next_fire_time", asking)
    return questions


class Doubling(BaseTrigger):
    """Each gap is twice the one before; times follow only from the previous one."""

    def __init__(self, start, step=SECOND):
        self.start, self.step = start, step
        self.calls = 0

    def get_next_fire_time(self, previous, now):
        self.calls += 1
        if previous is None:
            return self.start
        gap = max(self.step, previous.astimezone(UTC) - self.start)
        return previous + gap


class Stuck(BaseTrigger):
    """Always names the same time."""

    def __init__(self, time):
        self.time = time

    def get_next_fire_time(self, previous, now):
        return self.time


def fires(what, after, until):
    """Every nominal time of a schedule in a span."""
    found = []
    while (fire := what.first(after)) is not None and fire <= until:
        assert fire > after, "it goes backwards"
        found.append(fire)
        after = fire
    return found
