"""Entries that were away and come back begin then: that they were away is no outage."""

import pytest

from unit.celery.beat.database import set_up

set_up()

from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks  # noqa: E402
from django_celery_beat.schedulers import DatabaseScheduler  # noqa: E402
from redbeat import RedBeatSchedulerEntry  # noqa: E402

from celery.schedules import schedule  # noqa: E402
from unit.celery.beat.site import DAY, HOUR, MINUTE, SECOND, every, fires, make_app, now  # noqa: E402
from unit.celery.beat.test_redbeat import red, redis  # noqa: E402, F401
from unit.stage import until  # noqa: E402


@pytest.fixture(autouse=True)
def _empty(frozen):
    yield
    for model in (PeriodicTask, PeriodicTasks, IntervalSchedule, ClockedSchedule, CrontabSchedule):
        model.objects.all().delete()


@pytest.fixture
def based(make):
    """`based(entries)`: one more DatabaseScheduler on the same database, not leading."""
    return lambda entries=None: make(app=make_app(entries, beat_scheduler=DatabaseScheduler, result_expires=None))


def hourly():
    return CrontabSchedule.objects.get_or_create(minute="0", timezone="UTC")[0]


@pytest.fixture
def ran(space):
    """An hourly row that ran for the last time at the full hour, twenty minutes ago."""
    task = PeriodicTask.objects.create(name="report", task="report", crontab=hourly())
    last = now().replace(minute=0)
    PeriodicTask.objects.filter(name="report").update(last_run_at=last, total_run_count=7)
    space.claimed("report", last, runs=7)
    task.refresh_from_db()
    return task


def set_enabled(task, enabled):
    task.enabled = enabled
    task.save()


def test_a_row_that_is_enabled_again_after_days_sends_nothing_of_them(based, ran, frozen):
    set_enabled(ran, False)
    frozen.tick(3 * DAY)
    set_enabled(ran, True)
    beat = based().lead().work()
    assert fires(beat.app) == []
    frozen.tick(40 * MINUTE)
    beat.work()
    assert fires(beat.app) == [now()]


def test_a_row_that_is_deleted_and_made_again_sends_nothing_of_the_time_between(based, ran, frozen):
    ran.delete()
    frozen.tick(3 * DAY)
    PeriodicTask.objects.create(name="report", task="report", crontab=hourly())
    beat = based().lead().work()
    assert fires(beat.app) == []


def test_what_an_outage_missed_is_sent_also_if_the_row_was_edited_meanwhile(based, ran, frozen):
    frozen.tick(3 * HOUR)
    ran.description = "changed"
    ran.save()
    beat = based().lead().work()
    assert fires(beat.app) == [now().replace(minute=0)]


def test_what_was_missed_after_it_came_back_is_sent(based, ran, frozen):
    set_enabled(ran, False)
    frozen.tick(3 * DAY)
    set_enabled(ran, True)
    frozen.tick(2 * HOUR)
    beat = based().lead().work()
    assert fires(beat.app) == [now().replace(minute=0)]


def test_a_leader_sees_rows_come_back_that_no_date_tells_of(based, ran, frozen):
    beat = based().lead().work()
    for enabled in (False, True):
        PeriodicTask.objects.filter(name="report").update(enabled=enabled)
        PeriodicTasks.update_changed()
        frozen.tick(5 * HOUR)
        beat.look()
    beat.work()
    assert fires(beat.app) == []
    frozen.tick(40 * MINUTE)
    beat.work()
    assert fires(beat.app) == [now()]


def test_a_new_row_keeps_the_phase_that_it_was_first_seen_with(based, space, frozen):
    entries = {"report": every(3600)}
    begun = now()
    beat = based(entries).lead()
    until(lambda: space.mark_of("report"))
    beat.scheduler.close()
    for _ in range(3):  # each start changes the row, and none lives for an hour
        frozen.tick(20 * MINUTE)
        beat = based(entries).lead().work()
        sent = fires(beat.app)
        beat.scheduler.close()
    assert sent == [begun + HOUR]


def test_what_stock_beat_has_sent_meanwhile_is_not_sent_again(based, ran, frozen):
    frozen.tick(3 * HOUR)
    PeriodicTask.objects.filter(name="report").update(last_run_at=now().replace(minute=0, second=1), total_run_count=10)
    beat = based().lead().work()
    assert fires(beat.app) == []


def test_an_entry_that_stock_beat_has_sent_from_the_same_file_is_not_sent_again(make, space, frozen):
    beat = make({"report": every(60)})
    space.claimed("report", now(), runs=3)
    frozen.tick(10 * MINUTE)
    entry = beat.entry("report")
    entry.last_run_at, entry.total_run_count = now() - SECOND, 13
    beat.lead().work()
    assert fires(beat.app) == []


def remade(beat):
    entry = RedBeatSchedulerEntry("late", "report", schedule(60, app=beat.app), app=beat.app)
    entry.delete()
    return RedBeatSchedulerEntry("late", "report", schedule(60, app=beat.app), app=beat.app).save()


def test_an_entry_of_redbeat_that_is_made_again_begins_then(red, space, frozen):  # noqa: F811
    beat = red()
    space.claimed("late", now(), runs=3)
    frozen.tick(3 * DAY)
    remade(beat)
    frozen.tick(SECOND)
    beat.lead()
    assert fires(beat.app, "report") == []
    frozen.tick(59 * SECOND)
    beat.look()
    assert fires(beat.app, "report") == [now()]


def test_a_configured_entry_of_redbeat_outlives_the_loss_of_redis(red, space, frozen):  # noqa: F811
    space.claimed("report", now(), runs=3)
    frozen.tick(HOUR)
    beat = red({"report": every(60)})  # makes it anew
    frozen.tick(60 * SECOND)
    beat.lead()
    assert fires(beat.app, "report") == [now()]


def test_a_row_of_the_configuration_whose_run_was_not_stored_makes_up_for_an_outage(based, space, frozen):
    entries = {"report": every(3600)}
    based(entries)  # which makes the row
    last = now()
    space.claimed("report", last, runs=1)  # by a beat that was killed before it told the database
    frozen.tick(2 * HOUR + 10 * MINUTE)
    assert fires(based(entries).lead().work().app) == [last + 2 * HOUR]


def test_a_row_of_the_configuration_runs_though_beats_start_more_often_than_it_is_due(based, space, frozen):
    entries = {"report": every(3600)}
    based(entries)
    last = now()
    space.claimed("report", last, runs=1)
    sent = []
    for _ in range(4):
        frozen.tick(20 * MINUTE)
        beat = based(entries).lead().work()
        sent += fires(beat.app)
        beat.scheduler.close()
    assert sent == [last + HOUR]
