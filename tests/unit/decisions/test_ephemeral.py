"""A lease that exists only while it is held: created without a look, deleted when it is given back."""

import math

import pytest

from singleton_jobs.config import Config
from singleton_jobs.decisions.candidate import Candidate
from singleton_jobs.errors import Conflict, StoreError
from unit.harness import (
    DEADLINE,
    DURATION,
    ME,
    OTHER,
    PERIOD,
    Least,
    Most,
    acknowledged,
    deletes,
    moment,
    reads,
    renewed,
    renews,
    stored,
    unknown,
    waits,
    writes,
)

LEDGER = '{"v":1,"jobs":{"fn:sync":["%s","nonce","d",null,[],"%s"]}}'


def ledger(until=5.0):
    return LEDGER % (moment(0.0).isoformat(), moment(until).isoformat())


def ephemeral(chance=None):
    made = Candidate(ME, Config(), chance or Least(), ephemeral=True)
    made.start(0.0)
    return made


def holder(at=0.0, version=1):
    made = ephemeral()
    made.wrote(acknowledged(writes(made, at), version), sent_at=at, now=at)
    return made


def beaten(made, at=0.0, by=None):
    """Somebody else's lease is there already, as is then read."""
    writes(made, at)
    made.failed(Conflict("exists"), at)
    reads(made, at)
    made.saw(by, at)
    return made


def deleting(made, at=1.0):
    made.release(at)
    deletes(made, at)
    return made


# Taking


def test_it_is_created_without_a_look():
    assert writes(ephemeral(), 0.0).replaces is None


def test_a_creation_that_is_acknowledged_is_a_hold():
    made = holder(version=7)
    assert (made.hold.token, made.held_until, made.answer) == (7, DEADLINE, "held")


def test_what_exists_is_read_at_once_and_the_attempt_goes_on():
    made = ephemeral()
    writes(made, 0.0)
    made.failed(Conflict("exists"), 0.1)
    assert made.answer is None
    reads(made, 0.1)


def test_what_another_holds_is_busy():
    made = beaten(ephemeral(), by=stored())
    waits(made, 0.0)
    assert made.answer == "busy"


def test_a_free_one_is_taken_over_as_it_stands():
    kept = stored("", ledger=ledger())
    write = writes(beaten(ephemeral(), by=kept), 0.0)
    assert (write.replaces, write.record.lease_transitions) == (kept, 2)


def test_one_that_the_store_calls_abandoned_is_taken_over():
    gone = stored(abandoned=True)
    assert writes(beaten(ephemeral(), by=gone), 0.0).replaces is gone


def test_one_that_is_gone_again_is_created_at_once():
    assert writes(beaten(ephemeral(), by=None), 0.0).replaces is None


def test_a_second_conflict_in_one_attempt_is_busy():
    made = beaten(ephemeral(), by=None)
    writes(made, 0.0)
    made.failed(Conflict("exists again"), 0.0)
    assert made.answer == "busy"
    assert waits(made, 0.0) == PERIOD


def test_what_was_seen_in_one_attempt_is_looked_at_first_in_the_next():
    made = beaten(ephemeral(), by=stored())
    made.stop(1.0)
    made.start(2.0)
    reads(made, 2.0)


def test_a_dead_holders_is_taken_after_its_duration_unchanged():
    known = stored()
    made = beaten(ephemeral(), by=known)
    made.saw(known, DURATION - 0.1)
    waits(made, DURATION - 0.1)
    made.saw(known, DURATION)
    assert writes(made, DURATION).replaces is known


def test_an_unanswered_creation_is_looked_for_and_counts_as_ours():
    made = ephemeral()
    write = writes(made, 0.0)
    made.failed(unknown(), 0.5)
    assert made.answer == "failed"
    reads(made, waits(made, 0.5))
    mine = acknowledged(write, 1)
    made.saw(mine, 3.0)
    assert writes(made, 3.0).replaces is mine


def test_the_creation_does_not_ask_for_the_time_first():
    made = ephemeral()
    made.claims.known.add("fn:sync")
    writes(made, 0.0)


# What has vanished


def test_one_that_vanished_is_free_at_once():
    made = beaten(ephemeral(), by=stored())
    made.saw(None, 2.0)
    assert writes(made, 2.0).replaces is None


def test_what_counts_in_a_ledger_is_not_deleted_so_that_none_is_carried_over():
    made = beaten(ephemeral(), by=stored(ledger=ledger()))
    made.saw(None, 2.0)
    assert writes(made, 2.0).ledger is None


def test_those_who_saw_it_vanish_spread():
    made = beaten(ephemeral(chance=Most()), by=stored())
    made.saw(None, 2.0)
    assert 2.0 < waits(made, 2.0) < 2.1


def test_a_lost_race_leaves_no_ghost():
    made = beaten(ephemeral(), by=None)
    writes(made, 0.0)
    made.failed(Conflict("exists again"), 0.0)
    made.saw(None, 2.0)
    assert writes(made, 2.0).replaces is None


def test_a_hold_whose_lease_vanished_is_lost():
    made = holder()
    hold = made.hold
    writes(made, PERIOD)
    made.failed(Conflict("gone"), PERIOD)
    reads(made, PERIOD)
    made.saw(None, PERIOD)
    assert (made.hold, hold.ended) == (None, "deleted")


# Giving back


def test_a_release_deletes_exactly_what_was_seen():
    made = holder()
    renews(made, 2.0, 2)
    seen, hold = made.seen, made.hold
    made.release(2.5)
    assert (hold.ended, made.hold) == ("released", None)
    assert deletes(made, 2.5).replaces is seen


def test_a_deletion_that_is_acknowledged_has_freed_it():
    made = deleting(holder())
    made.deleted(1.1)
    assert (made.released, made.releasing, made.seen, made.may_be_stored) == (True, False, None, False)
    assert waits(made, 1.1) == math.inf


def test_the_next_attempt_creates_it_anew():
    made = deleting(holder())
    made.deleted(1.1)
    made.start(2.0)
    assert writes(made, 2.0).replaces is None


def test_a_conflict_with_a_deletion_reads_and_deletes_what_is_still_our_hold():
    made = deleting(holder())
    made.failed(Conflict("edited"), 1.1)
    edited = renewed(made.seen, 0.0)
    reads(made, 1.1)
    made.saw(edited, 1.2)
    assert deletes(made, 1.2).replaces is edited


def test_what_is_anothers_by_then_is_left_alone():
    made = deleting(holder())
    made.failed(Conflict("taken"), 1.1)
    reads(made, 1.1)
    made.saw(stored(OTHER, uid="uid-2", version=9), 1.2)
    assert (made.released, made.releasing) == (False, False)
    assert waits(made, 1.2) == math.inf


def test_what_is_gone_by_then_is_free():
    made = deleting(holder())
    made.failed(Conflict("gone"), 1.1)
    reads(made, 1.1)
    made.saw(None, 1.2)
    assert (made.released, made.may_be_stored) == (True, False)


@pytest.mark.parametrize("error", [unknown(), StoreError("refused", outcome="not done")])
def test_a_deletion_that_may_not_have_landed_is_no_release(error):
    made = deleting(holder())
    made.failed(error, 1.1)
    assert (made.released, made.releasing, made.may_be_stored) == (False, False, True)


def test_the_next_try_reads_and_what_is_gone_is_free():
    made = deleting(holder())
    made.failed(unknown(), 1.1)
    made.release(2.0)
    reads(made, 2.0)
    made.saw(None, 2.1)
    assert made.released


def test_the_next_try_deletes_what_is_still_there():
    made = deleting(holder())
    made.failed(unknown(), 1.1)
    made.release(2.0)
    seen = made.seen
    reads(made, 2.0)
    made.saw(seen, 2.1)
    assert deletes(made, 2.1).replaces is seen


def test_a_creation_that_landed_after_all_is_deleted():
    made = ephemeral()
    write = writes(made, 0.0)
    made.failed(unknown(), 0.5)
    made.stop(0.6)
    reads(made, 0.6)
    mine = acknowledged(write, 1)
    made.saw(mine, 0.7)
    assert deletes(made, 0.7).replaces is mine


def test_a_mark_that_counts_keeps_it():
    made = holder()
    made.saw(stored(ME, version=2, acquired=0.0, renewed=0.0, ledger=ledger()), 1.0)
    made.release(1.0)
    write = writes(made, 1.0)
    assert (write.record.holder_identity, write.replaces.ledger) == ("", ledger())


def test_a_mark_that_is_over_does_not():
    made = holder()
    made.saw(stored(ME, version=2, acquired=0.0, renewed=0.0, ledger=ledger(until=1.0)), 1.0)
    made.release(1.0)
    deletes(made, 1.0)


@pytest.mark.parametrize("text", ["rubbish", '{"v":2,"jobs":{}}'])
def test_a_ledger_that_cannot_be_read_keeps_it(text):
    made = holder()
    made.saw(stored(ME, version=2, acquired=0.0, renewed=0.0, ledger=text), 1.0)
    made.release(1.0)
    writes(made, 1.0)
