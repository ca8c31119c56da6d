"""What claims do to the ledger as a whole, at the desk: kept, bounded, lowered, told of finished runs."""

from dataclasses import replace

import pytest

from singleton_jobs.errors import Conflict
from singleton_jobs.decisions.ledger import LIMIT, Mark, read_ledger
from unit.claimants import claim, does, leader_of, ledger
from unit.harness import PERIOD, acknowledged, leader, moment, unknown, waits, writes


@pytest.mark.parametrize("text", ["{", '{"v":2,"jobs":{}}'])
def test_an_unreadable_ledger_is_kept_and_refuses_claims(text):
    made = leader_of(text)
    one = claim(made)
    made.claims.done("app:a", "n")
    assert waits(made, 0.5) == PERIOD
    assert one.outcome == "refused"
    assert made.claims.unreadable
    assert writes(made, PERIOD).ledger is None


def test_a_ledger_too_large_refuses_claims_before_any_request():
    made = leader_of(ledger(**{f"{n:0250}": -5.0 for n in range(LIMIT // 300)}, a=-5.0))
    many = [claim(made, job=f"app:{'ä' * 248}{n}") for n in range(60)]
    known = claim(made)
    write = does(made, 0.5, 3)
    assert {one.outcome for one in many} == {"refused"}
    assert known.outcome == "granted"
    assert len(write.ledger.encode()) < LIMIT


def test_a_ledger_that_others_annotations_leave_no_room_for_refuses_claims():
    raw = {"metadata": {"annotations": {"team": "x" * 255 * 1024}}}
    made = leader()
    made.saw(replace(made.seen, version=2, raw=raw), 0.4)
    one = claim(made)
    assert waits(made, 0.5) == PERIOD
    assert one.outcome == "refused"
    assert writes(made, PERIOD).ledger is None


def test_a_mark_in_the_future_is_lowered_by_the_next_write():
    made = leader_of(ledger(a=3600.0, b=-5.0))
    write = does(made, PERIOD, 3)
    assert read_ledger(write.ledger)["app:a"].fire == moment(PERIOD)
    assert read_ledger(write.ledger)["app:b"].fire == moment(-5.0)
    assert made.claims.lowered == {"app:a": Mark(moment(3600.0), "x", "d")}


def test_a_mark_in_the_future_refuses_no_fire_of_today():
    made = leader_of(ledger(a=3600.0))
    past, due = claim(made, fire=0.4, nonce="p"), claim(made, fire=1.0, nonce="d")
    does(made, 0.5, 3)
    assert (past.outcome, due.outcome) == ("refused", "granted")


def test_a_lowered_mark_is_told_of_once_it_is_stored():
    made = leader_of(ledger(a=3600.0))
    writes(made, PERIOD)
    made.failed(unknown(), PERIOD + 1)
    assert not made.claims.lowered


def test_a_finished_run_rides_in_the_next_renewal():
    made = leader()
    claim(made)
    does(made, 0.5, 2)
    made.claims.done("app:a", "n")
    assert waits(made, 0.6) == PERIOD
    assert read_ledger(does(made, PERIOD, 3).ledger)["app:a"].state == "d"
    assert writes(made, 2 * PERIOD).ledger is None


def test_a_run_that_finishes_during_a_write_rides_in_the_one_after():
    made = leader()
    claim(made)
    does(made, 0.5, 2)
    write = writes(made, PERIOD)
    made.claims.done("app:a", "n")
    made.wrote(acknowledged(write, 3), sent_at=PERIOD, now=PERIOD)
    assert read_ledger(writes(made, 2 * PERIOD).ledger)["app:a"].state == "d"


def test_somebody_elses_edit_of_the_lease_costs_a_claim_nothing():
    made = leader()
    one = claim(made)
    writes(made, 0.5)
    made.failed(Conflict("409"), 0.6)
    made.saw(replace(made.seen, version=2), 0.7)
    does(made, 0.7, 3)
    assert one.outcome == "granted"
