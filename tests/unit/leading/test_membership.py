"""Schedulers of one process that share a leadership: the last that ends gives the lease back."""

import os

import pytest

from singleton_jobs import ConfigError
from singleton_jobs.leading.membership import Membership
from singleton_jobs.leading.participant import part_of
from unit.concurrency.test_fork import in_child
from unit.stage import LIMIT, in_thread


@pytest.fixture
def leadership(replica):
    return replica.leadership("nightly")


def joined(leadership):
    member = Membership(leadership)
    member.join()
    return member


def test_without_a_store_there_is_none(make_replica, monkeypatch):
    monkeypatch.delenv("SINGLETON_JOBS_STORE", raising=False)
    with pytest.raises(ConfigError):
        Membership(make_replica(store="nonsense://").leadership("nightly"))


def test_it_tells_the_term_that_fires_may_be_claimed_under(leadership):
    member = joined(leadership)
    assert member.term is None
    assert leadership.wait(timeout=LIMIT)
    assert member.term is leadership.term
    part_of(leadership).begin_close()
    assert member.term is None


def test_only_the_last_one_ends_the_leadership(leadership, make_replica):
    one, other, elsewhere = joined(leadership), joined(leadership), joined(make_replica().leadership("nightly"))
    assert not one.end()
    assert other.end()
    assert elsewhere.end()


def test_one_that_was_forgotten_keeps_nothing(leadership):
    joined(leadership)
    assert joined(leadership).end()


def test_its_end_ends_a_wait(leadership):
    member = joined(leadership)
    wait = in_thread(lambda: member.wait(lambda: False))
    member.end()
    assert wait()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_in_a_child_the_schedulers_of_the_parent_take_no_part(leadership):
    member = joined(leadership)
    in_child(lambda: _assert(joined(leadership).end()))
    assert member.end()


def _assert(true):
    assert true
