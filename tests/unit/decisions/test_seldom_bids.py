"""A run that starts no sooner than a while after the last one, claimed by the write that takes the lease."""

import math
from datetime import timedelta

import pytest

from singleton_jobs.config import Config
from singleton_jobs.decisions.bids import SeldomBid
from singleton_jobs.decisions.candidate import Candidate
from singleton_jobs.decisions.ledger import Attempt, Mark, advance, read_ledger
from singleton_jobs.errors import Conflict
from unit.harness import (
    DURATION,
    ME,
    OTHER,
    PERIOD,
    Least,
    acknowledged,
    moment,
    reads,
    stored,
    unknown,
    waits,
    writes,
)

JOB = "fn:report"
PAUSE = timedelta(seconds=57)
CUT = Attempt(moment(-10.0), "cut", 1)


def bid(ours=(), *, timed=True, most=1, for_key=False):
    return SeldomBid(JOB, PAUSE, most, "mine", for_key, lambda job, nonce: nonce in ours, lambda: timed)


def marked(fire=-60.0, nonce="before", state="d", attempts=()):
    return Mark(moment(fire), nonce, state, attempts=attempts)


def text(mark):
    return advance({JOB: mark}, (), (), (JOB,), moment(0.0))


def asked(wish, mark, now=0.0):
    return wish.claims({JOB: mark} if mark else {}, moment(now))


# What it claims


@pytest.mark.parametrize(("before", "runs"), [(None, True), (-57.0, True), (-56.9, False), (-1.0, False)])
def test_it_claims_now_unless_the_last_run_began_too_short_a_while_ago(before, runs):
    claims = asked(bid(), before and marked(before))
    assert bool(claims) is runs
    if runs:
        assert (claims[0].fire, claims[0].nonce, claims[0].until) == (moment(0.0), "mine", None)
    else:
        assert claims is None  # the lease is not even taken


def test_the_mark_of_a_key_counts_no_longer_than_the_pause():
    assert asked(bid(for_key=True), None)[0].until == moment(57.0)


def test_a_run_that_was_cut_short_comes_first_though_that_is_too_soon():
    (claim,) = asked(bid(most=3), marked(-10.0, attempts=(CUT,)))
    assert (claim.fire, claim.after, claim.attempt) == (CUT.fire, CUT, Attempt(CUT.fire, "mine", 2))


def test_a_run_that_goes_on_here_is_not_run_again():
    assert asked(bid(["cut"], most=3), marked(-10.0, attempts=(CUT,))) is None


def test_one_that_has_had_its_attempts_is_given_up_under_the_lease():
    assert asked(bid(most=1), marked(-10.0, attempts=(CUT,))) == ()


def test_one_that_has_had_its_attempts_does_not_put_off_the_next_run():
    (claim,) = asked(bid(most=1), marked(attempts=(CUT,)))
    assert claim.after is None


def test_a_mark_in_the_future_is_lowered_under_the_lease():
    assert asked(bid(), marked(61.0)) == ()
    assert asked(bid(), marked(60.0)) is None


def test_by_the_hosts_clock_nothing_is_claimed():
    assert asked(bid(timed=False), None) == ()


# Asked again


def test_what_has_not_been_sent_is_claimed_for_the_moment_at_which_the_lease_is_taken():
    wish = bid()
    asked(wish, None)
    assert asked(wish, None, now=30.0)[0].fire == moment(30.0)


@pytest.mark.parametrize("most", [1, 3])
def test_what_has_landed_is_claimed_as_it_is_in_the_ledger(most):
    wish = bid(most=most)
    claims = asked(wish, None)
    landed = read_ledger(advance({}, claims, (), (JOB,), moment(0.0)))[JOB]
    advance({}, asked(wish, None, now=5.0), (), (JOB,), moment(5.0))  # sent, too; it does not land
    (again,) = asked(wish, landed, now=9.0)
    assert (again.fire, wish.claim) == (moment(0.0), again)
    assert again.is_in(landed)


def test_another_attempt_that_has_landed_is_found():
    wish, before = bid(most=3), marked(-10.0, attempts=(CUT,))
    landed = read_ledger(advance({JOB: before}, asked(wish, before), (), (JOB,), moment(0.0)))[JOB]
    (again,) = asked(wish, landed, now=5.0)
    assert again.attempt == Attempt(CUT.fire, "mine", 2)


def test_what_another_holder_has_taken_for_cut_short_is_not_run():
    wish = bid()
    landed = read_ledger(advance({}, asked(wish, None), (), (JOB,), moment(0.0)))[JOB]
    assert asked(wish, landed._replace(state="d"), now=5.0) is None


# At the candidate


def candidate(wish, known, at=0.0):
    made = Candidate(ME, Config(), Least())
    made.start(at, wish)
    reads(made, at)
    made.saw(known, at)
    return made


def test_one_write_takes_and_claims():
    wish = bid()
    made = candidate(wish, stored("", ledger=text(marked())))
    write = writes(made, 0.0)
    made.wrote(acknowledged(write, 2), sent_at=0.0, now=0.0)
    assert read_ledger(write.ledger)[JOB] == Mark(moment(0.0), "mine", "c")
    assert (made.hold.token, wish.claim.outcome, wish.claim.asked_at) == (2, "granted", 0.0)


def test_too_soon_nothing_is_written():
    made = candidate(bid(), stored("", ledger=text(marked(-1.0))))
    assert waits(made, 0.0) == math.inf
    assert (made.answer, made.hold) == ("declined", None)


def test_it_waits_for_the_lease_and_claims_for_the_moment_it_is_taken():
    wish = bid()
    made = candidate(wish, stored(ledger=text(marked())))
    assert 0 < waits(made, 0.0) <= DURATION
    assert (made.answer, made.wanted) == ("busy", True)
    made.saw(stored("", version=2, ledger=text(marked())), 5.0)
    write = writes(made, 5.0)
    assert read_ledger(write.ledger)[JOB].fire == moment(5.0)


def test_what_was_seen_busy_a_moment_ago_is_read_again():
    made = candidate(bid(), stored())
    waits(made, 0.0)
    made.stop(0.5)
    made.start(1.0, bid())
    assert reads(made, 1.0)


def test_what_was_seen_free_a_moment_ago_is_taken_without_a_look():
    made = candidate(bid(), stored("", ledger=text(marked(-1.0))))
    waits(made, 0.0)
    made.start(PERIOD / 2, SeldomBid(JOB, timedelta(0), 1, "mine", False, lambda *_: False, lambda: True))
    assert writes(made, PERIOD / 2)


def test_another_that_was_faster_is_found_and_judged_anew():
    made = candidate(bid(), stored("", ledger=text(marked())))
    writes(made, 0.0)
    made.failed(Conflict("another was faster"), 0.1)
    reads(made, 0.1)
    made.saw(stored("", version=3, ledger=text(marked(0.0, "theirs"))), 0.1)
    assert waits(made, 0.1) == math.inf
    assert made.answer == "declined"


def test_a_write_without_an_answer_that_landed_is_granted_for_its_own_time():
    wish = bid()
    made = candidate(wish, stored("", ledger=text(marked())))
    write = writes(made, 0.0)
    made.failed(unknown(), 1.0)
    due = waits(made, 1.0)
    reads(made, due)
    made.saw(acknowledged(write, 2), due)
    again = writes(made, due)
    made.wrote(acknowledged(again, 3), sent_at=due, now=due)
    assert (made.hold.token, wish.claim.fire, wish.claim.outcome) == (3, moment(0.0), "granted")


def test_what_is_not_run_in_the_end_is_not_taken_for_running():
    wish = bid(most=3)
    made = candidate(wish, stored("", ledger=text(marked())))
    write = writes(made, 0.0)
    made.failed(unknown(), 1.0)
    due = waits(made, 1.0)
    reads(made, due)
    made.saw(stored(OTHER, version=2, ledger=text(marked(0.5, "theirs"))), due)
    waits(made, due)
    made.stop(due)
    assert write.ledger
    assert not made.claims.is_ours(JOB, "mine")
