"""A frozen clock does not stop the renewals."""

import pytest

from singleton_jobs.concurrency.clock import SYSTEM_CLOCK
from unit.stage import LIMIT, seen_by


def test_the_system_clock_goes_on():
    before = SYSTEM_CLOCK.now()
    assert SYSTEM_CLOCK.now() >= before


def test_a_frozen_time_does_not_stop_the_renewals(replica, space):
    freezegun = pytest.importorskip("freezegun")
    leadership = replica.leadership("nightly")
    leadership.wait(timeout=LIMIT)
    term = leadership.term
    with freezegun.freeze_time("2020-01-01", ignore=["kubernetes"]):
        version = space.leases["nightly"][1]
        seen_by(leadership._part.candidacy, lambda: space.leases["nightly"][1] >= version + 2)
        term.check()
    version = space.leases["nightly"][1]
    seen_by(leadership._part.candidacy, lambda: space.leases["nightly"][1] >= version + 1)
    assert leadership.term is term


def test_a_replica_started_under_a_frozen_time_leads(replica):
    freezegun = pytest.importorskip("freezegun")
    with freezegun.freeze_time("2020-01-01", ignore=["kubernetes"]):
        assert replica.leadership("nightly").wait(timeout=LIMIT)
