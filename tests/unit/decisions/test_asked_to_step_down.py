"""A holder that is asked to step down obeys, once its work has ended; anybody else drops the request."""

import asyncio
from dataclasses import replace

import pytest

from singleton_jobs.events import StepDownRequested, TermEnded
from unit.harness import ME, OTHER, acknowledged, leader, writes
from unit.stage import LIMIT, ClaimedSpace, Heard, seen_by, until

STEP_DOWN = "singleton-jobs/step-down"


def ask(space, whom=None, lease="nightly"):
    """As `singleton-jobs step-down` asks, or whoever names another."""
    if whom is not None:
        space.annotate(STEP_DOWN, whom, lease)
        return

    async def request():
        lock = space.lock(lease, "operator")
        return await lock.request_step_down(await lock.get())

    asyncio.run(request())


@pytest.fixture
def space():
    return ClaimedSpace()


# At the desk


@pytest.mark.parametrize(("whom", "asked"), [(ME, True), (OTHER, False)])
def test_only_the_holder_that_is_named_is_asked(whom, asked):
    made = leader()
    write = writes(made, 2.0)
    made.saw(replace(acknowledged(write, 2), raw={"metadata": {"annotations": {STEP_DOWN: whom}}}), 2.1)
    assert made.asked_to_step_down is asked


def test_a_follower_is_asked_for_nothing():
    made = leader()
    made.release(1.0)
    assert made.asked_to_step_down is False


# A replica


def test_the_holder_hands_over_and_lets_another_lead(make_replica, space):
    first, second = make_replica(), make_replica()
    heard = Heard()
    leadership = first.leadership("nightly")
    leadership.subscribe(heard)
    assert leadership.wait(LIMIT)
    other = second.leadership("nightly")
    other.start()
    ask(space)
    assert other.wait(LIMIT)
    assert heard.wait_for(StepDownRequested).identity == first.identity
    ended = heard.wait_for(TermEnded)
    assert (ended.lost, ended.ended) == (False, "released")
    assert STEP_DOWN not in space.annotations()
    assert not leadership.is_leader


def test_running_work_comes_to_its_end_first(make_replica, space):
    replica = make_replica()
    leadership = replica.leadership("nightly")
    assert leadership.wait(LIMIT)
    candidacy = leadership._part.candidacy
    term = candidacy.work.enter("work")
    ask(space)
    seen_by(candidacy, lambda: candidacy.work.draining)
    version = space.leases["nightly"][1]
    seen_by(candidacy, lambda: space.leases["nightly"][1] >= version + 2)
    assert term.is_valid
    assert space.holder("nightly") == replica.identity
    candidacy.work.exit("work")
    until(lambda: space.holder("nightly") == "")


@pytest.mark.parametrize("whom", [OTHER, ""])
def test_a_request_that_names_somebody_else_is_dropped(replica, space, whom):
    leadership = replica.leadership("nightly")
    assert leadership.wait(LIMIT)
    token = leadership.term.fencing_token
    ask(space, whom)
    seen_by(leadership._part.candidacy, lambda: STEP_DOWN not in space.annotations())
    assert leadership.term.fencing_token == token


def test_who_takes_the_lease_drops_what_its_last_holder_was_asked(replica, space):
    space.put("nightly", "")
    space.annotate(STEP_DOWN, "gone_1")
    space.annotate("example.com/note", "keep me")
    assert replica.leadership("nightly").wait(LIMIT)
    assert space.annotations() == {"example.com/note": "keep me"}


def test_a_lock_is_kept_by_who_took_it(replica, space):
    locker = replica.locker("rebuild")
    assert locker.lock(LIMIT)
    ask(space, lease="rebuild")
    seen_by(locker._part.candidacy, lambda: STEP_DOWN not in space.annotations("rebuild"))
    assert locker.is_held
    assert not locker._part.candidacy.work.draining
    locker.unlock()
