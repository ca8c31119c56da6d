"""django-celery-beat's rows with and without zones, in three zones, on SQLite, MariaDB and PostgreSQL."""

from datetime import UTC

import pytest

from databases.fixtures import mariadb, postgresql  # noqa: F401
from unit.celery.beat.database import MEMORY, set_to, set_up

set_up()

from django.conf import settings  # noqa: E402
from django.utils import timezone  # noqa: E402
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask  # noqa: E402
from django_celery_beat.schedulers import DatabaseScheduler  # noqa: E402

from unit.celery.beat.site import HOUR, MINUTE, SECOND, drained, fires, make_app, now  # noqa: E402

ZONES = ["UTC", "Asia/Shanghai", "America/Bogota"]
SETTINGS = [(use_tz, zone) for use_tz in (False, True) for zone in ZONES]


@pytest.fixture(params=SETTINGS, ids=lambda each: f"{'aware' if each[0] else 'naive'}-{each[1].rpartition('/')[2]}")
def _everywhere(request, frozen):
    with set_to(MEMORY, *request.param):
        yield


@pytest.fixture
def based(make):
    """`based()`: one more DatabaseScheduler on the same database, not leading."""
    return lambda: make(app=make_app(beat_scheduler=DatabaseScheduler, result_expires=None))


def row(name, seconds=None, **more):
    if seconds:
        more["interval"] = IntervalSchedule.objects.get_or_create(every=seconds, period="seconds")[0]
    return PeriodicTask.objects.create(name=name, task=name, **more)


def stored(time):
    """As people and Django store it."""
    return time if settings.USE_TZ else timezone.make_naive(time)


def told(name):
    """What the database knows of its runs; its last one is in UTC, whatever TIME_ZONE says."""
    task = PeriodicTask.objects.get(name=name)
    last = task.last_run_at
    return task.total_run_count, last if last is None or last.tzinfo else last.replace(tzinfo=UTC)


def work(beat, frozen, duration, step):
    """The fires of that time, each with when it was sent."""
    sent, end = [], now() + duration
    while now() <= end:
        beat.work()
        sent += [(message.task, message.fire, now()) for message in drained(beat.app)]
        frozen.tick(step)
    return sent


def live(based, space, frozen):
    """Rows are made, run, changed; a beat crashes and another goes on."""
    begun = now()
    row("report", 20)
    row("later", 20, start_time=stored(begun + 30 * SECOND))
    clocked = ClockedSchedule.objects.create(clocked_time=stored(begun + 50 * SECOND))
    row("clocked", clocked=clocked, one_off=True)
    beat = based().lead()
    sent = work(beat, frozen, 60 * SECOND, SECOND)
    assert sent == sorted(sent, key=lambda each: each[2])
    assert all(fire == at for _, fire, at in sent)
    assert sorted((task, (fire - begun).seconds) for task, fire, _ in sent) == [
        ("clocked", 50), ("later", 30), ("later", 50), ("report", 20), ("report", 40), ("report", 60),
    ]  # fmt: skip
    begun = now()
    PeriodicTask.objects.get(name="report").save()  # changes its date_changed
    row("new", 10)
    sent = work(beat, frozen, 20 * SECOND, SECOND)
    assert [(each[1] - begun).seconds for each in sent if each[0] == "new"] == [10, 20]
    beat.scheduler.close()
    assert told("report") == (4, begun + 19 * SECOND)
    space.claimed("report", begun + 39 * SECOND, runs=5)
    row("once", 10, one_off=True)
    frozen.tick(30 * SECOND)
    space.claimed("once", now(), runs=1)  # its beat died before it told the database
    again = based().lead()
    sent = work(again, frozen, 60 * SECOND, SECOND)
    assert not [each for each in sent if each[0] == "once"]
    assert not PeriodicTask.objects.get(name="once").enabled
    assert [(each[1] - begun).seconds for each in sent if each[0] == "report"][:2] == [59, 79]
    again.scheduler.close()  # or it would compete with the beats of another zone


@pytest.mark.usefixtures("_everywhere")
def test_rows_live(based, space, frozen):
    live(based, space, frozen)


@pytest.mark.usefixtures("_everywhere")
def test_a_row_that_expires_is_sent_until_then_and_its_messages_too(based, frozen):
    begun = now()
    row("report", 20, expires=stored(begun + 50 * SECOND))
    beat = based().lead()
    sent, end = [], now() + 90 * SECOND
    while now() < end:
        beat.work()
        sent += drained(beat.app)
        frozen.tick(5 * SECOND)
    assert [message.fire for message in sent] == [begun + 20 * SECOND, begun + 40 * SECOND]
    assert {message.expires for message in sent} == {begun + 50 * SECOND}
    assert not PeriodicTask.objects.get(name="report").enabled


@pytest.mark.usefixtures("_everywhere")
def test_a_crontab_that_is_to_start_later_starts_then(based, frozen, caplog):
    hourly = CrontabSchedule.objects.create(minute="*/5")
    row("cron", crontab=hourly, start_time=stored(now() + 12 * MINUTE))
    beat = based().lead()
    sent = work(beat, frozen, 20 * MINUTE, MINUTE)
    assert [fire for _, fire, _ in sent][-1] == now().replace(second=0) - MINUTE
    assert min(at for _, _, at in sent) >= now() - 9 * MINUTE
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.usefixtures("_everywhere")
def test_a_row_that_is_enabled_again_begins_then(based, space, frozen):
    task = row("report", 3600)
    space.claimed("report", now(), runs=7)
    task.enabled = False
    task.save()
    frozen.tick(50 * HOUR)
    task.enabled = True
    task.save()
    beat, begun = based().lead(), now()
    assert [(fire, at) for _, fire, at in work(beat, frozen, 70 * MINUTE, MINUTE)] == [(begun + HOUR, begun + HOUR)]


SERVERS = [(False, "Asia/Shanghai"), (False, "America/Bogota"), (True, "Asia/Shanghai")]


def on_server(database, running, based, space, frozen):
    for use_tz, zone in SERVERS:
        name = running.create_database().rpartition("/")[2]
        with set_to(
            {**database, "NAME": name, "HOST": "127.0.0.1", "PORT": running.port, "CONN_MAX_AGE": None}, use_tz, zone
        ):
            live(based, space, frozen)
        space.leases.clear()


def test_rows_live_on_mariadb(mariadb, based, space, frozen):  # noqa: F811
    import pymysql

    pymysql.install_as_MySQLdb()
    on_server({"ENGINE": "django.db.backends.mysql", "USER": "root"}, mariadb, based, space, frozen)


def test_rows_live_on_postgresql(postgresql, based, space, frozen):  # noqa: F811
    on_server({"ENGINE": "django.db.backends.postgresql", "USER": "postgres"}, postgresql, based, space, frozen)
