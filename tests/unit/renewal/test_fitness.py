"""A candidacy that is to hold its lease only while something is so."""

import pytest

from unit.stage import until
from singleton_jobs.events import TermEnded


@pytest.fixture
def fitness():
    return {"is": True}


@pytest.fixture
def leading(replica, fitness, heard):
    leadership = replica.leadership("nightly")
    leadership.subscribe(heard)
    leadership._part.prepare().only_while(lambda now: fitness["is"])
    assert leadership.wait(timeout=5)
    return leadership


def lose(leading, fitness):
    fitness["is"] = False
    leading._part.candidacy.wake()
    until(lambda: leading._part.candidacy.unfit and not leading.is_leader)


def test_a_holder_that_is_unfit_lets_another_take_the_lease_at_once(leading, fitness, make_replica, heard):
    lose(leading, fitness)
    assert not heard.wait_for(TermEnded).lost
    assert make_replica().leadership("nightly").wait(timeout=5)


def test_its_running_work_loses_the_term_and_the_lease_runs_out(leading, fitness, heard, space):
    entry = object()
    term = leading._part.candidacy.work.enter(entry)
    lose(leading, fitness)
    assert term.lost.is_set()
    assert heard.wait_for(TermEnded).lost
    assert space.holder("nightly") == leading._part.candidacy.identity  # nobody knows what that work still does
    leading._part.candidacy.work.exit(entry)


def test_an_unfit_candidate_does_not_compete(leading, fitness, space):
    lose(leading, fitness)
    until(lambda: space.holder("nightly") == "")
    requests = space.requests
    leading._part.candidacy.wake()
    leading._part.candidacy.wake()
    assert not leading.wait(timeout=0.5)
    assert space.requests == requests


def test_one_that_is_fit_again_competes_again(leading, fitness):
    lose(leading, fitness)
    fitness["is"] = True
    leading._part.candidacy.wake()
    assert leading.wait(timeout=5)
