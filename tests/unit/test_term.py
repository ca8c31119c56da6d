"""A term: valid when the clock says so, and told when it is lost."""

import math
import pickle
import threading

import pytest

from singleton_jobs import LeadershipLost, LeaseExpired, Term
from singleton_jobs.decisions.hold import Hold
from singleton_jobs.concurrency.clock import Clock
from unit.harness import moment


class Owner:
    def __init__(self):
        self.expired = 0

    def expire(self):
        self.expired += 1

    def exit(self):
        pass


class Stage:
    def __init__(self):
        self.now = 0.0
        self.hold = Hold(until=10.0, token=41, uid="uid-1", acquire_time=moment(0), transitions=3)
        self.owner = Owner()
        self.term = Term("nightly", "me_1", self.hold, lambda: self.now, self.owner)


@pytest.fixture
def stage():
    return Stage()


def test_a_term_tells_what_it_is(stage):
    term = stage.term
    assert (term.lease, term.identity, term.fencing_token, term.uid) == ("nightly", "me_1", 41, "uid-1")
    assert term.acquired_at == moment(0)
    assert repr(term) == "<Term 41 of 'nightly' held by 'me_1'>"


def test_a_term_is_valid_before_its_deadline(stage):
    stage.now = math.nextafter(10.0, 0)
    assert stage.term.is_valid
    stage.term.check()


@pytest.mark.parametrize("now", [10.0, 10.001, 1e9])
def test_a_term_is_invalid_from_its_deadline_on(stage, now):
    stage.now = now
    assert not stage.term.is_valid
    with pytest.raises(LeadershipLost, match="nightly"):
        stage.term.check()


def test_a_passing_check_tells_nobody(stage):
    stage.term.check()
    assert stage.term.is_valid
    assert stage.owner.expired == 0


def test_a_failing_check_has_the_loss_latched(stage):
    stage.now = 10.0
    assert not stage.term.is_valid
    assert stage.owner.expired == 1


def test_remaining_counts_down_to_zero(stage):
    stage.now = 4.0
    assert stage.term.remaining == 6.0
    stage.now = 11.0
    assert stage.term.remaining == 0.0


def test_a_renewal_is_seen_at_once(stage):
    stage.hold.until = 20.0
    stage.now = 15.0
    assert stage.term.is_valid


def test_a_lost_term_calls_back_once(stage):
    calls = []
    stage.term._call_when_lost(lambda: calls.append(1))
    stage.term._lose()
    assert calls == [1]
    assert stage.term.lost.is_set()


def test_who_comes_late_is_called_at_once(stage):
    calls = []
    stage.term._lose()
    stage.term._call_when_lost(lambda: calls.append(1))
    assert calls == [1]


def test_a_callback_can_be_taken_back(stage):
    calls = []
    stage.term._call_when_lost(lambda: calls.append(1))()
    stage.term._lose()
    assert calls == []


@pytest.fixture
def copy(stage, monkeypatch):
    """What another process of this machine gets, at the second that the stage's clock shows."""
    monkeypatch.setattr("singleton_jobs.term.SYSTEM_CLOCK", Clock(now=lambda: stage.now, wall=lambda: 0.0))
    return lambda: pickle.loads(pickle.dumps(stage.term))


def test_a_copy_tells_what_the_term_is(stage, copy):
    for name in ("lease", "identity", "fencing_token", "uid", "acquired_at"):
        assert getattr(copy(), name) == getattr(stage.term, name)


def test_a_copy_is_valid_until_the_hold_would_end_unrenewed(stage, copy):
    made = copy()
    stage.hold.until = 20.0
    stage.now = math.nextafter(10.0, 0)
    made.check()
    assert made.remaining == pytest.approx(0.0)
    stage.now = 10.0
    assert not made.is_valid
    assert made.remaining == 0.0
    with pytest.raises(LeadershipLost, match="a copy, which no renewal reaches"):
        made.check()
    stage.term.check()
    assert stage.owner.expired == 0


def test_a_copy_of_an_ended_term_is_not_valid(stage, copy):
    stage.now = 10.0
    assert not copy().is_valid


def test_a_copy_of_a_copy_is_valid_no_longer(stage, copy):
    made = pickle.loads(pickle.dumps(copy()))
    assert made.is_valid
    stage.now = 10.0
    assert not made.is_valid
    assert not pickle.loads(pickle.dumps(made)).is_valid


def test_lost_is_a_threading_event(stage):
    assert isinstance(stage.term.lost, threading.Event)


def test_an_expired_lease_is_a_lost_leadership():
    assert issubclass(LeaseExpired, LeadershipLost)
