"""Claims that are asked in one go and awaited later, and the marks that a scheduler goes by; over a store."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from singleton_jobs import LeadershipLost
from singleton_jobs.decisions.ledger import Claim, Mark, read_ledger
from singleton_jobs.locks.record import LEDGER_ANNOTATION
from singleton_jobs.concurrency.synchronization import run_blocking
from unit.stage import LIMIT, QUICK, Space, SpaceLock, seen_by, until

NOW = datetime.now(UTC)
SECOND = timedelta(seconds=1)


class NotedSpace(Space):
    """Notes every ledger that was written."""

    def __init__(self):
        super().__init__()
        self.ledgers = []

    def lock(self, lease, identity):
        return NotedLock(lease, identity, space=self)


class NotedLock(SpaceLock):
    async def update(self, record, replaces, *, ledger=None):
        stored = await super().update(record, replaces, ledger=ledger)
        if ledger is not None:
            self._space.ledgers.append(read_ledger(ledger))
        return stored


@pytest.fixture
def space():
    return NotedSpace()


@pytest.fixture
def leading(replica):
    leadership = replica.leadership("nightly")
    assert leadership.wait(timeout=LIMIT)
    return leadership


def asked(leading, *wishes):
    """What awaits the decisions of claims of jobs and seconds, asked in one go."""
    claims = [Claim(job, NOW + second * SECOND, leading._part.core.nonce()) for job, second in wishes]
    candidacy, term = leading._part.candidacy, leading.term
    candidacy.fires.ask(term, *claims)
    return [lambda claim=claim: run_blocking(candidacy.fires.decision(term, claim, block=True)) for claim in claims]


def test_claims_that_are_asked_together_share_one_write(leading, space):
    decisions = asked(leading, ("aps:a", -2), ("aps:a", -1), ("aps:b", 0), ("aps:c", 0))
    assert [decide() for decide in decisions] == [True] * 4
    assert len(space.ledgers) == 1
    assert {job: mark.fire for job, mark in space.ledgers[0].items()} == {
        "aps:a": NOW - SECOND,
        "aps:b": NOW,
        "aps:c": NOW,
    }


def test_of_two_for_one_fire_the_one_asked_first_is_granted(leading):
    assert [decide() for decide in asked(leading, ("aps:a", 0), ("aps:a", 0))] == [True, False]


def test_a_decision_may_be_awaited_in_any_order_and_long_after(leading):
    first, second = asked(leading, ("aps:a", -1), ("aps:a", 0))
    seen_by(leading._part.candidacy, lambda: leading._part.candidacy.fires.mark("aps:a") is not None)
    assert second()
    assert first()


def test_coroutines_await_decisions_too(leading):
    claim = Claim("aps:a", NOW, "n")
    leading._part.candidacy.fires.ask(leading.term, claim)
    assert asyncio.run(leading._part.candidacy.fires.decision(leading.term, claim, block=False))


def test_nothing_is_asked_under_a_term_that_has_ended(leading, clock):
    term = leading.term
    clock.push(QUICK.renew_deadline)
    with pytest.raises(LeadershipLost):
        leading._part.candidacy.fires.ask(term, Claim("aps:a", NOW, "n"))


def test_a_claim_undecided_at_the_end_of_the_term_is_lost_and_sent_no_more(leading, space, clock):
    space.fault = "down"
    (decide,) = asked(leading, ("aps:a", 0))
    clock.push(QUICK.renew_deadline)
    with pytest.raises(LeadershipLost):
        decide()
    space.fault = None
    assert leading.wait(timeout=LIMIT)
    before = space.requests
    until(lambda: space.requests >= before + 2)
    assert space.ledgers == []


def test_a_grant_is_no_right_to_run_once_the_term_has_ended(leading, clock):
    candidacy, term = leading._part.candidacy, leading.term
    claim = Claim("aps:a", NOW, "n")
    candidacy.fires.ask(term, claim)
    seen_by(candidacy, lambda: claim.outcome == "granted")
    clock.push(QUICK.renew_deadline)
    with pytest.raises(LeadershipLost):
        run_blocking(candidacy.fires.decision(term, claim, block=True))


def test_a_refusal_is_told_after_the_term_too(leading, clock):
    candidacy, term = leading._part.candidacy, leading.term
    (decide,) = asked(leading, ("aps:a", 0))
    assert decide()
    late = Claim("aps:a", NOW - SECOND, "n")
    candidacy.fires.ask(term, late)
    seen_by(candidacy, lambda: late.outcome == "refused")
    clock.push(QUICK.renew_deadline)
    assert not run_blocking(candidacy.fires.decision(term, late, block=True))


def test_who_pretends_to_lead_grants_at_once(make_replica):
    always = make_replica(mode="always").leadership("nightly")
    always.start()
    (decide,) = asked(always, ("aps:a", 0))
    assert decide()


# Marks


def test_marks_are_what_was_claimed_and_what_is_about_to_be_introduced(leading):
    candidacy = leading._part.candidacy
    assert candidacy.fires.marks() == {}
    assert leading.claim("report", NOW)
    candidacy.fires.introduce({"aps:new": NOW - SECOND, "app:report": NOW - SECOND})
    marks = candidacy.fires.marks()
    assert (marks["app:report"].fire, marks["aps:new"]) == (NOW, Mark(NOW - SECOND, "", "d"))
    assert candidacy.fires.mark("aps:new") == marks["aps:new"]
    assert candidacy.fires.mark("aps:other") is None


def test_what_was_introduced_is_stored_and_seen_by_the_next_leader(leading, make_replica, space):
    leading._part.candidacy.fires.introduce({"aps:new": NOW})
    until(lambda: space.ledgers)
    leading.close()
    other = make_replica().leadership("nightly")
    assert other.wait(timeout=LIMIT)
    assert other._part.candidacy.fires.marks() == {"aps:new": Mark(NOW, "", "d")}


def test_of_an_unreadable_ledger_no_marks_are_known(leading, space):
    with space.mutex:
        uid, _, body, at = space.leases["nightly"]
        whole = json.loads(body)
        whole["metadata"].setdefault("annotations", {})[LEDGER_ANNOTATION] = "{"
        space.leases["nightly"] = (uid, space.next_version(), json.dumps(whole), at)
    seen_by(leading._part.candidacy, lambda: leading._part.candidacy.candidate.seen.ledger == "{")
    assert leading._part.candidacy.fires.marks() == {}
