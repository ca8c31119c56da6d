"""A leadership: started, waited for, followed and stepped down from."""

import asyncio
import threading

import pytest

from singleton_jobs import AccessDenied, ConfigError, SingletonJobsError, StoreError, current_term
from singleton_jobs.events import TermEnded, TermStarted
from unit.stage import LIMIT, Heard, in_thread, seen_by, until


@pytest.fixture
def leadership(replica):
    return replica.leadership("nightly")


def test_it_is_inert_until_started(leadership, space):
    assert (leadership.is_leader, leadership.term, leadership.holder) == (False, None, None)
    assert space.requests == 0


def test_prepared_it_has_a_candidacy_and_competes_for_nothing(leadership, space):
    candidacy = leadership._part.prepare()
    assert leadership._part.candidacy is candidacy
    assert leadership._part.prepare() is candidacy
    assert not candidacy.started
    assert space.requests == 0
    leadership.start()
    assert leadership.wait(timeout=LIMIT)
    assert leadership._part.candidacy is candidacy


def test_nothing_is_prepared_once_the_replica_is_closed(leadership, replica):
    replica.close()
    with pytest.raises(SingletonJobsError, match="closed"):
        leadership._part.prepare()


def test_without_a_store_nothing_is_prepared(make_replica, monkeypatch):
    monkeypatch.setenv("SINGLETON_JOBS_STORE", "nothing:")
    with pytest.raises(ConfigError):
        make_replica(store=None).leadership("nightly")._part.prepare()


def test_started_and_waited_for_it_leads(leadership):
    leadership.start()
    assert leadership.wait(timeout=LIMIT)
    assert leadership.is_leader
    assert leadership.holder == leadership.term.identity


def test_waiting_starts_it(leadership):
    assert leadership.wait(timeout=LIMIT)


def test_waiting_ends_at_its_limit(leadership, space):
    space.put("nightly", "other_1")
    assert not leadership.wait(timeout=0.1)
    assert leadership.holder == "other_1"


def test_waiting_raises_denied_access_at_once(leadership, space):
    space.fault = "denied"
    with pytest.raises(AccessDenied):
        leadership.wait()


def test_waiting_raises_at_its_limit_if_the_store_does_not_answer(leadership, space):
    space.fault = "down"
    with pytest.raises(StoreError):
        leadership.wait(timeout=0.1)


def test_coroutines_wait_too(leadership):
    assert asyncio.run(leadership.wait_async(timeout=LIMIT))


def test_starting_twice_is_starting_once(leadership):
    leadership.wait(timeout=LIMIT)
    term = leadership.term
    leadership.start()
    assert leadership.term is term


def test_closing_frees_the_lease(leadership, space):
    leadership.wait(timeout=LIMIT)
    leadership.close()
    assert not leadership.is_leader
    assert space.holder("nightly") == ""


def test_closing_what_never_started_does_nothing(leadership, space):
    leadership.close()
    assert space.requests == 0


def test_a_closed_leadership_may_start_again(leadership):
    leadership.wait(timeout=LIMIT)
    leadership.close()
    assert leadership.wait(timeout=LIMIT)


def test_a_closed_replica_starts_nothing(replica, leadership):
    replica.close()
    with pytest.raises(SingletonJobsError, match="closed"):
        leadership.start()


def test_stepping_down_lets_another_lead(make_replica):
    first, second = make_replica().leadership("nightly"), make_replica().leadership("nightly")
    first.wait(timeout=LIMIT)
    second.start()
    first.step_down()
    assert second.wait(timeout=LIMIT)
    assert not first.is_leader


def test_a_lone_replica_that_stepped_down_leads_again(leadership):
    leadership.wait(timeout=LIMIT)
    first = leadership.term
    leadership.step_down()
    assert leadership.wait(timeout=LIMIT)
    assert leadership.term.fencing_token > first.fencing_token


def test_stepping_down_waits_for_the_running_work(replica, leadership):
    started, go_on, valid_at_end = [], [], []

    @replica.leader_only(lease="nightly")
    def work():
        started.append(1)
        until(lambda: go_on)
        valid_at_end.append(current_term().is_valid)

    working = in_thread(work)
    until(lambda: started)
    leaving = in_thread(leadership.step_down)
    until(lambda: leadership._part.candidacy.work.draining)
    assert work().reason == "draining"
    go_on.append(1)
    working()
    leaving()
    assert valid_at_end == [True]


def test_stepping_down_inside_the_work_happens_at_its_end(replica, space):
    @replica.leader_only(lease="nightly")
    def work():
        work.leadership.step_down()
        return current_term().is_valid

    assert work()
    seen_by(work.leadership._part.candidacy, lambda: space.holder("nightly") == "")


def test_subscribers_hear_of_gains_and_losses_in_order(leadership):
    heard = Heard()
    leadership.subscribe(heard)
    leadership.wait(timeout=LIMIT)
    leadership.close()
    heard.wait_for(TermEnded)
    assert [type(event) for event in heard.events[:2]] == [TermStarted, TermEnded]
    assert not heard.events[1].lost


def test_a_subscription_can_be_taken_back_twice(leadership):
    heard, witness = Heard(), Heard()
    unsubscribe = leadership.subscribe(heard)
    leadership.subscribe(witness)
    unsubscribe()
    unsubscribe()
    leadership.wait(timeout=LIMIT)
    witness.wait_for(TermStarted)
    assert heard.events == []


def test_a_callback_that_raises_disturbs_nobody(leadership, caplog):
    def fails(event):
        raise RuntimeError("mine")

    heard = Heard()
    leadership.subscribe(fails)
    leadership.subscribe(heard)
    leadership.wait(timeout=LIMIT)
    heard.wait_for(TermStarted)
    assert "a callback failed" in caplog.text


def test_a_callback_may_use_the_leadership(leadership):
    stepped = []

    def callback(event):
        if isinstance(event, TermStarted) and not stepped:
            stepped.append(1)
            leadership.step_down()

    heard = Heard()
    leadership.subscribe(callback)
    leadership.subscribe(heard)
    leadership.wait(timeout=LIMIT)
    heard.wait_for(TermEnded, lost=False)


def test_a_callback_that_takes_long_holds_up_no_renewal(leadership):
    go_on = threading.Event()
    leadership.subscribe(lambda event: go_on.wait(2 * LIMIT))
    try:
        assert leadership.wait(timeout=LIMIT)
        candidacy = leadership._part.candidacy
        until_ = candidacy.held_until
        until(lambda: candidacy.held_until > until_)
    finally:
        go_on.set()


def test_it_shows_whether_it_leads(leadership):
    assert repr(leadership) == "<Leadership of 'nightly'>"
    leadership.wait(timeout=LIMIT)
    assert "leading" in repr(leadership)


def test_waiting_begins_once(leadership, monkeypatch):
    leadership.start()
    stays, stay = [], leadership._part.candidacy.work.stay
    monkeypatch.setattr(leadership._part.candidacy.work, "stay", lambda: stays.append(stay()))
    assert leadership.wait(timeout=LIMIT)
    assert len(stays) == 1
