"""Claims by hand that are to be claimed again if they were cut short."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from singleton_jobs import ConfigError, InterruptedFire
from singleton_jobs.decisions.ledger import read_ledger
from singleton_jobs.events import FireInterrupted
from singleton_jobs.locks.record import LEDGER_ANNOTATION
from unit.stage import LIMIT, QUICK, until

NOW = datetime.now(UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def lead(make_replica, heard):
    """The next leader; the one before has ended in the midst of its work."""
    made = []

    def lead():
        if made:
            made[-1].close()
        made.append(make_replica(hooks=[heard]).leadership("nightly"))
        assert made[-1].wait(timeout=LIMIT)
        return made[-1]

    return lead


def rerun(leadership, fire=NOW, **more):
    return leadership.claim("report", fire, interrupted="rerun", **more)


def attempts(space):
    return read_ledger(space.annotations()[LEDGER_ANNOTATION])["app:report"].attempts


def test_the_next_leader_is_told_of_it_and_granted_it_again(lead, heard, space):
    assert rerun(lead())
    second = lead()
    assert second.interrupted("report") == [InterruptedFire(NOW, 1)]
    assert rerun(second)
    told = heard.wait_for(FireInterrupted)
    assert (told.time, told.attempt, told.then) == (NOW, 1, "rerun")
    assert second.interrupted("report") == []
    assert not rerun(second)
    assert lead().interrupted("report") == [InterruptedFire(NOW, 2)]


def test_what_is_done_is_not_interrupted(lead, space):
    first = lead()
    assert rerun(first)
    first.done("report", NOW)
    until(lambda: attempts(space) == ())
    assert lead().interrupted("report") == []


def test_several_are_told_oldest_first(lead):
    first = lead()
    assert rerun(first, NOW - SECOND)
    assert rerun(first, NOW)
    second = lead()
    assert second.interrupted("report") == [InterruptedFire(NOW - SECOND, 1), InterruptedFire(NOW, 1)]
    assert rerun(second, NOW - SECOND)  # though a later one was claimed before
    assert second.interrupted("report") == [InterruptedFire(NOW, 1)]


def test_after_its_attempts_it_is_given_up_and_refused(lead, heard, space):
    assert rerun(lead(), max_attempts=2)
    assert rerun(lead(), max_attempts=2)
    third = lead()
    assert third.interrupted("report", max_attempts=2) == []
    told = heard.wait_for(FireInterrupted, then="gave-up")
    assert told.attempt == 2
    assert not rerun(third, max_attempts=2)
    until(lambda: attempts(space) == ())


def test_a_plain_claim_says_that_nobody_runs_it_again(lead, heard, space):
    assert rerun(lead())
    second = lead()
    assert not second.claim("report", NOW)
    assert second.claim("report", NOW + SECOND)
    assert heard.wait_for(FireInterrupted).then == "skipped"
    assert second.interrupted("report") == []
    until(lambda: attempts(space) == ())


def test_what_is_done_is_done_though_somebody_has_asked_under_the_next_term(lead, clock):
    first = lead()
    assert rerun(first)
    clock.push(QUICK.renew_deadline)
    assert first.wait(timeout=LIMIT)
    assert first.interrupted("another") == []
    first.done("report", NOW)
    assert first.interrupted("report") == []
    assert rerun(first, NOW + SECOND)
    clock.push(QUICK.renew_deadline)
    assert first.wait(timeout=LIMIT)
    assert len(first.interrupted("report")) == 1
    first.done("report", NOW + SECOND)
    assert first.interrupted("report") == []


def test_what_this_very_process_has_claimed_is_interrupted_once_its_term_is_over(lead, clock):
    first = lead()
    assert rerun(first)
    assert first.interrupted("report") == []
    clock.push(QUICK.renew_deadline)
    assert first.wait(timeout=LIMIT)
    assert first.interrupted("report") == [InterruptedFire(NOW, 1)]
    assert rerun(first)


def test_who_does_not_lead_is_told_of_nothing(lead, make_replica):
    assert rerun(lead())
    assert make_replica().leadership("nightly").interrupted("report") == []


def test_of_what_was_not_claimed_so_there_is_nothing_to_end(lead, space):
    first = lead()
    first.done("report", NOW)
    assert first.claim("report", NOW)
    first.done("report", NOW)
    assert attempts(space) == ()


def test_coroutines_claim_so_too(lead):
    first = lead()
    assert asyncio.run(first.claim_async("report", NOW, interrupted="rerun"))
    assert lead().interrupted("report") == [InterruptedFire(NOW, 1)]


def test_what_cannot_work_is_refused(lead):
    first = lead()
    with pytest.raises(ConfigError, match="interrupted"):
        first.claim("report", NOW, interrupted="again")
    with pytest.raises(ConfigError, match="max_attempts"):
        first.interrupted("report", max_attempts=0)
    with pytest.raises(ConfigError, match="aware"):
        first.done("report", datetime(2026, 11, 22))
