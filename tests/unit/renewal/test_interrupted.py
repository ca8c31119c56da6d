"""Fires that were claimed and never reported done: the next leader tells of them, once."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from singleton_jobs import LeadershipLost
from singleton_jobs.events import FireInterrupted
from singleton_jobs.decisions.ledger import Claim, Mark, read_ledger
from singleton_jobs.locks.record import LEDGER_ANNOTATION
from singleton_jobs.concurrency.synchronization import run_blocking
from unit.claimants import claim, does, leader_of
from unit.harness import DEADLINE, PERIOD, acknowledged, follower, leader, moment, reads, stored, waits, writes
from unit.stage import LIMIT, QUICK, ClaimedSpace, seen_by

NOW = datetime.now(UTC)


def claimed(job="aps:a", nonce="x", state="c"):
    return json.dumps({"v": 1, "jobs": {job: [moment(-5.0).isoformat(), nonce, state]}})


def leads_again(made, now, version):
    """The hold has expired; nobody else has led since."""
    made.expire(now)
    reads(made, now)
    made.saw(made.seen, now)
    made.wrote(acknowledged(writes(made, now), version), sent_at=now, now=now)
    assert made.hold


# At the desk


def test_a_fire_that_was_claimed_and_is_not_done_is_interrupted():
    made = leader_of(claimed())
    assert made.claims.interrupted == {"aps:a": Mark(moment(-5.0), "x", "c")}


@pytest.mark.parametrize("text", [None, "{", claimed(state="d"), claimed(job="app:a")])
def test_a_fire_that_is_done_or_whose_end_nobody_tells_is_not(text):
    assert leader_of(text).claims.interrupted == {}


def test_the_next_write_tells_the_ledger_and_none_is_sent_for_that_alone():
    made = leader_of(claimed())
    assert waits(made, 0.5) == PERIOD
    assert read_ledger(does(made, PERIOD, 3).ledger) == {"aps:a": Mark(moment(-5.0), "x", "d")}
    assert writes(made, 2 * PERIOD).ledger is None


def test_one_that_is_told_already_is_not_told_again_before_the_ledger_knows():
    made = leader_of(claimed())
    made.claims.interrupted = {}
    leads_again(made, DEADLINE, 3)
    assert made.claims.interrupted == {}


def test_a_run_of_an_earlier_term_of_ours_may_still_be_under_way():
    made = leader()
    claim(made, job="aps:a")
    does(made, 0.5, 2)
    leads_again(made, 0.5 + DEADLINE, 3)
    assert made.claims.interrupted == {}


def test_a_run_of_ours_that_has_ended_is_not_interrupted_though_the_ledger_does_not_know_yet():
    made = leader()
    claim(made, job="aps:a")
    does(made, 0.5, 2)
    made.claims.done("aps:a", "n")
    leads_again(made, 0.5 + DEADLINE, 3)
    assert made.claims.interrupted == {}
    assert read_ledger(writes(made, waits(made, 0.5 + DEADLINE)).ledger)["aps:a"].state == "d"


def test_a_claim_of_ours_that_landed_and_was_given_up_is_interrupted():
    made = leader()
    one = claim(made, job="aps:a")
    does(made, 0.5, 2)
    made.claims.give_up(one)
    leads_again(made, 0.5 + DEADLINE, 3)
    assert set(made.claims.interrupted) == {"aps:a"}


def test_a_claim_of_ours_that_is_given_up_only_under_the_next_term_is_interrupted_too():
    made = leader()
    one = claim(made, job="aps:a")
    does(made, 0.5, 2)
    leads_again(made, 0.5 + DEADLINE, 3)
    made.claims.give_up(one)
    assert set(made.claims.interrupted) == {"aps:a"}


def test_what_is_given_up_without_a_term_waits_for_the_next():
    made = leader()
    one = claim(made, job="aps:a")
    does(made, 0.5, 2)
    made.expire(0.5 + DEADLINE)
    made.claims.give_up(one)
    assert made.claims.interrupted == {}


def test_one_nonce_belongs_to_one_job():
    made = leader()
    claim(made, job="aps:b", nonce="x")
    does(made, 0.5, 2)
    made.expire(0.5 + DEADLINE)
    made.saw(stored("", version=5, ledger=claimed(nonce="x")), 0.5 + DEADLINE)
    made.wrote(acknowledged(writes(made, 0.5 + DEADLINE), 6), sent_at=0.5 + DEADLINE, now=0.5 + DEADLINE)
    assert set(made.claims.interrupted) == {"aps:a"}


def test_a_refused_claim_is_nothing_that_runs():
    made = leader_of(claimed(state="d"))
    claim(made, job="aps:a", fire=-5.0)
    waits(made, 0.5)
    assert made.claims._running == set()


def test_runs_that_end_between_two_writes_are_all_told():
    made = leader()
    for n, job in enumerate(("aps:a", "aps:b")):
        claim(made, job=job, nonce=job)
        does(made, 0.5 + n, 2 + n)
        made.claims.done(job, job)
    made.claims.done("aps:b", "an earlier run")
    states = [mark.state for mark in read_ledger(writes(made, waits(made, 1.5)).ledger).values()]
    assert states == ["d", "d"]


def test_a_follower_tells_of_nothing():
    assert follower(stored(ledger=claimed())).claims.interrupted == {}


# Over a store


@pytest.fixture
def space():
    return ClaimedSpace()


@pytest.fixture
def lead(make_replica, heard):
    def lead():
        leadership = make_replica().leadership("nightly")
        leadership.subscribe(heard)
        assert leadership.wait(timeout=LIMIT)
        return leadership

    return lead


@pytest.fixture
def leading(lead):
    return lead()


def ask(leadership, job="aps:a", fire=NOW):
    one = Claim(job, fire, leadership._part.core.nonce())
    term = leadership.term
    leadership._part.candidacy.fires.ask(term, one)
    return one, term


def decided(leadership, one, term):
    return run_blocking(leadership._part.candidacy.fires.decision(term, one, block=True))


def state(space, job="aps:a"):
    return read_ledger(json.loads(space.leases["nightly"][2])["metadata"]["annotations"][LEDGER_ANNOTATION])[job].state


def interrupted(heard):
    return [event for event in heard.events if isinstance(event, FireInterrupted)]


def test_the_next_leader_tells_of_it_once(lead, heard, space, clock):
    first = lead()
    assert decided(first, *ask(first))
    first.close()
    second = lead()
    event = heard.wait_for(FireInterrupted)
    assert event == FireInterrupted("nightly", second._part.core.wiring().identity, "aps:a", NOW)
    second.close()
    assert state(space) == "d"
    lead()
    assert interrupted(heard) == [event]


def test_a_run_that_was_reported_done_is_not_interrupted(lead, heard, space):
    first = lead()
    one, term = ask(first)
    assert decided(first, one, term)
    first._part.candidacy.fires.done("aps:a", one.nonce)
    first.close()
    assert state(space) == "d"
    lead()
    assert not interrupted(heard)


def test_a_scheduler_tells_of_a_fire_that_it_does_not_run(lead, heard, space):
    leadership = lead()
    one, term = ask(leadership)
    assert decided(leadership, one, term)
    local = NOW.astimezone(timezone(timedelta(hours=2)))
    leadership._part.candidacy.fires.interrupted(Claim("aps:a", local, one.nonce))
    told = heard.wait_for(FireInterrupted)
    assert (told.time, told.time.tzinfo) == (NOW, UTC)
    leadership.close()
    assert state(space) == "d"
    lead()
    assert len(interrupted(heard)) == 1


def test_a_claim_granted_after_its_term_may_be_run_by_a_scheduler_under_the_next(leading, heard, clock):
    one, term = ask(leading)
    seen_by(leading._part.candidacy, lambda: one.outcome == "granted")
    clock.push(QUICK.renew_deadline)
    with pytest.raises(LeadershipLost):
        decided(leading, one, term)
    assert leading.wait(timeout=LIMIT)
    assert leading._part.candidacy.fires.mark("aps:a") == Mark(NOW, one.nonce, "c")
    assert not interrupted(heard)


def test_of_who_claims_and_waits_in_one_a_late_grant_is_told_by_the_next_term(leading, heard, clock, space):
    one, term = Claim("fn:a", NOW, "n"), leading.term
    space.landing = lambda: clock.push(QUICK.renew_deadline)
    with pytest.raises(LeadershipLost):
        run_blocking(leading._part.candidacy.fires.claim(term, one, block=True))
    assert leading.wait(timeout=LIMIT)
    assert heard.wait_for(FireInterrupted).job == "fn:a"
