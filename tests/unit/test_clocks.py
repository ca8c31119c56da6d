"""Neither a frozen nor a cooperative clock stops the renewals."""

import importlib.util

import pytest

from singleton_jobs.clock import SYSTEM_CLOCK
from unit.programs import run
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
        seen_by(leadership.candidacy, lambda: space.leases["nightly"][1] >= version + 2)
        term.check()
    version = space.leases["nightly"][1]
    seen_by(leadership.candidacy, lambda: space.leases["nightly"][1] >= version + 1)
    assert leadership.term is term


def test_a_replica_started_under_a_frozen_time_leads(replica):
    freezegun = pytest.importorskip("freezegun")
    with freezegun.freeze_time("2020-01-01", ignore=["kubernetes"]):
        assert replica.leadership("nightly").wait(timeout=LIMIT)


needs_gevent = pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="gevent is not installed")

PATCHED = """
from gevent import monkey; monkey.patch_all()
import time
from singleton_jobs import Config, Replica
from singleton_jobs.locks import MemorySpace
space = MemorySpace()
replica = Replica(store=space, config=Config(lease_duration=3, retry_period=0.1))
@replica.leader_only(lease="nightly")
def job():
    return "ran"
"""


@needs_gevent
def test_guards_and_lockers_work_under_gevent():
    out = run(
        PATCHED
        + """
assert job() == "ran"
locker = replica.locker("rebuild")
assert locker.try_lock() and not replica.locker("rebuild").try_lock() and locker.unlock()
print(job())
replica.close()
"""
    )
    assert out == "ran\n"


@needs_gevent
def test_a_greenlet_that_never_yields_does_not_starve_the_renewals():
    out = run(
        PATCHED
        + """
job()
before = space.leases["nightly"][1]
end = time.monotonic() + 0.8
while time.monotonic() < end:
    pass
print(space.leases["nightly"][1] - before >= 4, job())
replica.close()
"""
    )
    assert out == "True ran\n"


@needs_gevent
def test_greenlets_wait_without_stopping_the_others():
    out = run(
        PATCHED
        + """
import gevent
locker, other = replica.locker("rebuild"), replica.locker("rebuild")
locker.try_lock()
waiting = gevent.spawn(other.lock, 10)
gevent.sleep(0.1)
locker.unlock()
print(waiting.get(timeout=10), other.unlock())
replica.close()
"""
    )
    assert out == "True True\n"
