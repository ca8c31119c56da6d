"""The leases of a spread guard's jobs: watched as long as their replica takes part."""

import pytest

from singleton_jobs.leading.spread import SpreadLeases
from unit.stage import until


@pytest.fixture
def replica(make_replica):
    return make_replica()


@pytest.fixture
def part(replica):
    return SpreadLeases(replica._core, "spread", None).part("job")


def watched(part):
    return part.candidacy.following.how != "polling"


def test_the_lease_of_a_job_is_watched_before_anybody_wants_it(part):
    part.open(listener=bool)
    until(lambda: watched(part))


def test_a_replica_that_has_closed_is_told_of_nothing_more(replica, part):
    part.open(listener=bool)
    until(lambda: watched(part))
    replica.close()
    until(lambda: not watched(part))


def test_a_job_that_is_gone_is_told_of_nothing_more(part):
    part.open(listener=bool)
    until(lambda: watched(part))
    part.forget()
    until(lambda: not watched(part))
