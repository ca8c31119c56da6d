"""A replica that takes over goes on where the last one stopped."""

import json
from datetime import timedelta

import pytest

from celery.schedules import crontab
from singleton_jobs.events import FireInterrupted, FireSkipped
from singleton_jobs.locks.record import LEDGER_ANNOTATION
from unit.apscheduler.site import leads
from unit.celery.beat.site import DAY, HOUR, LEASE, MINUTE, SECOND, drained, every, fires, now
from unit.stage import until


def test_a_take_over_sends_again_nothing_that_was_sent(make, space, frozen):
    frozen.move_to(now().replace(minute=10, second=0))
    entries = {"report": every(10), "cron": every(crontab(minute="*/5"), task="cron")}
    standby = make(entries)  # its own entries believe that nothing has run yet
    frozen.tick(5 * MINUTE)
    space.claimed("report", now() - 5 * SECOND)
    space.claimed("cron", now())
    standby.lead().work()
    assert fires(standby.app) == []


def test_a_take_over_skips_nothing_that_is_due(make, space, frozen):
    frozen.move_to(now().replace(minute=10, second=0))
    standby = make({"report": every(10), "cron": every(crontab(minute="*/5"), task="cron")})
    space.claimed("report", now())
    space.claimed("cron", now())
    frozen.tick(5 * MINUTE + SECOND)
    standby.lead().work()
    assert sorted(fires(standby.app)) == [now() - SECOND, now() - SECOND]


def test_the_phase_of_an_interval_goes_on(make, space, frozen):
    standby = make({"report": every(60)})
    frozen.tick(7 * SECOND)
    space.claimed("report", now())
    standby.lead().work()
    frozen.tick(59 * SECOND)
    standby.work()
    assert drained(standby.app) == []
    frozen.tick(SECOND)
    standby.work()
    assert fires(standby.app) == [now()]


def test_the_count_of_runs_goes_on(make, space, frozen):
    standby = make({"report": every(10)})
    space.claimed("report", now(), runs=41)
    frozen.tick(10 * SECOND)
    standby.lead().work()
    assert standby.entry("report").total_run_count == 42
    assert space.mark_of("report").runs == 42


def test_a_count_that_is_not_known_is_the_entrys_own(make, space, frozen):
    standby = make({"report": every(10)})
    standby.entry("report").total_run_count = 7
    space.claimed("report", now())
    frozen.tick(10 * SECOND)
    standby.lead().work()
    assert space.mark_of("report").runs == 8


def test_an_entry_that_is_seen_for_the_first_time_sends_nothing_of_the_past(make, frozen):
    beat = make({"report": every(crontab(minute="*/5"))})
    beat.entry("report").last_run_at = now() - DAY
    beat.lead().work()
    assert drained(beat.app) == []
    frozen.tick(5 * MINUTE)
    beat.work()
    assert len(drained(beat.app)) == 1


def test_an_interval_longer_than_any_beat_lives_fires(make, space, frozen):
    begun = now()
    for _ in range(4):
        beat = make({"report": every(600)}).lead()
        until(lambda: space.mark_of("report"))
        frozen.tick(200 * SECOND)
        beat.work()
        beat.scheduler.close()
    assert fires(beat.app) == [begun + 600 * SECOND]


@pytest.mark.parametrize("late", [0.1, 0.3, 0.7, 1.2, 9.9])
def test_new_interval_entries_are_due_together_and_nothing_of_the_past_is(make, frozen, late):
    frozen.tick(timedelta(milliseconds=600))
    beat = make({f"report-{n}": every(2) for n in range(3)})
    for number, entry in enumerate(beat.scheduler.schedule.values()):
        entry.last_run_at += timedelta(milliseconds=number)
    frozen.tick(timedelta(seconds=late))
    led = now()
    beat.lead().work()
    assert fires(beat.app) == []
    frozen.tick(2 * SECOND)
    beat.work()
    (fire,) = set(fires(beat.app))
    assert led < fire <= now()
    assert fire.microsecond == 0


def test_a_deposed_leader_that_leads_again_takes_over_what_the_others_did(lead, space, frozen):
    beat = lead({"report": every(10)})
    frozen.tick(10 * SECOND)
    beat.work()
    space.put(LEASE, "pod-of-another")
    until(lambda: not beat.leadership.is_leader)
    frozen.tick(33 * SECOND)
    space.put(LEASE, "")
    space.claimed("report", now(), runs=3)
    drained(beat.app)
    until(lambda: beat.look() is not None and beat.leadership.is_leader)
    frozen.tick(8 * SECOND)  # its own memory says that it is due
    beat.work()
    assert drained(beat.app) == []
    assert beat.entry("report").total_run_count == 3
    frozen.tick(2 * SECOND)
    beat.work()
    assert fires(beat.app) == [now()]


def test_what_an_entry_did_before_it_was_guarded_keeps_its_phase(make, space, frozen):
    beat = make({"report": every(60)})
    beat.entry("report").last_run_at = begun = now() - 50 * SECOND
    beat.lead().work()
    frozen.tick(10 * SECOND)
    beat.work()
    assert fires(beat.app) == [begun + MINUTE]


@pytest.fixture
def unreadable(space):
    def spoil(text='{"v":9}'):
        with space.mutex:
            uid, _, body, at = space.leases[LEASE]
            whole = json.loads(body)
            whole["metadata"].setdefault("annotations", {})[LEDGER_ANNOTATION] = text
            space.leases[LEASE] = (uid, space.next_version(), json.dumps(whole), at)

    return spoil


def test_a_refused_fire_may_be_sent_under_the_next_term(make, space, frozen, unreadable):
    last = now()
    space.claimed("report", last, runs=3)
    readable = json.loads(space.leases[LEASE][2])["metadata"]["annotations"][LEDGER_ANNOTATION]
    beat = make({"report": every(3600)}).lead().work()
    lead_anew(beat, unreadable)
    frozen.tick(HOUR)
    beat.work()
    assert fires(beat.app) == []
    frozen.tick(MINUTE)
    lead_anew(beat, lambda: unreadable(readable))
    beat.work()
    assert fires(beat.app) == [last + HOUR]


def lead_anew(beat, meanwhile):
    beat.candidacy.abandon("as after an outage")
    meanwhile()
    beat.candidacy.start()
    leads(beat.leadership)


def test_a_refused_fire_is_told_and_the_entry_goes_on(make, space, frozen, heard, unreadable):
    begun = now()
    space.put(LEASE, "")
    unreadable()
    beat = make({"report": every(10)}).lead()
    frozen.tick(10 * SECOND)
    beat.work()
    assert drained(beat.app) == []
    first = heard.wait_for(FireSkipped, job="celery:report", reason="refused")
    assert first.time == (begun + 10 * SECOND)
    beat.work()
    assert len([event for event in heard.events if isinstance(event, FireSkipped)]) == 1
    frozen.tick(10 * SECOND)
    beat.work()
    heard.wait_for(FireSkipped, time=(begun + 20 * SECOND))


def test_what_another_has_claimed_meanwhile_is_not_sent(lead, frozen, space):
    beat = lead({"report": every(10)})
    until(lambda: space.mark_of("report"))
    frozen.tick(10 * SECOND)
    space.claimed("report", now())  # under the leader's very nose: its write meets a conflict
    beat.work()
    assert drained(beat.app) == []


def test_what_was_claimed_and_not_sent_is_sent_under_the_next_term(lead, frozen, space, monkeypatch):
    beat = lead({"report": every(10), "other": every(10)})
    until(lambda: space.mark_of("report"))
    frozen.tick(10 * SECOND)
    due = now()
    lost = []

    def lose(entry, *arguments, **more):
        if not lost:  # the term ends between the claims and the first message
            lost.append(entry)
            beat.candidacy.abandon("a stall")
            beat.candidacy.start()
        return original(entry, *arguments, **more)

    original = beat.scheduler.apply_async
    monkeypatch.setattr(beat.scheduler, "apply_async", lose)
    beat.look()
    assert drained(beat.app) == []
    until(lambda: beat.look() is not None and beat.leadership.is_leader)
    beat.work()
    assert fires(beat.app) == [due, due]
    assert beat.entry("report").total_run_count == 1


def test_what_was_claimed_and_not_sent_is_told_if_another_led_meanwhile(lead, frozen, space, monkeypatch, heard):
    beat = lead({"report": every(10)})
    until(lambda: space.mark_of("report"))
    frozen.tick(10 * SECOND)
    due = now()

    def lose(*arguments, **more):
        space.claimed("report", due + HOUR // 60)
        space.put(LEASE, "")
        until(lambda: not beat.leadership.is_leader)
        monkeypatch.undo()
        return beat.scheduler.apply_async(*arguments, **more)

    monkeypatch.setattr(beat.scheduler, "apply_async", lose)
    beat.look()
    until(lambda: beat.look() is not None and beat.leadership.is_leader)
    beat.work()
    assert due not in fires(beat.app)
    heard.wait_for(FireInterrupted, job="celery:report", time=due)
