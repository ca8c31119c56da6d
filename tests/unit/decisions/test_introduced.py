"""Jobs that are seen for the first time get a mark, with the next write, so that no fire of the past runs."""

import pytest

from singleton_jobs.decisions.ledger import Mark, read_ledger
from unit.claimants import claim, does, leader_of, ledger
from unit.harness import DEADLINE, PERIOD, acknowledged, follower, leader, moment, reads, stored, unknown, waits, writes

NEW = Mark(moment(-2.0), "", "d")


def introduce(made, job="app:a", second=-2.0):
    made.claims.introduce({job: moment(second)})


def test_a_mark_rides_on_the_next_renewal_and_none_is_sent_for_that_alone():
    made = leader()
    introduce(made)
    assert waits(made, 0.5) == PERIOD
    assert read_ledger(does(made, PERIOD, 2).ledger) == {"app:a": NEW}
    assert made.claims.introduced == {}
    assert writes(made, 2 * PERIOD).ledger is None


def test_a_mark_rides_on_a_claims_write():
    made = leader()
    introduce(made)
    claim(made, job="app:b")
    assert read_ledger(does(made, 0.5, 2).ledger) == {"app:a": NEW, "app:b": Mark(moment(0.0), "n")}


def test_a_stored_mark_is_never_overridden():
    made = leader_of(ledger(a=-5.0))
    introduce(made)
    assert made.claims.introduced == {}
    assert writes(made, PERIOD).ledger is None


def test_a_mark_that_another_has_stored_meanwhile_is_never_overridden():
    made = follower(stored("", version=1))
    introduce(made)
    made.saw(stored("", version=2, ledger=ledger(a=-5.0)), 1.0)
    made.wrote(acknowledged(writes(made, 1.0), 3), sent_at=1.0, now=1.0)
    assert writes(made, 1.0 + PERIOD).ledger is None


def test_of_the_jobs_introduced_together_only_those_without_a_mark_get_one():
    made = leader_of(ledger(a=-5.0))
    made.claims.introduce({"app:a": moment(0.0), "app:b": moment(-2.0)})
    assert read_ledger(writes(made, PERIOD).ledger) == {"app:a": Mark(moment(-5.0), "x", "d"), "app:b": NEW}


def test_a_fire_at_or_before_it_is_refused_and_a_later_one_granted():
    made = leader()
    introduce(made)
    due, past = claim(made, fire=-1.0, nonce="d"), claim(made, fire=-2.0, nonce="p")
    write = does(made, 0.5, 2)
    assert (due.outcome, past.outcome) == ("granted", "refused")
    assert read_ledger(write.ledger) == {"app:a": Mark(moment(-1.0), "d")}


def test_it_rides_again_when_the_answer_was_lost():
    made = leader()
    introduce(made)
    first = writes(made, PERIOD)
    made.failed(unknown(), PERIOD + 0.1)
    assert writes(made, waits(made, PERIOD + 0.1)).ledger == first.ledger


def test_it_is_dropped_at_the_end_of_the_term():
    made = leader()
    introduce(made)
    made.expire(DEADLINE)
    assert made.claims.introduced == {}


def test_a_release_does_not_carry_it():
    made = leader()
    introduce(made)
    made.release(0.5)
    assert writes(made, 0.5).ledger is None


def test_it_is_dropped_when_the_ledger_would_be_too_large(monkeypatch):
    made = leader_of(ledger(a=-5.0))
    monkeypatch.setattr("singleton_jobs.decisions.open_claims.LIMIT", 110)
    introduce(made, "app:b")
    new, known = claim(made, job="app:b", nonce="b"), claim(made)
    write = does(made, 0.5, 3)
    assert made.claims.introduced == {}
    assert (new.outcome, known.outcome) == ("refused", "granted")
    assert set(read_ledger(write.ledger)) == {"app:a"}


@pytest.mark.parametrize("text", ["{", '{"v":2,"jobs":{}}'])
def test_an_unreadable_ledger_is_kept(text):
    made = leader_of(text)
    introduce(made)
    assert writes(made, PERIOD).ledger is None
