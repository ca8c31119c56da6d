"""A leader's beat: every fire once, on its nominal time, with what its message carries."""

from datetime import datetime, timedelta
from uuid import NAMESPACE_OID, uuid5

import pytest

from celery import VERSION, Task
from celery.beat import Scheduler
from celery.schedules import BaseSchedule, crontab, schedule
from singleton_jobs.events import FireEnded
from unit.celery.beat.site import HOUR, MINUTE, SECOND, drained, every, fires, make_app, now
from unit.stage import until


def test_an_interval_entry_is_sent_once_in_each_interval(lead, frozen, heard):
    beat, begun = lead({"report": every(20)}), now()
    for _ in range(61):
        beat.work()
        frozen.tick(SECOND)
    assert fires(beat.app) == [begun + n * 20 * SECOND for n in (1, 2, 3)]
    until(lambda: [event.ok for event in heard.events if isinstance(event, FireEnded)] == [True] * 3)


def test_lateness_does_not_add_up(lead, frozen):
    beat, begun = lead({"report": every(10)}), now()
    for _ in range(3):
        frozen.tick(timedelta(seconds=10, milliseconds=400))
        beat.work()
    assert fires(beat.app) == [begun + n * 10 * SECOND for n in (1, 2, 3)]


def test_after_an_absence_one_message_stands_for_the_latest_of_the_missed_fires(lead, frozen):
    beat, begun = lead({"report": every(10)}), now()
    frozen.tick(47 * SECOND)
    beat.work()
    assert fires(beat.app) == [begun + 40 * SECOND]
    frozen.tick(2 * SECOND)
    beat.work()
    assert fires(beat.app) == []
    frozen.tick(SECOND)
    beat.work()
    assert fires(beat.app) == [begun + 50 * SECOND]


def test_beat_looks_again_at_the_next_nominal_time(lead, frozen):
    beat = lead({"report": every(10)}, retry_period=2, lease_duration=15)
    frozen.tick(timedelta(seconds=19, milliseconds=500))
    beat.look()
    assert 0.4 < beat.look() < 0.5


def test_a_leader_looks_again_within_a_retry_period(lead, frozen):
    assert lead({"report": every(1000)}).look() == pytest.approx(0.2)


def test_a_crontab_entry_is_sent_for_its_minute(lead, frozen):
    frozen.move_to(now().replace(minute=10, second=30))
    beat = lead({"report": every(crontab(minute="*/5"))})
    frozen.tick(4 * MINUTE + 31 * SECOND)
    beat.work()
    assert fires(beat.app) == [now().replace(minute=15, second=0)]


def test_entries_that_are_due_together_are_claimed_with_one_write(lead, space, frozen):
    beat = lead({f"report-{n}": every(10) for n in range(50)}, retry_period=2, lease_duration=15)
    until(lambda: space.mark_of("report-0"))
    frozen.tick(10 * SECOND)
    requests = space.requests
    beat.work()
    assert len(drained(beat.app)) == 50
    assert space.requests - requests <= 2  # one of them a renewal, perhaps


def test_looking_when_nothing_is_due_costs_no_request(lead, space, frozen):
    beat = lead({"report": every(10)}, retry_period=2, lease_duration=15)
    until(lambda: space.mark_of("report"))
    frozen.tick(timedelta(seconds=9, milliseconds=995))
    requests = space.requests
    for _ in range(500):
        beat.look()
    assert space.requests - requests <= 1  # a renewal, perhaps


def test_a_message_carries_the_fire_and_the_fencing_token(lead, frozen):
    beat, begun = lead({"report": every(10)}), now()
    frozen.tick(10 * SECOND)
    beat.work()
    (sent,) = drained(beat.app)
    assert sent.headers["singleton-jobs-fire"] == (begun + 10 * SECOND).isoformat()
    assert sent.headers["singleton-jobs-token"] == beat.leadership.term.fencing_token


def test_headers_of_an_entry_stay_its_own(lead, frozen):
    beat = lead({"report": every(10, options={"headers": {"team": "payroll"}})})
    frozen.tick(10 * SECOND)
    beat.work()
    (sent,) = drained(beat.app)
    assert sent.headers["team"] == "payroll"
    assert beat.entry("report").options == {"headers": {"team": "payroll"}}


def test_the_task_id_follows_from_the_lease_the_entry_and_the_fire(lead, frozen):
    beat, begun = lead({"report": every(10)}), now()
    frozen.tick(10 * SECOND)
    beat.work()
    uid = beat.leadership.term.uid
    (sent,) = drained(beat.app)
    assert sent.id == str(uuid5(NAMESPACE_OID, f"{uid}/celery:report/{(begun + 10 * SECOND).isoformat()}"))


def test_a_task_id_of_the_entrys_own_wins(lead, frozen):
    beat = lead({"report": every(10, options={"task_id": "mine"})})
    frozen.tick(10 * SECOND)
    beat.work()
    assert drained(beat.app)[0].id == "mine"


def test_a_message_expires_at_the_next_fire(lead, frozen):
    beat, begun = lead({"report": every(600)}), now()
    frozen.tick(605 * SECOND)
    beat.work()
    assert drained(beat.app)[0].bound == begun + 1200 * SECOND


def test_a_message_of_a_frequent_entry_expires_with_a_lease(lead, frozen):
    beat = lead({"report": every(1)})
    frozen.tick(SECOND)
    beat.work()
    assert drained(beat.app)[0].bound == now() + 6 * SECOND


def test_retries_do_not_expire_since_they_would_inherit_celerys_own_expiry(lead, frozen):
    beat = lead({"report": every(600)})
    frozen.tick(605 * SECOND)
    beat.work()
    assert drained(beat.app)[0].expires is None


@pytest.mark.parametrize("late", [0, 100, 240])
@pytest.mark.parametrize("how", ["countdown", "eta"])
def test_an_expiry_is_counted_from_the_time_before_which_it_is_not_to_run(lead, frozen, how, late):
    app, begun = make_app({"report": every(300)}), now()
    delay = 200 if how == "countdown" else begun + (300 + late + 200) * SECOND
    app.conf.beat_schedule["report"]["options"] = {how: delay}
    beat = lead(app=app)
    frozen.tick((300 + late) * SECOND)
    beat.work()
    (sent,) = drained(app)
    assert sent.bound == begun + (600 + 200) * SECOND
    assert datetime.fromisoformat(sent.headers["eta"]) < sent.bound


def test_a_time_without_a_zone_is_in_utc_as_workers_take_it(lead, frozen):
    app, begun = make_app({"report": every(300)}, timezone="America/New_York"), now()
    app.conf.beat_schedule["report"]["options"] = {"eta": (begun + 20 * MINUTE).replace(tzinfo=None)}
    beat = lead(app=app)
    frozen.tick(300 * SECOND)
    beat.work()
    assert drained(app)[0].bound == begun + 25 * MINUTE


def test_a_delay_that_only_the_task_knows_counts(lead, frozen):
    app = make_app({"report": every(60)})

    class Delayed(Task):
        def apply_async(self, *args, **options):
            return super().apply_async(*args, **options, countdown=90)

    @app.task(name="report", base=Delayed, shared=False)
    def report(): ...

    beat, begun = lead(app=app), now()
    frozen.tick(MINUTE)
    beat.work()
    assert drained(app)[0].bound == begun + 2 * MINUTE + 90 * SECOND


@pytest.mark.parametrize("own", [3600, None])
def test_an_expiry_of_the_entrys_own_wins(lead, frozen, own):
    beat = lead({"report": every(1, options={"expires": own})})
    frozen.tick(SECOND)
    beat.work()
    (sent,) = drained(beat.app)
    assert (sent.expires, sent.bound) == (own and now() + HOUR, None)


def test_an_expiry_of_the_task_wins(lead, frozen):
    app = make_app({"report": every(1)})

    @app.task(name="report", expires=7200, shared=False)
    def report(): ...

    beat = lead(app=app)
    frozen.tick(SECOND)
    beat.work()
    (sent,) = drained(app)
    assert (sent.expires, sent.bound) == (now() + 2 * HOUR, None)


def test_runs_are_counted_in_the_ledger(lead, space, frozen):
    beat = lead({"report": every(10)})
    for _ in range(3):
        frozen.tick(10 * SECOND)
        beat.work()
    until(lambda: space.mark_of("report").runs == 3)
    assert beat.entry("report").total_run_count == 3


def test_what_was_sent_is_done(lead, space, frozen):
    beat = lead({"report": every(10)})
    frozen.tick(10 * SECOND)
    beat.work()
    until(lambda: space.mark_of("report").state == "d")


def test_the_entries_of_a_heap_that_changes_are_kept(lead, frozen):
    beat, begun = lead({"report": every(10)}), now()
    frozen.tick(9 * SECOND)
    beat.work()
    beat.scheduler.add(name="late", task="late", schedule=timedelta(seconds=5))
    beat.work()
    frozen.tick(SECOND)
    beat.work()
    assert fires(beat.app) == [begun + 10 * SECOND]
    frozen.tick(4 * SECOND)
    beat.work()
    assert fires(beat.app, "late") == [begun + 14 * SECOND]


class Broken(schedule):
    def is_due(self, last_run_at):
        raise ValueError("no such time")


@pytest.mark.skipif(VERSION < (5, 7), reason="it stops beat itself")
def test_an_entry_that_cannot_tell_when_it_is_due_stops_no_other(lead, frozen):
    beat, begun = lead({"broken": every(Broken(SECOND)), "report": every(10)}), now()
    frozen.tick(10 * SECOND)
    beat.work()
    assert fires(beat.app) == [begun + 10 * SECOND]


class Eager(BaseSchedule):
    """Says only whether it is due."""

    def is_due(self, last_run_at):
        return now() - last_run_at >= 10 * SECOND, 10


def test_a_schedule_that_names_no_times_is_sent_for_the_time_at_which_it_was_found_due(lead, frozen):
    beat, begun = lead({"eager": every(Eager())}, conf={"beat_scheduler": Scheduler}), now()
    frozen.tick(12 * SECOND)
    beat.work()
    assert fires(beat.app) == [begun + 12 * SECOND]


class Insistent(Scheduler):
    """Has a look of its own at what is due."""

    def tick(self):
        self.apply_async(self.schedule["report"])
        return 1


def test_a_scheduler_that_finds_entries_due_by_itself_claims_them_for_now(lead, frozen, space):
    beat = lead({"report": every(1000)}, conf={"beat_scheduler": Insistent})
    frozen.tick(SECOND)
    beat.look()
    beat.look()  # for the same instant
    assert fires(beat.app) == [now() - SECOND, now()]
