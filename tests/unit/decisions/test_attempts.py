"""Fires that may run again: each attempt is claimed by compare-and-swap, and kept until it has ended."""

import json
import math
from datetime import UTC, datetime, timedelta

import pytest

from singleton_jobs.decisions.ledger import (
    FORGOTTEN_AFTER,
    Attempt,
    Claim,
    Mark,
    UnreadableLedger,
    advance,
    aftermath,
    judge,
    kept_until,
    read_ledger,
)
from unit.claimants import does, leader_of
from unit.harness import DEADLINE, PERIOD, acknowledged, leader, moment, stored, waits, writes

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
JOB = "aps:a"


def first(fire=NOON, nonce="n", **more):
    return Claim(JOB, fire, nonce, repeats=True, **more)


def again(attempt, nonce="m", **more):
    return Claim(JOB, attempt.fire, nonce, repeats=True, after=attempt, **more)


def after(*claims, marks=None, done=(), now=NOON):
    return read_ledger(advance(marks or {}, claims, done, (), now))


def kept(*attempts, fire=NOON):
    return {JOB: Mark(fire, "n", "d", None, attempts)}


# The ledger


def test_the_text_is_as_documented():
    text = advance({}, [first()], (), (), NOON)
    noon = "2026-11-22T12:00:00.000000Z"
    assert json.loads(text) == {"v": 1, "jobs": {JOB: [noon, "n", "d", None, [[noon, "n", 1]]]}}


def test_whoever_claims_an_attempt_that_follows_is_who_claimed_last():
    begun = after(first(by="pod-a_1"))
    followed = after(again(begun[JOB].attempts[0], by="pod-b_2"), marks=begun)
    assert [marks[JOB].by for marks in (begun, followed)] == ["pod-a_1", "pod-b_2"]
    assert after(marks=followed, done=[(JOB, "m")])[JOB] == Mark(NOON, "n", "d", by="pod-b_2")


@pytest.mark.parametrize("runs", [None, 0, 7])
def test_what_is_written_is_read_back(runs):
    marks = {JOB: Mark(NOON, "n", "d", runs, (Attempt(NOON, "n"), Attempt(NOON - MINUTE, "m", 3)))}
    assert after(marks=marks) == marks


@pytest.mark.parametrize(
    "attempt", [[1, "n", 1], ["2026-11-22T12:00:00Z", 2, 1], ["2026-11-22T12:00:00Z", "n", "1"], 4]
)
def test_what_is_no_attempt_makes_the_ledger_unreadable(attempt):
    with pytest.raises(UnreadableLedger):
        read_ledger(json.dumps({"v": 1, "jobs": {JOB: ["2026-11-22T12:00:00Z", "n", "d", None, [attempt]]}}))


def test_each_fire_of_a_batch_is_kept_under_its_own_nonce():
    one, two = first(nonce="x"), first(NOON + MINUTE, "y")
    mark = after(one, two)[JOB]
    assert mark == Mark(NOON + MINUTE, "y", "d", None, (Attempt(NOON, "x"), Attempt(NOON + MINUTE, "y")))
    assert (one.carried, two.carried) == ({"x"}, {"y"})


def test_an_earlier_attempt_is_kept_while_later_fires_are_claimed():
    assert after(first(NOON + MINUTE, "y"), marks=kept(Attempt(NOON, "x")))[JOB].attempts == (
        Attempt(NOON, "x"),
        Attempt(NOON + MINUTE, "y"),
    )


def test_what_is_done_is_kept_no_longer():
    marks = kept(Attempt(NOON, "n"), Attempt(NOON - MINUTE, "m"))
    assert after(marks=marks, done={(JOB, "m")})[JOB].attempts == (Attempt(NOON, "n"),)
    assert after(marks=marks, done={("aps:b", "m")}) == marks


def test_an_attempt_takes_the_place_of_the_one_that_was_cut():
    cut = Attempt(NOON, "n")
    claim = again(cut)
    assert after(claim, marks=kept(cut, Attempt(NOON - MINUTE, "x"))) == kept(
        Attempt(NOON, "m", 2), Attempt(NOON - MINUTE, "x")
    )
    assert claim.carried == {"m"}


def test_of_two_that_follow_one_attempt_only_the_first_is_carried():
    cut = Attempt(NOON, "n")
    one, two = again(cut, "x"), again(cut, "y")
    assert after(one, two, marks=kept(cut))[JOB].attempts == (Attempt(NOON, "x", 2),)
    assert not two.carried


def test_an_attempt_is_open_while_the_one_that_was_cut_is_there_and_refused_after():
    cut = Attempt(NOON, "n")
    assert judge(again(cut), kept(cut, fire=NOON + MINUTE)) is None
    for marks in ({}, kept(), kept(Attempt(NOON, "x", 2)), kept(Attempt(NOON, "n", 2))):
        assert judge(again(cut), marks) == "refused"


def test_an_attempt_that_has_landed_is_granted_until_another_follows():
    cut = Attempt(NOON, "n")
    claim = again(cut)
    marks = after(claim, marks=kept(cut))
    assert judge(claim, marks) == "granted"
    assert judge(claim, after(again(claim.attempt, "z"), marks=marks)) == "refused"


def test_a_first_claim_that_another_leader_has_followed_is_granted_no_more_though_its_nonce_is_still_the_marks():
    claim = first()
    marks = after(claim)
    assert judge(claim, marks) == "granted"
    followed = after(again(claim.attempt), marks=marks)
    assert followed[JOB].nonce == "n"
    assert judge(claim, followed) == "refused"


def test_what_an_ended_term_leaves_is_open_while_its_attempt_is_there():
    claim = first()
    mark = after(claim)[JOB]
    assert aftermath(claim, mark) == "open"
    claim.outcome = "granted"
    assert aftermath(claim, mark._replace(attempts=())) == "none"  # whoever has judged it has told of it
    assert aftermath(claim, after(again(claim.attempt), marks={JOB: mark})[JOB]) == "none"


def test_attempts_are_forgotten_with_their_mark():
    assert after(marks=kept(Attempt(NOON, "n")), now=NOON + FORGOTTEN_AFTER + MINUTE) == {}


def test_an_attempt_keeps_the_lease_of_its_key_until_it_has_ended():
    until = NOON + MINUTE
    marks = {JOB: Mark(NOON, "n", "d", None, (Attempt(NOON, "n"),), until)}
    text = advance(marks, (), (), {JOB}, NOON)
    assert kept_until(text) == NOON + FORGOTTEN_AFTER
    assert kept_until(advance(marks, (), {(JOB, "n")}, {JOB}, NOON)) == until


# At the desk


def text(*attempts, fire=-5.0):
    times = [[moment(each).isoformat(), nonce, number] for each, nonce, number in attempts]
    return json.dumps({"v": 1, "jobs": {JOB: [moment(fire).isoformat(), "x", "d", None, times]}})


def ask(made, now=0.5, *, fire=0.0, nonce="n", cut=None):
    claim = Claim(JOB, cut.fire if cut else moment(fire), nonce, repeats=True, after=cut)
    made.claims.add(claim, now)
    return claim


def test_what_another_process_has_begun_and_nobody_ended_is_cut():
    made = leader_of(text((-5.0, "x", 2), (-9.0, "y", 1)))
    assert made.claims.cut() == {JOB: [Attempt(moment(-5.0), "x", 2), Attempt(moment(-9.0), "y", 1)]}
    assert made.claims.interrupted == {}


def test_nothing_is_cut_that_runs_here_or_has_ended_here():
    made = leader_of(text((-5.0, "x", 1)))
    ask(made)
    ask(made, nonce="o", fire=1.0)
    does(made, 0.5, 2)
    made.claims.done(JOB, "o")
    assert made.claims.cut() == {JOB: [Attempt(moment(-5.0), "x", 1)]}


def test_nothing_is_known_to_be_cut_without_a_term():
    made = leader_of(text((-5.0, "x", 1)))
    made.expire(DEADLINE)
    assert made.claims.cut() == {}


def test_what_was_granted_and_given_up_is_cut():
    made = leader()
    claim = ask(made)
    does(made, 0.5, 2)
    made.claims.give_up(claim)
    assert made.claims.cut() == {JOB: [claim.attempt]}
    assert made.claims.interrupted == {}


def test_the_end_of_a_run_is_told_at_once_as_it_would_run_again():
    made = leader()
    ask(made)
    does(made, 0.5, 2)
    assert waits(made, 0.6) > 0.6
    assert made.claims.done(JOB, "n")
    assert read_ledger(does(made, 0.6, 3).ledger)[JOB].attempts == ()
    assert waits(made, 0.7) == PERIOD
    assert made.claims.due() == math.inf


def test_the_end_of_a_run_that_would_not_is_told_with_the_next_renewal():
    made = leader()
    made.claims.add(Claim(JOB, moment(0.0), "n"), 0.5)
    does(made, 0.5, 2)
    assert not made.claims.done(JOB, "n")
    assert waits(made, 0.6) == PERIOD


def test_an_end_during_a_write_has_one_of_its_own():
    made = leader()
    ask(made)
    does(made, 0.5, 2)
    write = writes(made, 0.5 + PERIOD)
    made.claims.done(JOB, "n")
    made.wrote(acknowledged(write, 3), sent_at=0.5 + PERIOD, now=0.6 + PERIOD)
    assert read_ledger(writes(made, 0.6 + PERIOD).ledger)[JOB].attempts == ()


def test_an_end_that_was_not_told_under_its_term_is_told_first_of_all_under_the_next():
    made = leader()
    ask(made)
    does(made, 0.5, 2)
    made.expire(0.5 + DEADLINE)
    assert not made.claims.done(JOB, "n")
    now = 1.0 + DEADLINE
    made.saw(made.seen, now)
    made.wrote(acknowledged(writes(made, now), 3), sent_at=now, now=now)
    assert made.claims.cut() == {}
    assert read_ledger(writes(made, now).ledger)[JOB].attempts == ()


def test_an_end_waits_for_the_retry_after_a_failure():
    made = leader()
    ask(made)
    does(made, 0.5, 2)
    made.claims.done(JOB, "n")
    made.claims.delay(3.0)
    assert made.claims.due() == 3.0


def test_two_replicas_that_would_follow_one_attempt_are_told_apart_by_the_store():
    """The other's write has come first: this one's is refused by the store, and then by the ledger."""
    made = leader_of(text((-5.0, "x", 1)))
    claim = ask(made, cut=Attempt(moment(-5.0), "x", 1))
    made.claims.see(stored("other", version=3, ledger=text((-5.0, "theirs", 2))))
    made.claims.ledger(stored("other", version=3, ledger=text((-5.0, "theirs", 2))), moment(0.6))
    assert claim.outcome == "refused"


def test_what_is_to_run_again_is_granted_however_far_ahead_a_broken_clock_has_put_it():
    made = leader_of(text((3600.0, "x", 1), fire=3600.0))
    claim = ask(made, cut=Attempt(moment(3600.0), "x", 1))
    does(made, 0.5, 3)
    assert claim.outcome == "granted"


def test_in_a_full_ledger_an_attempt_that_follows_another_is_granted_and_a_new_one_refused(monkeypatch):
    made = leader_of(text((-5.0, "x", 1)))
    monkeypatch.setattr("singleton_jobs.decisions.open_claims.LIMIT", len(text((-5.0, "x", 1))))
    old, new = ask(made, cut=Attempt(moment(-5.0), "x", 1), nonce="o"), ask(made, nonce="n")
    does(made, 0.5, 3)
    assert (old.outcome, new.outcome) == ("granted", "refused")
