"""A leader is killed before a fire, and its program started again after it: definitions that are taken from the clock."""

from __future__ import annotations

import time

import pytest

from .replicas import Schedulers, seconds_of, sleep_until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("store", ["memory", "sqlite"], indirect=True),
]

MONTH = 30 * 86400.0  # seconds


def test_what_was_due_before_the_program_was_started_again_runs_once(schedulers: Schedulers) -> None:
    due = int(time.time()) + 12  # a busy machine may need most of it to start a program
    while due % 60 > 50:  # the fires of a minute that begins meanwhile are none of those that are looked at
        due += 1
    cron = {"trigger": "cron", "at": seconds_of(due), "grace": 30}
    jobs = [
        {"id": "plain", **cron},
        {"id": "start", **cron, "made": {"start_date": 0}},
        {"id": "soon", **cron, "made": {"start_date": 2}},
        {"id": "both", **cron, "made": {"start_date": 0, "end_date": MONTH}},
        {"id": "end", **cron, "made": {"end_date": MONTH}},
    ]
    (leader,) = schedulers.several(1, jobs=jobs)
    leader.process.wait_for("TermStarted")
    assert time.time() < due - 0.7, "the first program was too slow to see the fire coming"
    sleep_until(due - 0.7)
    leader.process.kill()
    sleep_until(due + 1.5)
    successor = schedulers(jobs=jobs)
    fired = ("plain", "start", "soon", "both", "end")
    for job in fired:
        schedulers.wait_until(job, due)
    assert {job: schedulers.fires(job) for job in fired} == {job: [due] for job in fired}
    assert {run.who for job in fired for run in schedulers.runs(job)} == {successor.who}
    moved = [line for line in successor.process.output.splitlines() if " moves " in line or "has moved" in line]
    assert len(moved) == len({line.partition(" job ")[2] for line in moved})
    for job in ("start", "soon", "both"):
        assert any(f"job {job}: " in line for line in moved), successor.process.output
