"""Runs that are cut short, and run again as the same fire: by guards, and by claims by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .journal import Entry, Journal
from .processes import ReplicaProcess, Starter

pytestmark = pytest.mark.e2e

HOW = ["leader_only", "exclusive", "claim"]
TIMING = {"lease_duration": 3}


@pytest.fixture(params=["kubernetes", "sqlite"])
def env(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str | None]:
    return {"SINGLETON_JOBS_STORE": f"sqlite:///{tmp_path}/leases.sqlite3"} if request.param == "sqlite" else {}


def begins(journal: Journal, attempt: int) -> Entry:
    return journal.wait_for("begins", attempt=attempt)


def by(entry: Entry, replicas: list[ReplicaProcess]) -> ReplicaProcess:
    return next(replica for replica in replicas if replica.who == entry.who)


@pytest.mark.parametrize("how", HOW)
def test_a_run_that_a_crash_cuts_short_runs_again_elsewhere(
    start: Starter, journal: Journal, env: dict[str, str | None], how: str
) -> None:
    options: dict[str, Any] = {"lease": "job", "config": TIMING, "how": how, "takes": 2.0, "env": env}
    replicas = [start("reruns", **options) for _ in range(2)]
    first = begins(journal, 1)
    by(first, replicas).kill()
    again = begins(journal, 2)
    assert (again.time, again.who != first.who) == (first.time, True)
    ended = by(again, replicas).wait_for("ends", attempt=2)
    assert ended.time == first.time
    by(again, replicas).terminate()
    by(again, replicas).wait()
    last = start("reruns", **options)
    last.wait_for("started")
    if how == "claim":
        last.wait_for("TermStarted")
    else:  # a lock is not even taken
        last.wait_for("skipped", reason="too-soon")
    assert len(journal.entries("begins")) == 2, "what has ended does not run again"
    told = journal.entries("FireInterrupted")
    assert [(each.attempt, each.then) for each in told] == [(1, "rerun")]


@pytest.mark.parametrize("how", HOW)
def test_a_run_that_an_orderly_end_does_not_wait_for_runs_again_elsewhere(
    start: Starter, journal: Journal, env: dict[str, str | None], how: str
) -> None:
    options: dict[str, Any] = {"lease": "job", "config": TIMING, "how": how, "takes": 2.0, "env": env}
    replicas = [start("reruns", **options) for _ in range(2)]
    first = begins(journal, 1)
    by(first, replicas).terminate()  # a SystemExit in the midst of the run
    assert by(first, replicas).wait() == 143
    again = begins(journal, 2)
    assert again.time == first.time
    journal.wait_for("ends", attempt=2)
    assert not journal.entries("ends", attempt=1)


def test_a_run_that_kills_its_process_each_time_is_given_up(start: Starter, journal: Journal) -> None:
    options: dict[str, Any] = {"lease": "job", "config": TIMING, "how": "leader_only", "takes": 60.0}
    replicas = [start("reruns", **options) for _ in range(4)]
    for attempt in (1, 2, 3):
        by(begins(journal, attempt), replicas).kill()
    told = journal.wait_for("FireInterrupted", then="gave-up")
    assert told.attempt == 3
    assert [entry.attempt for entry in journal.entries("begins")] == [1, 2, 3]
