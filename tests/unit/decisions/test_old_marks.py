"""Marks of jobs that run seldom."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from singleton_jobs.locks import LockRecord
from singleton_jobs.locks.record import merge_lease

DAY = timedelta(days=1)


def put(space, marks):
    """A free lease whose ledger has these marks."""
    jobs = {job: [fire.isoformat(), "x", "d"] for job, fire in marks.items()}
    body = json.dumps(merge_lease(None, LockRecord(), json.dumps({"v": 1, "jobs": jobs})))
    space.leases["nightly"] = ("uid", space.next_version(), body, 0.0)


def job(replica, name, days):
    return replica.leader_only(lease="nightly", at_most_every=days * DAY, job=name)(lambda: "ran")


def test_a_job_that_runs_seldom_is_not_run_early(replica, space):
    put(space, {"fn:rare": datetime.now(UTC) - 40 * DAY})
    assert job(replica, "rare", days=60)().reason == "too-soon"


def test_a_job_that_runs_seldom_is_not_forgotten_for_the_claims_of_others(replica, space):
    put(space, {"fn:rare": datetime.now(UTC) - 40 * DAY})
    often, rare = job(replica, "often", days=1), job(replica, "rare", days=60)
    assert often() == "ran"
    assert rare().reason == "too-soon"


def test_a_job_that_nobody_here_has_is_forgotten_after_a_month(replica, space):
    put(space, {"fn:gone": datetime.now(UTC) - 31 * DAY, "fn:late": datetime.now(UTC) - 29 * DAY})
    often = job(replica, "often", days=1)
    assert often() == "ran"
    assert often.leadership._part.candidacy.fires.mark("fn:gone") is None
    assert often.leadership._part.candidacy.fires.mark("fn:late") is not None
