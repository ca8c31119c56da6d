"""Claims at the desk: they ride in a holder's renewals, and are granted, refused or in doubt."""

import math
from dataclasses import replace

import pytest

from singleton_jobs.errors import Conflict, StoreError
from singleton_jobs.decisions.ledger import Mark, read_ledger
from unit.claimants import claim, does, leader_of, ledger
from unit.harness import (
    DEADLINE,
    ME,
    OTHER,
    PERIOD,
    acknowledged,
    follower,
    leader,
    moment,
    reads,
    stored,
    unknown,
    waits,
    writes,
)

REFUSED = StoreError("429", outcome="not done")


def test_a_claim_is_written_at_once_and_granted_by_its_answer():
    made = leader()
    one = claim(made, fire=0.0, now=0.5)
    write = does(made, 0.5, 2)
    assert read_ledger(write.ledger) == {"app:a": Mark(moment(0.0), "n")}
    assert one.outcome == "granted"


def test_a_claims_write_is_a_renewal_too():
    made = leader()
    claim(made, now=0.5)
    write = does(made, 0.5, 2)
    assert write.record.renew_time == moment(0.5)
    assert made.held_until == 0.5 + DEADLINE
    assert waits(made, 0.5) == PERIOD


def test_a_renewal_without_claims_leaves_the_ledger_alone():
    made = leader_of(ledger(a=-5.0))
    assert writes(made, PERIOD).ledger is None


@pytest.mark.parametrize("mark", [0.0, 7.0])
def test_a_fire_at_or_before_the_mark_is_refused_without_a_write(mark):
    made = leader_of(ledger(a=mark))
    one = claim(made, fire=0.0)
    assert waits(made, 0.5) == PERIOD
    assert one.outcome == "refused"


def test_a_fire_more_than_a_minute_ahead_is_refused_without_a_write():
    made = leader()
    ahead, further = claim(made, fire=60.5, now=0.5), claim(made, fire=60.6, now=0.5, job="app:b")
    does(made, 0.5, 2)
    assert (ahead.outcome, further.outcome) == ("granted", "refused")


def test_the_stores_time_counts_not_the_hosts():
    made = leader()
    made.saw(replace(made.seen, version=2, served_at=moment(3600.0)), 0.5)
    one = claim(made, fire=3600.0, now=0.5)
    does(made, 0.5, 3)
    assert one.outcome == "granted"


def test_claims_that_wait_together_share_one_write():
    made = leader_of(ledger(a=-5.0))
    batch = [claim(made, fire=fire, nonce=f"n{fire}") for fire in (-4.0, -3.0, -5.0, -3.0)]
    other = claim(made, job="app:b", nonce="b")
    write = does(made, 0.5, 3)
    assert read_ledger(write.ledger) == {"app:a": Mark(moment(-3.0), "n-3.0"), "app:b": Mark(moment(0.0), "b")}
    assert [one.outcome for one in (*batch, other)] == ["granted", "granted", "refused", "refused", "granted"]


def test_a_claim_made_during_a_write_has_one_of_its_own():
    made = leader()
    first = claim(made, fire=-1.0, nonce="1")
    write = writes(made, 0.5)
    second = claim(made, fire=0.0, now=0.6, nonce="2")
    made.wrote(acknowledged(write, 2), sent_at=0.5, now=0.7)
    assert (first.outcome, second.outcome) == ("granted", None)
    does(made, 0.7, 3)
    assert second.outcome == "granted"


def test_a_claim_never_rides_on_the_write_that_acquires():
    made = follower(stored("", ledger=ledger(a=-5.0)))
    one = claim(made, now=0.0)
    write = writes(made, 0.0)
    assert write.record.holder_identity == ME
    assert write.ledger is None
    made.wrote(acknowledged(write, 2), sent_at=0.0, now=0.0)
    assert one.outcome is None


# In doubt


def test_a_claim_whose_answer_was_lost_is_granted_when_its_nonce_is_seen():
    made = leader()
    one = claim(made)
    landed = acknowledged(writes(made, 0.5), 2)
    made.failed(unknown(), 3.2)
    assert one.outcome is None
    again = writes(made, waits(made, 3.2))
    assert again.ledger == landed.ledger
    made.failed(Conflict("409"), 4.3)
    assert one.outcome is None
    reads(made, 4.3)
    made.saw(landed, 4.4)
    assert one.outcome == "granted"


def test_a_claim_in_doubt_rides_in_every_write_under_the_same_nonce():
    made = leader()
    one = claim(made)
    sent = [writes(made, 0.5).ledger]
    made.failed(unknown(), 3.2)
    for _ in range(2):
        now = waits(made, 3.2) if len(sent) == 1 else waits(made, 5.0)
        sent.append(writes(made, now).ledger)
        made.failed(unknown(), max(now, 5.0))
    does(made, waits(made, 5.0), 2)
    assert len(set(sent)) == 1
    assert one.outcome == "granted"


@pytest.mark.parametrize("error", [unknown(), REFUSED, Conflict("409")])
def test_no_failed_write_refuses_a_claim(error):
    made = leader()
    one = claim(made)
    writes(made, 0.5)
    made.failed(error, 1.0)
    made.decide(1.0, moment(1.0).timestamp())
    assert one.outcome is None


def test_a_claim_in_doubt_is_not_refused_by_a_step_of_the_stores_clock():
    made = leader()
    one = claim(made, fire=0.0)
    landed = acknowledged(writes(made, 0.5), 2)
    made.failed(unknown(), 1.0)
    writes(made, 2.0, at_wall=moment(-3600.0).timestamp())
    made.failed(Conflict("409"), 2.1)
    assert one.outcome is None
    made.saw(landed, 2.2)
    assert one.outcome == "granted"


def test_a_claim_in_doubt_is_not_refused_for_the_size_of_others(monkeypatch):
    made = leader()
    one = claim(made)
    landed = acknowledged(writes(made, 0.5), 2)
    made.failed(unknown(), 1.0)
    monkeypatch.setattr("singleton_jobs.decisions.open_claims.LIMIT", 20)
    other = claim(made, job="app:b", now=1.0)
    writes(made, 2.0)
    assert (one.outcome, other.outcome) == (None, "refused")
    made.failed(Conflict("409"), 2.1)
    made.saw(landed, 2.2)
    assert one.outcome == "granted"


def test_a_later_claim_of_the_job_leaves_the_grant_of_one_in_doubt():
    made = leader()
    first = claim(made, fire=-1.0, nonce="1")
    landed = acknowledged(writes(made, 0.5), 2)
    made.failed(unknown(), 1.0)
    second = claim(made, fire=0.0, now=1.0, nonce="2")
    writes(made, waits(made, 1.0))
    made.failed(Conflict("409"), 3.0)
    made.saw(landed, 3.1)
    assert (first.outcome, second.outcome) == ("granted", None)
    does(made, 3.1, 3)
    assert second.outcome == "granted"


def test_claims_wait_for_the_retry_after_a_failure_and_those_made_meanwhile_too():
    made = leader()
    claim(made, now=0.5)
    writes(made, 0.5)
    made.failed(REFUSED, 0.6)
    retry = waits(made, 0.6)
    assert retry > 0.6
    claim(made, job="app:b", now=0.7)
    assert waits(made, 0.7) == retry


# The end of a term


def test_a_claim_acknowledged_after_the_deadline_is_not_granted():
    made = leader()
    one = claim(made, now=0.5)
    write = writes(made, 0.5)
    made.wrote(acknowledged(write, 2), sent_at=0.5, now=DEADLINE)
    assert made.hold is None
    assert one.outcome is None


def test_a_claim_whose_term_went_to_another_stays_undecided():
    made = leader()
    one = claim(made)
    writes(made, 0.5)
    made.failed(Conflict("409"), 1.0)
    made.saw(stored(OTHER, version=2, ledger=ledger(a=0.0)), 1.1)
    assert made.hold is None
    assert one.outcome is None


def test_claims_of_an_ended_term_do_not_ride_in_the_next():
    made = leader()
    claim(made)
    made.release(0.5, again=True)
    assert made.claims.due() == math.inf
    does(made, 0.5, 2)  # frees the lease
    reads(made, 0.5)
    made.saw(made.seen, 0.5)
    does(made, 0.5, 3)
    assert made.hold
    assert writes(made, waits(made, 0.5)).ledger is None


def test_a_claim_that_nobody_waits_for_any_more_is_not_written():
    made = leader()
    made.claims.withdraw(claim(made))
    assert waits(made, 0.5) == PERIOD


def test_a_claim_of_an_ended_term_is_not_written_under_the_next():
    made = leader()
    claim(made, now=0.5)
    made.claims.end()
    assert made.claims.due() == math.inf
    assert made.claims.ledger(None, moment(1.0)) is None
