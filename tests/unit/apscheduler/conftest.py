"""Guarded schedulers, shut down after each test."""

import pytest

from singleton_jobs_apscheduler import guard
from unit.apscheduler import work
from unit.apscheduler.site import Guarded, LedgerSpace, leads
from unit.stage import Heard


@pytest.fixture
def space():
    return LedgerSpace()


@pytest.fixture(autouse=True)
def ran():
    """What the jobs in `unit.apscheduler.work` were called with, under which fire and term."""
    work.RAN.clear()
    return work.RAN


@pytest.fixture
def replica(make_replica, heard):
    return make_replica(hooks=[heard])


@pytest.fixture
def shut():
    """Schedulers to shut down in the end."""
    schedulers = []
    yield schedulers
    for scheduler in schedulers:
        if scheduler.running:
            scheduler.shutdown()


@pytest.fixture
def make(replica, shut):
    """`make(**the scheduler's options)`: a scheduler, not started, guarded by the lease nightly."""

    def make(on=None, lease="nightly", kind=Guarded, poll=1.0, interrupted="skip", max_attempts=3, **options):
        scheduler = kind(timezone="UTC", **options)
        shut.append(scheduler)
        again = {"interrupted": interrupted, "max_attempts": max_attempts}
        scheduler.leadership = guard(scheduler, lease, replica=on or replica, poll=poll, **again)
        return scheduler

    return make


@pytest.fixture
def start(make):
    """`start(*jobs, **options)`: a scheduler that leads; each job is the arguments of ``add_job``."""

    def start(*jobs, **options):
        scheduler = make(**options)
        for job in jobs:
            scheduler.add_job(**job)
        scheduler.start()
        leads(scheduler.leadership)
        return scheduler

    return start
