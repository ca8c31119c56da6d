"""Fires that were cut short run again where their owner wants it: after a crash, a drain, a loss, a broken pool."""

from __future__ import annotations

import time
from datetime import datetime
from itertools import pairwise

import pytest

from ..journal import Entry, boot_time, eventually
from .replicas import LOAD, Schedulers, Store, iso

pytestmark = pytest.mark.e2e

LONG = {"id": "long", "trigger": "cron", "at": {"second": "*/4"}, "kwargs": {"seconds": 1.5}, "coalesce": False}
AT_ONCE = 0.5  # seconds

own_and_shared = pytest.mark.parametrize("store", ["memory", "sqlite"], indirect=True)


def attempts(schedulers: Schedulers, job: str = "long", event: str = "run") -> list[tuple[float, int]]:
    """The fires and attempts of a job, in the order of their beginnings (or ends)."""
    return [(entry.nominal, entry.attempt) for entry in schedulers.journal.entries(event, job=job)]


def told(schedulers: Schedulers) -> list[tuple[float, int, str]]:
    """What was said of fires that were cut short."""
    found = schedulers.journal.entries("FireInterrupted")
    return [(datetime.fromisoformat(each.time).timestamp(), each.attempt, each.then) for each in found]


def in_the_midst(schedulers: Schedulers, job: str = "long", **fields: object) -> Entry:
    """The next such run, once it has been under way for a moment."""
    run = schedulers.journal.wait_for("run", after=boot_time(), job=job, **fields)
    time.sleep(0.5)
    return run


@own_and_shared
def test_a_run_that_was_killed_runs_again_at_once_and_before_later_fires(schedulers: Schedulers) -> None:
    schedulers.several(2, jobs=[LONG], interrupted="rerun")
    struck = in_the_midst(schedulers)
    leader = schedulers.leader()
    leader.process.kill()
    (successor,) = (each for each in schedulers.every if each is not leader)
    again = successor.process.wait_for("run", job="long")
    assert (again.nominal, again.attempt, again.key) == (struck.nominal, 2, "aps:default:long")
    assert again.at - successor.process.wait_for("TermStarted").at < AT_ONCE + LOAD
    schedulers.wait_until("long", struck.nominal + 8)
    begun, ended = attempts(schedulers), attempts(schedulers, event="ended")
    expected = [(struck.nominal, 2), (struck.nominal + 4, 1), (struck.nominal + 8, 1)]
    assert begun[begun.index((struck.nominal, 2)) :][:3] == expected
    assert [(nominal, attempt) for nominal, attempt in ended if nominal >= struck.nominal][:3] == expected
    runs = successor.process.entries("run", job="long")
    ends = successor.process.entries("ended", job="long")
    assert all(later.at >= end.at for end, (_, later) in zip(ends, pairwise(runs), strict=False))
    assert told(schedulers) == [(struck.nominal, 1, "rerun")]
    assert not schedulers.journal.entries("job overlapped")


@own_and_shared
def test_a_date_runs_again_until_it_has_ended_and_is_gone_then(schedulers: Schedulers, store: Store) -> None:
    schedulers.several(3, interrupted="rerun")
    due = int(time.time()) + 5
    for each in schedulers.every:
        at = {"run_date": iso(due)}
        each.tell("add_job", id="once", trigger="date", at=at, kwargs={"seconds": 3}, grace=60)
    for attempt in (1, 2):
        in_the_midst(schedulers, "once", attempt=attempt)
        schedulers.leader().process.kill()
    schedulers.journal.wait_for("ended", job="once", attempt=3)
    assert attempts(schedulers, "once") == [(due, 1), (due, 2), (due, 3)]
    assert told(schedulers) == [(due, 1, "rerun"), (due, 2, "rerun")]
    assert schedulers.leader().tell("get_jobs") == {}
    if store.url:
        eventually(lambda: store.rows() == {}, "the row is gone")


def test_what_outlives_the_drain_limit_is_cut_short_and_runs_again_elsewhere(schedulers: Schedulers) -> None:
    job = LONG | {"at": {"second": "*/15"}, "kwargs": {"seconds": 5}, "function": "work:check"}
    schedulers.several(2, jobs=[job], interrupted="rerun", drain=0.5)
    struck = in_the_midst(schedulers)
    leader = schedulers.leader()
    leader.end()
    (successor,) = (each for each in schedulers.every if each is not leader)
    ended = successor.process.wait_for("ended", job="long")
    assert (ended.nominal, ended.attempt) == (struck.nominal, 2)
    assert not leader.process.entries("ended", job="long")
    assert told(schedulers) == [(struck.nominal, 1, "rerun")]


def test_a_coroutine_that_was_cancelled_runs_again_here_too(schedulers: Schedulers) -> None:
    job = LONG | {"at": {"second": "*/15"}, "kwargs": {"seconds": 5}}
    leader = schedulers(jobs=[job], interrupted="rerun", scheduler="asyncio").ready()
    struck = in_the_midst(schedulers)
    leader.process.stop()
    time.sleep(2.5)  # longer than its hold
    leader.process.go_on()
    leader.process.wait_for("job failed", nominal=struck.nominal)
    ended = leader.process.wait_for("ended", job="long")
    assert (ended.nominal, ended.attempt) == (struck.nominal, 2)
    assert ended.token > struck.token
    assert attempts(schedulers)[:2] == [(struck.nominal, 1), (struck.nominal, 2)]


def test_a_job_that_breaks_its_pool_runs_again_here(schedulers: Schedulers) -> None:
    job = LONG | {"kwargs": {"times": 1}, "function": "work:die", "max_instances": 1}
    leader = schedulers(jobs=[job], interrupted="rerun", executor="processpool").ready()
    struck = leader.process.wait_for("run", job="long")
    ended = leader.process.wait_for("ended", job="long")
    assert (ended.nominal, ended.attempt) == (struck.nominal, 2)
    assert leader.tell("status")["alive"]
    assert told(schedulers)[0] == (struck.nominal, 1, "rerun")


def test_after_so_many_attempts_a_fire_is_given_up_and_the_next_one_is_due(schedulers: Schedulers) -> None:
    job = LONG | {"at": {"second": "*/10"}, "kwargs": {"times": 9}, "function": "work:die"}
    schedulers(jobs=[job], interrupted="rerun", max_attempts=2, executor="processpool").ready()
    struck = schedulers.journal.wait_for("run", job="long")
    schedulers.journal.wait_for("run", job="long", nominal=struck.nominal + 10)
    assert attempts(schedulers)[:3] == [(struck.nominal, 1), (struck.nominal, 2), (struck.nominal + 10, 1)]
    assert told(schedulers)[:2] == [(struck.nominal, 1, "rerun"), (struck.nominal, 2, "gave-up")]


def test_what_raised_is_not_repeated(schedulers: Schedulers) -> None:
    job = LONG | {"at": {"second": "*/2"}, "kwargs": {}, "function": "work:fail"}
    schedulers.several(2, jobs=[job], interrupted="rerun")
    schedulers.leader().process.wait_for("job failed", job="long", count=2)
    schedulers.leader().process.kill()
    schedulers.journal.wait_for("job failed", job="long", count=4)
    runs = attempts(schedulers)
    assert len(set(runs)) == len(runs)
    assert {attempt for _, attempt in runs} == {1}
