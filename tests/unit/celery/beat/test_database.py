"""django-celery-beat's DatabaseScheduler, guarded: its entries stay in the database."""

import pytest

from celery.schedules import crontab
from unit.celery.beat.database import set_up

set_up()

from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks  # noqa: E402
from django_celery_beat.schedulers import DatabaseScheduler  # noqa: E402

from unit.celery.beat.site import DAY, HOUR, MINUTE, SECOND, every, fires, make_app, now  # noqa: E402
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


def row(name):
    return PeriodicTask.objects.get(name=name)


def interval(seconds):
    return IntervalSchedule.objects.get_or_create(every=seconds, period="seconds")[0]


def test_entries_are_sent_once_in_each_interval(based, frozen):
    beat, begun = based({"report": every(20)}).lead(), now()
    for _ in range(61):
        beat.work()
        frozen.tick(SECOND)
    assert fires(beat.app) == [begun + n * 20 * SECOND for n in (1, 2, 3)]


def test_a_take_over_sends_again_nothing_that_was_sent(based, space, frozen):
    standby = based({"report": every(10), "cron": every(crontab(minute="*"), task="cron")})
    frozen.tick(12 * SECOND)
    space.claimed("report", now() - 2 * SECOND, runs=9)
    space.claimed("cron", now().replace(second=0))
    standby.lead().work()
    assert fires(standby.app) == []
    frozen.tick(8 * SECOND)
    standby.work()
    assert fires(standby.app, "report") == [now()]
    standby.scheduler.close()
    assert row("report").total_run_count == 10
    assert row("report").last_run_at == now()


def test_rows_that_are_read_again_while_they_are_taken_over_go_on_from_the_ledger_too(
    based, space, frozen, monkeypatch
):
    standby = based({"report": every(10)})
    frozen.tick(12 * SECOND)
    space.claimed("report", now() - 11 * SECOND, runs=9)
    answers = iter([False, True])  # the second as when another replica starts, and stores its configuration
    monkeypatch.setattr(standby.scheduler, "schedule_changed", lambda: next(answers, False))
    standby.lead().work()
    assert list(answers) == []
    assert fires(standby.app) == [now() - SECOND]
    standby.scheduler.close()
    assert row("report").total_run_count == 10


@pytest.fixture
def deposed(based, space, frozen):
    """One that has led, with something to store, while another has stored more since."""
    beat = based({"report": every(10)}).lead()
    for _ in range(2):  # the first is stored at once
        frozen.tick(10 * SECOND)
        beat.work()
    space.put("celery-beat", "pod-of-another")
    until(lambda: not beat.leadership.is_leader)
    PeriodicTask.objects.filter(name="report").update(total_run_count=77)
    assert beat.scheduler._dirty
    return beat


def test_a_deposed_leader_leaves_the_database_alone(deposed):
    deposed.scheduler.close()
    assert row("report").total_run_count == 77


def test_a_deposed_leader_that_leads_again_stores_nothing_of_its_last_term(deposed, space):
    space.put("celery-beat", "")
    until(lambda: deposed.look() is not None and deposed.leadership.is_leader)
    deposed.scheduler.sync()
    assert row("report").total_run_count == 77


def test_a_changed_row_is_heard_of_in_the_next_look(based, frozen, space):
    beat = based({"report": every(3600)}).lead()
    until(lambda: space.mark_of("report"))
    task = row("report")
    task.interval = interval(10)
    frozen.tick(SECOND)
    task.save()
    frozen.tick(10 * SECOND)
    beat.work()
    assert len(fires(beat.app, "report")) == 1


def test_a_row_that_is_added_later_fires_one_interval_later(based, frozen):
    beat = based({"report": every(3600)}).lead()
    frozen.tick(SECOND)
    PeriodicTask.objects.create(name="late", task="late", interval=interval(30))
    begun = now()
    beat.work()
    for _ in range(31):
        frozen.tick(SECOND)
        beat.work()
    assert fires(beat.app, "late") == [begun + 30 * SECOND]


def test_a_start_time_is_the_first_fire(based, frozen):
    begun = now()
    PeriodicTask.objects.create(name="later", task="later", interval=interval(300), start_time=begun + 100 * SECOND)
    beat = based().lead()
    for _ in range(41):
        beat.work()
        frozen.tick(10 * SECOND)
    assert fires(beat.app, "later") == [begun + 100 * SECOND, begun + 400 * SECOND]


def test_a_clocked_row_fires_once_also_if_its_time_has_come_already(based, frozen, space):
    clocked = ClockedSchedule.objects.create(clocked_time=now() - SECOND)
    PeriodicTask.objects.create(name="once", task="once", clocked=clocked, one_off=True)
    beat = based().lead().work()
    assert fires(beat.app) == [now() - SECOND]
    beat.scheduler.close()
    PeriodicTask.objects.filter(name="once").update(enabled=True, total_run_count=0)  # as if it had never been told
    again = based().lead().work()
    assert fires(again.app) == []


def test_a_one_off_row_that_died_with_its_beat_does_not_fire_again(based, frozen, space):
    PeriodicTask.objects.create(name="once", task="once", interval=interval(10), one_off=True)
    frozen.tick(10 * SECOND)
    space.claimed("once", now(), runs=1)
    beat = based().lead()
    for _ in range(30):
        beat.work()
        frozen.tick(SECOND)
    assert fires(beat.app) == []
    assert not row("once").enabled


def test_a_one_off_row_that_is_enabled_once_more_fires_once_more(based, frozen, space):
    space.claimed("once", now() - HOUR, runs=1)
    PeriodicTask.objects.create(name="once", task="once", interval=interval(10), one_off=True)
    beat = based().lead()
    for _ in range(30):
        beat.work()
        frozen.tick(SECOND)
    assert len(fires(beat.app)) == 1
    assert not row("once").enabled


def test_a_row_of_long_ago_sends_nothing_of_the_past(based, frozen):
    PeriodicTask.objects.create(name="old", task="old", interval=interval(60), last_run_at=now() - DAY - 30 * SECOND)
    beat = based().lead().work()
    assert fires(beat.app) == []
    frozen.tick(30 * SECOND)
    beat.work()
    assert fires(beat.app) == [now()]  # and it has kept its phase


def test_a_disabled_row_does_not_fire(based, frozen):
    PeriodicTask.objects.create(name="off", task="off", interval=interval(10), enabled=False)
    beat = based().lead()
    frozen.tick(MINUTE)
    beat.work()
    assert fires(beat.app) == []


def test_the_mark_of_a_row_for_another_hour_is_kept_however_old(based, frozen, space):
    old = now() - 40 * DAY
    hour = CrontabSchedule.objects.create(minute="0", hour="19", day_of_month="1")
    PeriodicTask.objects.create(name="monthly", task="monthly", crontab=hour, last_run_at=old)
    space.claimed("monthly", old, runs=3)
    space.claimed("gone", old)
    beat = based({"report": every(10)}).lead()
    assert "monthly" not in beat.scheduler.schedule
    frozen.tick(10 * SECOND)
    beat.work()
    until(lambda: space.mark_of("report").runs == 1)
    assert space.mark_of("monthly").runs == 3
    assert space.mark_of("gone") is None
