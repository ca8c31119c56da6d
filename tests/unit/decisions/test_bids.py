"""A lease that is taken by the write that claims what it is taken for."""

import math
from datetime import timedelta

import pytest

from singleton_jobs.config import Config
from singleton_jobs.decisions.bids import PlannedBid, Scout
from singleton_jobs.decisions.candidate import Candidate
from singleton_jobs.decisions.ledger import Attempt, Claim, Mark, read_ledger
from singleton_jobs.errors import Conflict, StoreError
from singleton_jobs.locks.watching import Sight
from unit.harness import (
    DEADLINE,
    DURATION,
    ME,
    OTHER,
    PERIOD,
    Least,
    acknowledged,
    moment,
    reads,
    renewed,
    stored,
    unknown,
    waits,
    writes,
)

JOB = "aps:default:report"


def ledger(fire=-60.0, nonce="before", state="d"):
    return f'{{"v":1,"jobs":{{"{JOB}":["{moment(fire).isoformat()}","{nonce}","{state}"]}}}}'


def mark(fire=-60.0, nonce="before", state="d"):
    return Mark(moment(fire), nonce, state)


def bid(by=None, fire=0.0, **more):
    return PlannedBid(JOB, by, (Claim(JOB, moment(fire), "mine", **more),))


def bidder(known, wish, at=0.0, chance=None, sight=True):
    """A candidate that a watch has told of ``known``, and that bids at ``at``."""
    made = Candidate(ME, Config(), chance or Least())
    if sight:
        made.told(Sight(known, known.version if known else 1), at)
    made.start(at, wish)
    return made


def answers(made, now, version, served=False):
    write = writes(made, now)
    made.wrote(acknowledged(write, version), sent_at=now, now=now)
    return write


def free(**more):
    return stored("", ledger=ledger(**more))


def asked(made, known, now=0.0):
    """Whoever was only told asks for the time first."""
    reads(made, now)
    made.saw(known, now)
    return made


# One write


def test_the_write_that_takes_a_free_lease_claims():
    wish = bid(mark())
    made = asked(bidder(free(), wish), free())
    write = answers(made, 0.0, 2)
    assert read_ledger(write.ledger)[JOB] == Mark(moment(0.0), "mine", "c")
    assert (made.hold.token, wish.planned[0].outcome, made.answer) == (2, "granted", "held")


def test_a_lease_that_is_not_there_is_created_with_the_claim():
    made = asked(bidder(None, bid(None)), None)
    write = answers(made, 0.0, 1)
    assert (write.replaces, read_ledger(write.ledger)[JOB].nonce) == (None, "mine")


def test_nothing_is_asked_by_whoever_has_asked_for_the_time_just_now():
    made = asked(bidder(free(), bid(mark())), free())
    made.stop(0.0)
    made.start(1.0, bid(mark()))
    assert writes(made, 1.0).replaces == free()


def test_without_a_watch_it_is_read_first():
    assert reads(bidder(free(), bid(mark()), sight=False), 0.0)


def test_what_was_read_long_ago_is_read_again():
    made = bidder(None, bid(mark()), sight=False)
    made.saw(free(), 0.0)
    made.stop(0.0)
    made.start(PERIOD, bid(mark()))
    assert reads(made, PERIOD)


def test_bidders_of_one_instant_come_one_after_the_other():
    made = bidder(None, PlannedBid(JOB, None, (Claim(JOB, moment(0.0), "mine"),), turn=0.02))
    assert waits(made, 0.0) == 0.02
    reads(made, 0.02)


def test_the_end_of_the_run_rides_in_the_release():
    wish = bid(mark())
    made = asked(bidder(free(), wish), free())
    answers(made, 0.0, 2)
    made.claims.done(JOB, "mine")
    made.release(1.0)
    write = writes(made, 1.0)
    assert (write.record.holder_identity, read_ledger(write.ledger)[JOB].state) == ("", "d")


# What is seen to be otherwise


def test_another_mark_than_the_plans_ends_the_bid_without_a_write():
    made = bidder(free(), bid(mark(-120.0)))
    assert waits(made, 0.0) == math.inf
    assert (made.answer, made.wanted) == ("declined", False)


@pytest.mark.parametrize("state", ["c", "d"])
def test_whether_the_run_of_the_mark_has_ended_does_not_matter_to_the_plan(state):
    made = asked(bidder(free(state=state), bid(mark())), free(state=state))
    assert writes(made, 0.0)


def test_a_fire_at_or_before_the_mark_is_refused_without_a_write():
    wish = bid(mark(0.0), fire=0.0)
    made = asked(bidder(free(fire=0.0), wish), free(fire=0.0))
    assert waits(made, 0.0) == math.inf
    assert (made.answer, wish.planned[0].outcome) == ("declined", "refused")


def test_a_fire_far_ahead_of_the_stores_time_is_refused_without_a_write():
    wish = bid(mark(), fire=61.0)
    made = asked(bidder(free(), wish), free())
    assert waits(made, 0.0) == math.inf
    assert made.answer == "declined"


def test_a_ledger_that_cannot_be_read_is_left_as_it_is():
    broken = stored("", ledger="{}")
    made = bidder(broken, bid(None))
    assert waits(made, 0.0) == math.inf
    assert (made.answer, made.claims.unreadable is None) == ("declined", False)


@pytest.mark.parametrize(("known", "fire"), [(stored("", ledger="{}"), 0.0), (stored("", ledger=ledger()), 61.0)])
def test_what_cannot_be_claimed_is_not_asked_for_again_at_once(known, fire):
    made = bidder(None, bid(mark(), fire=fire), sight=False)
    made.saw(known, 0.0)
    assert waits(made, 0.0) == math.inf
    made.start(0.1, bid(mark(), fire=fire))
    assert waits(made, 0.1) >= PERIOD
    assert made.wanted


def test_a_plan_that_was_overtaken_may_be_followed_by_another_at_once():
    made = bidder(None, bid(mark(nonce="older")), sight=False)
    made.saw(free(), 0.0)
    assert waits(made, 0.0) == math.inf
    made.start(0.1, bid(mark()))
    writes(made, 0.1)


def test_a_plan_does_not_wait_for_another():
    made = bidder(stored(ledger=ledger()), bid(mark()))
    assert waits(made, 0.0) == math.inf
    assert (made.answer, made.wanted) == ("busy", False)


def test_a_loser_that_is_told_asks_nothing():
    made = asked(bidder(free(), bid(mark())), free())
    writes(made, 0.0)
    made.failed(Conflict("another was faster"), 0.1)
    assert waits(made, 0.1) > 1.0
    winner = stored(version=2, ledger=ledger(0.0, "theirs", "c"))
    assert made.told(Sight(winner, 2), 0.2)
    assert waits(made, 0.2) == math.inf
    assert (made.answer, made.releasing) == ("busy", False)


def test_a_loser_that_nobody_tells_looks_at_once():
    made = bidder(free(), bid(mark()), sight=False)
    asked(made, free())
    writes(made, 0.0)
    made.failed(Conflict("another was faster"), 0.1)
    assert reads(made, 0.1)


def test_a_sight_of_the_winner_before_the_turn_spares_the_write():
    made = bidder(None, PlannedBid(JOB, None, (Claim(JOB, moment(0.0), "mine"),), turn=0.02))
    waits(made, 0.0)
    made.told(Sight(stored(version=2, ledger=ledger(0.0, "theirs", "c")), 2), 0.005)
    assert waits(made, 0.005) == math.inf
    assert (made.answer, made.raced) == ("busy", False)


def test_whoever_was_refused_knows_that_another_was_faster():
    made = asked(bidder(free(), bid(mark())), free())
    writes(made, 0.0)
    made.failed(Conflict("another was faster"), 0.1)
    assert made.raced
    made.start(1.0, bid(mark()))
    assert not made.raced


# The holder before


def test_the_lease_of_a_dead_holder_is_taken_with_the_claim():
    known = stored(ledger=ledger(state="c"))
    made = bidder(known, Scout())
    waits(made, 0.0)
    asked(made, known, DURATION)
    assert waits(made, DURATION) == math.inf  # the scout has seen that it is free
    assert made.is_free(0.0)
    made.start(DURATION, bid(mark()))
    answers(made, DURATION, 2)
    assert made.claims.interrupted == {JOB: mark(state="c")}


def test_the_interrupted_run_before_is_told_by_whoever_claims_over_it():
    made = asked(bidder(free(state="c"), bid(mark())), free(state="c"))
    assert made.claims.interrupted == {}
    answers(made, 0.0, 2)
    assert made.claims.interrupted == {JOB: mark(state="c")}


def test_attempts_that_were_cut_short_call_for_another_plan():
    text = f'{{"v":1,"jobs":{{"{JOB}":["{moment(-60.0).isoformat()}","before","d",null,[["{moment(-60.0).isoformat()}","before",1]]]}}}}'
    known = stored("", ledger=text)
    made = bidder(known, bid(mark()))
    waits(made, 0.0)
    assert made.answer == "declined"
    cut = Attempt(moment(-60.0), "before", 1)
    again = PlannedBid(
        JOB,
        Mark(moment(-60.0), "before", "d", attempts=(cut,)),
        (Claim(JOB, cut.fire, "again", repeats=True, after=cut),),
    )
    made.start(0.0, again)
    asked(made, known)
    write = answers(made, 0.0, 2)
    assert read_ledger(write.ledger)[JOB].attempts == (Attempt(cut.fire, "again", 2),)
    assert again.planned[0].outcome == "granted"


def test_a_scout_claims_nothing_and_takes_nothing():
    made = bidder(free(), Scout())
    assert waits(made, 0.0) == math.inf  # nor does it ask for the time
    assert (made.answer, made.hold) == ("declined", None)


def test_a_scout_waits_for_a_holder_that_lives():
    known = stored()
    made = bidder(known, Scout())
    assert waits(made, 0.0) <= DURATION
    made.told(Sight(renewed(known, 2.0), 2), 2.0)
    waits(made, 2.0)
    assert (made.answer, made.wanted) == ("busy", True)


# Writes whose outcome is unknown


def sent(wish=None, **more):
    """The taking write is under way, and no answer comes."""
    made = asked(bidder(free(), wish or bid(mark()), **more), free())
    write = writes(made, 0.0)
    made.failed(unknown(), 1.0)
    return made, write


def test_what_has_landed_is_taken_again_and_its_claim_is_granted_then():
    wish = bid(mark())
    made, write = sent(wish)
    landed = acknowledged(write, 2)
    asked(made, landed, waits(made, 1.0))
    assert (made.hold, wish.planned[0].outcome) == (None, None)  # no read gives a hold, and no claim is granted without
    again = answers(made, 3.0, 3)
    assert (again.ledger, again.replaces) == (None, landed)  # it is in the ledger already
    assert (made.hold.token, wish.planned[0].outcome) == (3, "granted")


def test_what_has_not_landed_is_sent_again_under_the_same_nonce():
    wish = bid(mark())
    made, write = sent(wish)
    asked(made, free(), waits(made, 1.0))
    again = answers(made, 3.0, 2)
    assert read_ledger(again.ledger)[JOB].nonce == read_ledger(write.ledger)[JOB].nonce
    assert wish.planned[0].outcome == "granted"


def test_what_lands_late_is_found_by_the_conflict_and_taken_again():
    wish = bid(mark())
    made, write = sent(wish)
    asked(made, free(), waits(made, 1.0))
    writes(made, 3.0)
    made.failed(Conflict("the first has landed"), 3.1)
    asked(made, acknowledged(write, 2), 3.1)
    answers(made, 3.1, 3)
    assert (made.hold.token, wish.planned[0].outcome) == (3, "granted")


def test_another_that_was_faster_ends_it():
    wish = bid(mark())
    made, _ = sent(wish)
    asked(made, stored(version=2, ledger=ledger(0.0, "theirs", "c")), waits(made, 1.0))
    assert waits(made, 3.0) == math.inf
    assert (made.answer, made.hold) == ("busy", None)


def test_another_that_has_come_and_gone_ends_it():  # also for a trigger that counts from its mark
    wish = bid(mark())
    made, _ = sent(wish)
    asked(made, stored("", version=3, ledger=ledger(-1.0, "theirs", "d")), waits(made, 1.0))
    assert waits(made, 3.0) == math.inf
    assert (made.answer, wish.planned[0].outcome) == ("declined", None)


def test_an_answer_that_is_read_too_late_gives_no_term():
    wish = bid(mark())
    made = asked(bidder(free(), wish), free())
    write = writes(made, 0.0)
    made.wrote(acknowledged(write, 2), sent_at=0.0, now=DEADLINE)
    assert (made.hold, made.answer) == (None, None)
    asked(made, acknowledged(write, 2), DEADLINE)
    answers(made, DEADLINE, 3)
    assert wish.planned[0].outcome == "granted"


def test_what_is_given_up_is_freed_if_it_has_landed():
    made, write = sent()
    made.stop(1.0)
    asked(made, acknowledged(write, 2), 1.0)
    freed = writes(made, 1.0)
    assert (freed.record.holder_identity, made.wanted) == ("", False)


def test_what_is_given_up_is_undone_as_it_was_granted_to_nobody():
    made, write = sent()
    made.stop(1.0)
    asked(made, acknowledged(write, 2), 1.0)
    assert read_ledger(writes(made, 1.0).ledger)[JOB] == mark()


def test_a_replica_that_closes_in_the_midst_of_a_bid_undoes_it_too():
    made = asked(bidder(free(), bid(mark())), free())
    write = writes(made, 0.0)
    made.release(0.0)
    made.wrote(acknowledged(write, 2), sent_at=0.0, now=0.1)
    freed = writes(made, 0.1)
    assert (freed.record.holder_identity, read_ledger(freed.ledger)[JOB]) == ("", mark())


def test_the_first_claim_of_a_job_is_undone_by_leaving_it_without_a_mark():
    made = asked(bidder(None, bid(None)), None)
    write = writes(made, 0.0)
    made.stop(0.0)
    made.wrote(acknowledged(write, 1), sent_at=0.0, now=0.1)
    assert read_ledger(writes(made, 0.1).ledger) == {}


def test_a_rerun_that_is_given_up_leaves_the_attempt_that_it_was_to_follow():
    cut = Attempt(moment(-60.0), "before", 1)
    text = f'{{"v":1,"jobs":{{"{JOB}":["{moment(-60.0).isoformat()}","before","d",null,[["{moment(-60.0).isoformat()}","before",1]]]}}}}'
    before = Mark(moment(-60.0), "before", "d", attempts=(cut,))
    known = stored("", ledger=text)
    made = bidder(known, PlannedBid(JOB, before, (Claim(JOB, cut.fire, "again", repeats=True, after=cut),)))
    asked(made, known)
    write = writes(made, 0.0)
    made.stop(0.0)
    made.wrote(acknowledged(write, 2), sent_at=0.0, now=0.1)
    assert read_ledger(writes(made, 0.1).ledger)[JOB] == before


def test_what_was_granted_is_not_undone():
    made = asked(bidder(free(), bid(mark())), free())
    answers(made, 0.0, 2)
    made.release(1.0)
    assert writes(made, 1.0).ledger is None
    assert read_ledger(made.seen.ledger)[JOB].nonce == "mine"


def test_a_later_bid_that_is_given_up_undoes_itself_alone():
    made = asked(bidder(free(), bid(mark())), free())
    answers(made, 0.0, 2)
    made.claims.done(JOB, "mine")
    made.release(1.0)
    answers(made, 1.0, 3)
    made.start(2.0, PlannedBid(JOB, Mark(moment(0.0), "mine", "d"), (Claim(JOB, moment(2.0), "next"),)))
    write = writes(made, 2.0)
    made.stop(2.0)
    made.wrote(acknowledged(write, 4), sent_at=2.0, now=2.1)
    assert read_ledger(writes(made, 2.1).ledger)[JOB] == Mark(moment(0.0), "mine", "d")


def test_what_is_given_up_and_has_not_landed_is_left():
    made, _ = sent()
    made.stop(1.0)
    asked(made, free(), 1.0)
    assert waits(made, 1.0) == math.inf


def test_a_refusal_that_is_certain_is_tried_again_by_the_same_bid():
    made = asked(bidder(free(), bid(mark())), free())
    writes(made, 0.0)
    made.failed(StoreError("503", outcome="not done"), 0.1)
    due = waits(made, 0.1)
    asked(made, free(), due)
    assert writes(made, due)


# Its end


def test_the_term_is_like_any_other():
    made = asked(bidder(free(), bid(mark())), free())
    answers(made, 0.0, 2)
    assert made.held_until == DEADLINE
    renewal = writes(made, PERIOD)
    assert (renewal.record.holder_identity, renewal.ledger) == (ME, None)


def test_the_next_bid_needs_no_look_right_after_a_release():
    made = asked(bidder(free(), bid(mark())), free())
    answers(made, 0.0, 2)
    made.claims.done(JOB, "mine")
    made.release(1.0)
    answers(made, 1.0, 3)
    nxt = PlannedBid(JOB, Mark(moment(0.0), "mine", "d"), (Claim(JOB, moment(2.0), "next"),))
    made.start(2.0, nxt)
    assert read_ledger(writes(made, 2.0).ledger)[JOB].nonce == "next"


def test_the_ledger_of_a_lease_that_vanished_is_in_the_new_one():
    made = bidder(free(), Scout())
    made.told(Sight(None, 5), 1.0)
    made.start(2.0, PlannedBid(JOB, mark(), (Claim(JOB, moment(0.0), "mine"),)))
    reads(made, 2.0)
    made.saw(None, 2.0)
    assert read_ledger(writes(made, 2.0).ledger)[JOB].fire - moment(0.0) == timedelta(0)


def test_a_run_off_schedule_takes_the_lease_and_leaves_the_mark():
    made = asked(bidder(free(), PlannedBid(JOB, mark(), ())), free())
    assert answers(made, 0.0, 2).ledger is None
    assert made.hold


def test_what_is_to_be_told_rides_in_the_write_that_takes_the_lease():
    made = Candidate(ME, Config(), Least())
    made.told(Sight(None, 1), 0.0)
    made.claims.introduce({JOB: moment(-5.0)})
    made.start(0.0, PlannedBid(JOB, None, ()))
    asked(made, None)
    assert read_ledger(answers(made, 0.0, 1).ledger)[JOB] == Mark(moment(-5.0), "", "d")


@pytest.mark.parametrize("error", [unknown(), StoreError("503", outcome="not done")])
def test_the_end_of_a_run_is_written_again_while_its_hold_would_have_lasted(error):
    made = asked(bidder(free(), bid(mark(), repeats=True)), free())
    taken = answers(made, 0.0, 2)
    made.claims.done(JOB, "mine")
    made.stop(1.0)
    writes(made, 1.0)
    made.failed(error, 1.1)
    assert made.releasing
    at = waits(made, 1.1)
    assert 1.1 < at < DEADLINE
    reads(made, at)
    made.saw(acknowledged(taken, 2), at)
    again = writes(made, at)
    assert again.record.holder_identity == ""
    assert read_ledger(again.ledger)[JOB].attempts == ()


def test_it_is_left_to_run_out_once_the_hold_would_have_ended():
    made = asked(bidder(free(), bid(mark())), free())
    answers(made, 0.0, 2)
    made.claims.done(JOB, "mine")
    made.stop(1.0)
    writes(made, 1.0)
    made.failed(unknown(), DEADLINE)
    assert not made.releasing
