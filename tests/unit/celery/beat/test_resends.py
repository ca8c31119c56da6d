"""Fires over which a beat was cut short: ``interrupted="resend"`` has the next one send them, before later ones."""

import pytest
from fakeredis import FakeServer, FakeStrictRedis
from redbeat.schedulers import RedBeatScheduler

from celery.schedules import crontab
from kombu.exceptions import OperationalError
from singleton_jobs import ConfigError
from singleton_jobs.events import FireInterrupted
from unit.celery.beat.database import set_up

set_up()

from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks  # noqa: E402
from django_celery_beat.schedulers import DatabaseScheduler  # noqa: E402

from unit.celery.beat.site import HOUR, LEASE, SECOND, drained, every, fires, make_app, now  # noqa: E402
from unit.stage import until  # noqa: E402

RESEND = {"interrupted": "resend"}


@pytest.fixture
def begun(frozen):
    """When the fires began that were cut short."""
    time = now()
    frozen.tick(12 * SECOND)
    return time


def told(heard):
    return [(event.attempt, event.then) for event in heard.events if isinstance(event, FireInterrupted)]


def test_the_next_beat_sends_it_again_with_the_same_id_and_counts(make, space, frozen, begun, heard):
    first = make({"report": every(HOUR)}, **RESEND)
    space.cut(1, fire=begun)
    first.lead()
    [sent] = drained(first.app)
    assert (sent.fire, sent.attempt, sent.task) == (begun, 2, "report")
    assert told(heard) == [(1, "rerun")]
    until(lambda: space.mark_of("report").attempts == ())
    first.scheduler.close()
    uid = space.leases[LEASE][0]
    space.cut(2, fire=begun)
    assert space.leases[LEASE][0] == uid
    second = make({"report": every(HOUR)}, **RESEND).lead()
    [again] = drained(second.app)
    assert (again.attempt, again.id) == (3, sent.id)


def test_it_comes_before_later_fires_of_the_entry(make, space, begun):
    beat = make({"report": every(10)}, **RESEND)
    space.cut(1, fire=begun)
    beat.lead().work()
    assert fires(beat.app) == [begun, begun + 10 * SECOND]


def test_an_entry_that_is_not_due_for_long_is_sent_too(make, space, begun):
    beat = make({"report": every(crontab(hour=7, minute=20))}, **RESEND)
    space.cut(1, fire=begun)
    beat.lead().work()
    [sent] = drained(beat.app)
    assert sent.fire == begun
    assert sent.bound >= now() + 6 * SECOND  # the next fire, or the lease's duration after this claim


def test_after_its_attempts_nobody_sends_it(make, space, begun, heard):
    beat = make({"report": every(HOUR)}, **RESEND, max_attempts=2)
    space.cut(2, fire=begun)
    beat.lead().work()
    assert drained(beat.app) == []
    heard.wait_for(FireInterrupted)
    assert told(heard) == [(2, "gave-up")]
    until(lambda: space.mark_of("report").attempts == ())


def test_an_entry_that_is_gone_is_given_up(make, space, begun, heard):
    beat = make({"other": every(HOUR)}, **RESEND)
    space.cut(1, fire=begun)
    beat.lead()
    assert drained(beat.app) == []
    heard.wait_for(FireInterrupted, then="gave-up")


def test_a_beat_that_does_not_send_again_says_so(make, space, begun, heard):
    beat = make({"report": every(HOUR)})
    space.cut(1, fire=begun)
    beat.lead()
    assert drained(beat.app) == []
    heard.wait_for(FireInterrupted, then="skipped")


def test_several_are_sent_in_their_order(make, space, begun):
    beat = make({"report": every(HOUR)}, **RESEND)
    space.cut(1, 2, fire=begun)
    beat.lead()
    assert [sent.attempt for sent in drained(beat.app)] == [2, 3]


def test_what_is_sent_is_done(lead, space, frozen):
    beat = lead({"report": every(10)}, **RESEND)
    until(lambda: space.mark_of("report"))
    frozen.tick(10 * SECOND)
    beat.work()
    assert [sent.attempt for sent in drained(beat.app)] == [1]
    until(lambda: space.mark_of("report").attempts == ())
    assert beat.candidacy.fires.cut() == {}


def test_an_exit_in_the_midst_of_a_message_leaves_it_to_the_next_beat(publishing, make, space, heard):
    def leave():
        beat.scheduler.close()
        raise SystemExit

    beat = publishing(leave, **RESEND)
    with pytest.raises(SystemExit):
        beat.look()
    assert space.holder(LEASE) == ""
    assert told(heard) == []
    second = make({"report": every(10)}, **RESEND).lead()
    assert [(sent.fire, sent.attempt) for sent in drained(second.app)] == [(now(), 2)]


def test_a_broker_that_fails_in_the_midst_leaves_it_to_whoever_reaches_one(publishing, make, space, heard, frozen):
    def refuse():
        raise OperationalError("no route to the broker")

    beat, due = publishing(refuse, **RESEND), now()
    beat.look()
    assert not beat.leadership.is_leader
    second = make({"report": every(10)}, **RESEND).lead()
    assert [(sent.fire, sent.attempt) for sent in drained(second.app)] == [(due, 2)]


def test_a_message_that_cannot_be_made_is_not_tried_again(publishing, heard):
    def refuse():
        raise TypeError("not serializable")

    beat = publishing(refuse, **RESEND)
    beat.look()
    beat.look()
    heard.wait_for(FireInterrupted)
    assert told(heard) == [(1, "skipped")]
    assert beat.candidacy.fires.cut() == {}


def test_a_resend_that_loses_its_term_is_sent_under_the_next(make, space, begun, heard, monkeypatch, clock):
    beat = make({"report": every(HOUR)}, **RESEND)
    space.cut(1, fire=begun)
    lost = []

    def lose(*arguments, **options):
        if not lost:
            lost.append(clock.push(6))
        return original(*arguments, **options)

    original = beat.scheduler.apply_entry
    monkeypatch.setattr(beat.scheduler, "apply_entry", lose)
    beat.lead()
    until(lambda: beat.look() is not None and beat.leadership.is_leader)
    beat.work()
    assert [(sent.fire, sent.attempt) for sent in drained(beat.app)] == [(begun, 3)]


def test_redbeats_entries_too(make, space, begun):
    app = make_app({"report": every(HOUR)}, beat_scheduler=RedBeatScheduler, redbeat_redis_url="redis://")
    app.conf.redbeat_redis_options = {}
    app.redbeat_redis = FakeStrictRedis(server=FakeServer(), decode_responses=True)
    beat = make(app=app, **RESEND)
    space.cut(1, fire=begun)
    beat.lead()
    assert [(sent.fire, sent.attempt) for sent in drained(beat.app)] == [(begun, 2)]


def test_a_databases_entries_too_also_those_that_its_scheduler_does_not_list_at_this_hour(make, space, begun):
    try:
        elsewhere = crontab(hour=19, minute=0)
        app = make_app({"report": every(elsewhere)}, beat_scheduler=DatabaseScheduler, result_expires=None)
        beat = make(app=app, **RESEND)
        space.cut(1, fire=begun)
        beat.lead()
        assert [(sent.fire, sent.attempt) for sent in drained(beat.app)] == [(begun, 2)]
    finally:
        for model in (PeriodicTask, PeriodicTasks, IntervalSchedule, CrontabSchedule):
            model.objects.all().delete()


def test_other_words_are_refused(make):
    with pytest.raises(ConfigError, match="'skip' or 'resend', not 'rerun'"):
        make({"report": every(10)}, interrupted="rerun")
