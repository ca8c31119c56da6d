"""A beat's life: it competes from its first tick on, and gives the lease up when it ends or gets nowhere."""

import os
import signal

import pytest

from billiard import process
from celery.beat import Scheduler, SchedulingError
from kombu.exceptions import OperationalError
from singleton_jobs import NotLeader
from singleton_jobs.events import FireInterrupted, TermEnded
from singleton_jobs.leading.core import core_of
from singleton_jobs.replica import replica_on
from singleton_jobs_celery.membership import BeatMembership
from unit.celery.beat.site import LEASE, SECOND, drained, every, fires, now
from unit.stage import PUSHED, until


@pytest.fixture
def due(make_due):
    return make_due()


def test_a_beat_competes_from_its_first_tick_on(make, space):
    beat = make({"report": every(10)})
    assert beat.candidacy is None
    assert space.requests == 0
    beat.look()
    assert beat.candidacy.started


def test_a_follower_sends_nothing(make, space, frozen):
    space.put(LEASE, "pod-of-another")
    beat = make({"report": every(1)})
    beat.look()
    frozen.tick(10 * SECOND)
    assert beat.look() == 0
    assert drained(beat.app) == []


def test_a_follower_waits_for_one_retry_period_in_its_tick(make, space, monkeypatch):
    space.put(LEASE, "pod-of-another")
    beat = make({"report": every(1)}, retry_period=0.05)
    waited = []
    beat.look()
    original = beat.candidacy.changed.wait

    def wait(is_so, until, *, block):
        waited.append(until - beat.candidacy.clock.now())
        return original(is_so, until, block=block)

    monkeypatch.setattr(beat.candidacy.changed, "wait", wait)
    beat.look()
    assert waited == [pytest.approx(0.05, abs=0.02)]


def test_a_closed_beat_has_released_its_lease(lead, space):
    beat = lead({"report": every(10)})
    beat.scheduler.close()
    assert space.holder(LEASE) == ""


def test_closing_twice_is_quiet(lead, caplog):
    beat = lead({"report": every(10)})
    beat.scheduler.close()
    beat.scheduler.close()
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")]


class Counting(Scheduler):
    """Counts how often it is closed."""

    closed = 0

    def close(self):
        self.closed += 1
        super().close()


def test_closing_twice_closes_the_scheduler_once(lead):
    beat = lead({"report": every(10)}, conf={"beat_scheduler": Counting})
    beat.scheduler.close()
    beat.scheduler.close()
    assert beat.scheduler.closed == 1


def test_a_closed_beat_sends_nothing(due):
    due.scheduler.close()
    assert due.look() == pytest.approx(0.2)
    assert drained(due.app) == []


def test_closing_in_the_midst_of_a_message_lets_it_be_sent_first(publishing, space):
    beat = publishing(lambda: beat.scheduler.close())
    beat.look()
    assert len(drained(beat.app)) == 1
    assert space.holder(LEASE) == ""
    assert space.mark_of("report").state == "d"


def test_an_exit_in_the_midst_of_a_message_closes_once_and_tells_of_the_fire(publishing, space, heard):
    def leave():
        beat.scheduler.close()
        raise SystemExit

    beat = publishing(leave)
    with pytest.raises(SystemExit):
        beat.look()
    beat.scheduler.close()
    assert space.holder(LEASE) == ""
    heard.wait_for(FireInterrupted, job="celery:report")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_midst_of_a_message_waits_until_all_that_is_claimed_was_sent(publishing, number):
    def handler(number, frame):
        beat.scheduler.close()
        raise SystemExit

    previous = signal.signal(number, handler)
    try:
        beat = publishing(lambda: os.kill(os.getpid(), number))
        with pytest.raises(SystemExit):
            beat.look()
    finally:
        signal.signal(number, previous)
    assert len(drained(beat.app)) == 1


def test_a_second_signal_is_not_kept_waiting(publishing):
    def handler(number, frame):
        raise SystemExit

    def insist():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)

    previous = signal.signal(signal.SIGTERM, handler)
    try:
        beat = publishing(insist)
        with pytest.raises(SystemExit):
            beat.look()
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert drained(beat.app) == []


def test_a_leader_that_cannot_reach_the_broker_lets_another_lead(publishing, heard):
    def refuse():
        raise OperationalError("no route to the broker")

    beat = publishing(refuse)
    beat.look()
    assert not beat.leadership.is_leader
    heard.wait_for(FireInterrupted, job="celery:report")
    heard.wait_for(TermEnded, lost=False)
    assert "producer" not in vars(beat.scheduler)


def test_what_was_claimed_beside_it_is_sent_once_the_broker_is_back(lead, space, frozen, monkeypatch):
    beat = lead({"report": every(10), "other": every(10, task="other")})
    until(lambda: space.mark_of("report"))
    frozen.tick(10 * SECOND)
    due = now()

    def refuse(*arguments, **options):
        monkeypatch.undo()
        raise OperationalError("no route to the broker")

    monkeypatch.setattr(beat.scheduler, "send_task", refuse)
    beat.look()
    until(lambda: beat.look() is not None and beat.leadership.is_leader)
    beat.work()
    assert fires(beat.app) == [due]


def test_a_message_that_cannot_be_made_costs_no_leadership(publishing, heard):
    def refuse():
        raise TypeError("not serializable")

    beat = publishing(refuse)
    beat.look()
    assert beat.leadership.is_leader
    heard.wait_for(FireInterrupted, job="celery:report")


def test_a_leader_whose_ticks_stall_gives_the_lease_up_and_does_not_compete(due, heard):
    try:
        for _ in range(8):  # the renewals go on, and the ticks do not
            PUSHED.push(1)
            due.candidacy.wake()
            until(lambda: due.candidacy.contacted_at > PUSHED.clock.now() - 0.5 or due.candidacy.unfit)
        until(lambda: not due.leadership.is_leader)
        assert due.candidacy.unfit
        due.look()
        until(lambda: not due.candidacy.unfit)
        until(lambda: due.look() is not None and due.leadership.is_leader)
    finally:
        PUSHED.pushed = 0


@pytest.fixture
def claimed(due, monkeypatch):
    """`claimed(do)`: `do` happens between the claim of what is due and its message."""

    def claimed(do):
        original = due.candidacy.fires.decision

        async def decision(*arguments, **options):
            granted = await original(*arguments, **options)
            do()
            return granted

        monkeypatch.setattr(due.candidacy.fires, "decision", decision)
        return due

    return claimed


def test_a_clock_that_steps_back_between_claim_and_message_delays_it(claimed, frozen):
    beat, due = claimed(lambda: frozen.tick(-5 * SECOND)), now()
    beat.look()
    assert drained(beat.app) == []
    frozen.tick(6 * SECOND)
    beat.work()
    assert fires(beat.app) == [due]


def test_an_entry_that_is_removed_between_claim_and_message_is_done_with(claimed, space, heard):
    beat = claimed(lambda: beat.scheduler.schedule.pop("report"))
    beat.look()
    assert drained(beat.app) == []
    until(lambda: space.mark_of("report").state == "d")
    beat.scheduler.close()
    assert not [event for event in heard.events if isinstance(event, FireInterrupted)]


def test_a_term_that_ends_before_a_message_is_sent_sends_none(due, monkeypatch):
    original = due.scheduler.reserve

    def reserve(entry):
        following = original(entry)
        due.candidacy.abandon("a stall")
        return following

    monkeypatch.setattr(due.scheduler, "reserve", reserve)
    due.look()
    assert drained(due.app) == []


def test_a_store_that_is_away_stops_the_dispatch_until_it_is_back(due, space, frozen):
    space.fault = "down"
    try:
        PUSHED.push(5)
        assert due.look() == 0
        frozen.tick(10 * SECOND)
        due.look()
        assert drained(due.app) == []
        space.fault = None
        until(lambda: due.look() is not None and due.leadership.is_leader)
        due.work()
        assert fires(due.app)[-1] == now()
    finally:
        PUSHED.pushed = 0


def test_a_beat_whose_worker_is_gone_ends(lead, monkeypatch):
    beat = lead({"report": every(10)})
    monkeypatch.setattr(process.current_process(), "_parent_pid", os.getppid())
    beat.look()
    monkeypatch.setattr(process.current_process(), "_parent_pid", os.getpid())
    with pytest.raises(SystemExit):
        beat.look()


def test_reserving_outside_of_a_leaders_tick_is_refused(make):
    beat = make({"report": every(10)})
    with pytest.raises(NotLeader, match="celery-beat"):
        beat.scheduler.reserve(beat.entry("report"))


def test_a_task_may_be_sent_by_hand_without_a_fire(lead, space):
    beat = lead({"report": every(10)})
    beat.scheduler.apply_async(beat.entry("report"), advance=False)
    (sent,) = drained(beat.app)
    assert sent.fire is None


def test_mode_always_is_beat_as_ever(make, space, frozen, monkeypatch):
    monkeypatch.setenv("SINGLETON_JOBS_MODE", "always")
    beat = make({"report": every(10)})
    frozen.tick(10 * SECOND)
    beat.look()
    assert len(drained(beat.app)) == 1
    assert space.requests == 0


def test_mode_never_sends_nothing(make, space, frozen, monkeypatch):
    monkeypatch.setenv("SINGLETON_JOBS_MODE", "never")
    beat = make({"report": every(10)})
    frozen.tick(10 * SECOND)
    assert beat.look() == pytest.approx(0.2)
    assert drained(beat.app) == []
    assert space.requests == 0


def test_an_error_of_a_message_is_beats_own(due, monkeypatch, caplog):
    def refuse(*arguments, **options):
        raise ValueError("no such thing")

    monkeypatch.setattr(due.scheduler, "send_task", refuse)
    due.look()
    assert any(SchedulingError.__name__ in record.exc_text for record in caplog.records if record.exc_text)


def test_beats_of_one_process_share_a_leadership_until_the_last_one_ends(default, space):
    leadership = replica_on(core_of(default).but(store=space)).leadership("shared")
    one, stuck = BeatMembership(leadership), BeatMembership(leadership)
    one.start()
    stuck.start()
    now = one.candidacy.clock.now()
    stuck.progressed_at = now - 3600
    assert not one.candidacy._is_fit(now)
    stuck.leave()
    assert one.candidacy._is_fit(now)
    one.leave()
    assert one.candidacy.work.ending
