"""RedBeat, guarded: its entries stay in Redis, its own lock is off."""

from datetime import datetime

import pytest
from fakeredis import FakeServer, FakeStrictRedis
from redbeat import RedBeatSchedulerEntry
from redbeat.schedulers import RedBeatScheduler, acquire_distributed_beat_lock

from celery.schedules import crontab, schedule
from singleton_jobs import ConfigError
from unit.celery.beat.site import DAY, MINUTE, SECOND, every, fires, make_app, now
from unit.stage import until

CONF = {"beat_scheduler": RedBeatScheduler, "redbeat_redis_url": "redis://", "redbeat_redis_options": {}}


@pytest.fixture
def redis():
    return FakeServer()


@pytest.fixture
def red(make, redis):
    """`red(entries, **settings)`: one more RedBeat on the same Redis, not leading."""

    def red(entries=None, **more):
        app = make_app(entries, **CONF)
        app.redbeat_redis = FakeStrictRedis(server=redis, decode_responses=True)
        return make(app=app, **more)

    return red


def stored(beat, name):
    return RedBeatSchedulerEntry.from_key(f"redbeat:{name}", app=beat.app)


def test_its_own_lock_is_off(red, redis):
    beat = red({"report": every(10)})
    acquire_distributed_beat_lock(sender=type("Service", (), {"scheduler": beat.scheduler}))
    beat.lead()
    assert not FakeStrictRedis(server=redis).exists("redbeat::lock")


def test_entries_are_sent_once_in_each_interval(red, frozen):
    beat, begun = red({"report": every(20), "other": every(20)}).lead(), now()
    for _ in range(61):
        beat.look()
        frozen.tick(SECOND)
    assert fires(beat.app) == [begun + n * 20 * SECOND for n in (1, 1, 2, 2, 3, 3)]


def test_entries_that_are_due_together_are_claimed_with_one_write(red, space, frozen):
    beat = red({f"report-{n}": every(10) for n in range(20)}, lease_duration=600, retry_period=200).lead()
    frozen.tick(10 * SECOND)
    requests = space.requests
    beat.look()
    assert len(fires(beat.app)) == 20
    assert space.requests - requests == 1


def test_a_take_over_sends_again_nothing_that_was_sent(red, space, frozen):
    standby = red({"report": every(10)})
    frozen.tick(12 * SECOND)
    space.claimed("report", now() - 2 * SECOND, runs=9)  # whoever claimed that died before it told Redis
    standby.lead()
    assert fires(standby.app) == []
    assert stored(standby, "report").total_run_count == 9
    frozen.tick(8 * SECOND)
    standby.look()
    assert fires(standby.app) == [now()]
    assert stored(standby, "report").total_run_count == 10
    assert stored(standby, "report").last_run_at == now()


def test_an_entry_that_has_never_run_sends_nothing_of_the_past(red, frozen, space):
    beat = red().lead()
    entry = RedBeatSchedulerEntry("late", "report", schedule(30, app=beat.app), app=beat.app)
    entry.save()
    beat.app.redbeat_redis.hset(entry.key, "meta", '{"last_run_at": null}')
    beat.app.redbeat_redis.zadd("redbeat::schedule", {entry.key: 0})
    begun = now()
    beat.look()
    assert fires(beat.app) == []
    frozen.tick(30 * SECOND)
    beat.look()
    assert fires(beat.app) == [begun + 30 * SECOND]


def test_a_crontab_keeps_its_minutes(red, frozen):
    frozen.move_to(now().replace(minute=10, second=0))
    beat = red({"report": every(crontab(minute="*/5"))}).lead()
    frozen.tick(5 * MINUTE + SECOND)
    beat.look()
    assert fires(beat.app) == [now() - SECOND]


def test_an_entry_may_be_changed_while_beat_runs(red, frozen):
    beat = red({"report": every(DAY.total_seconds())}).lead()
    entry = stored(beat, "report")
    entry.schedule = schedule(10, app=beat.app)
    entry.save()
    frozen.tick(10 * SECOND)
    beat.look()
    assert fires(beat.app) == [now()]


def test_too_many_entries_are_refused(red):
    with pytest.raises(ConfigError, match="room for 200 KiB"):
        red({f"a-report-with-quite-a-long-name-of-its-own-{n}": every(10) for n in range(2500)})
