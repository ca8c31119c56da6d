"""Whoever leads, and however often that changes: no fire is lost, and none runs twice."""

from __future__ import annotations

import time

import pytest

from ..journal import Journal, boot_time, eventually
from .fires import Verdict
from .replicas import GRACE, Schedulers, mid_second, wall

pytestmark = pytest.mark.e2e

CLEAN = Verdict([], [], [])
# A pool of processes may take seconds to begin its first run, while APScheduler would skip what is due beside it.
EACH_SECOND = {"id": "tick", "trigger": "cron", "at": {"second": "*"}, "coalesce": False, "max_instances": 9}

all_stores = pytest.mark.parametrize("store", ["memory", "sqlite", "postgresql"], indirect=True)


@pytest.mark.parametrize(
    ("store", "scheduler", "executor", "through"),
    [
        pytest.param("memory", "background", "threadpool", "executor", id="memory-background-threadpool-executor"),
        pytest.param("sqlite", "blocking", "processpool", "jobstore", id="sqlite-blocking-processpool-jobstore"),
        pytest.param("postgresql", "asyncio", None, "guard", id="postgresql-asyncio-guard"),
    ],
    indirect=["store"],
)
def test_behaviour_01_each_fire_runs_once(
    schedulers: Schedulers, scheduler: str, executor: str | None, through: str
) -> None:
    schedulers.several(3, scheduler=scheduler, executor=executor, through=through, jobs=[EACH_SECOND])
    schedulers.wait_until("tick", 0)
    end = int(schedulers.fires("tick")[0]) + 9  # three leases
    assert schedulers.verdict("tick", end) == CLEAN
    runs = schedulers.runs("tick")
    assert len({(run.who, run.token) for run in runs}) == 1
    assert {run.key for run in runs} == {"aps:default:tick"}
    assert max(run.wall - run.nominal for run in runs) < 3  # none of them only because of its grace
    for name in ("job failed", "job missed", "job overlapped"):
        assert not schedulers.journal.entries(name)


@all_stores
def test_behaviour_02_fires_outlive_killed_leaders(schedulers: Schedulers) -> None:
    schedulers.several(3, jobs=[EACH_SECOND])
    for _ in range(2):
        schedulers.journal.wait_for("ended", after=boot_time(), job="tick")
        mid_second()
        leader = schedulers.leader()
        leader.process.kill()
        schedulers(jobs=[EACH_SECOND])
        schedulers.journal.wait_for("run", after=boot_time(), job="tick")
        assert schedulers.leader() is not leader
    assert schedulers.verdict("tick", int(time.time()) + 1) == CLEAN
    assert len({run.token for run in schedulers.runs("tick")}) == 3
    assert max(run.wall - run.nominal for run in schedulers.runs("tick")) < GRACE


@all_stores
def test_behaviour_11_an_outage_is_caught_up_one_by_one_or_at_once(schedulers: Schedulers) -> None:
    jobs = [EACH_SECOND | {"id": "all"}, EACH_SECOND | {"id": "last", "coalesce": True}]
    for each in schedulers.several(2, jobs=jobs):
        each.process.wait_for("started")
    for job in ("all", "last"):
        schedulers.wait_until(job, schedulers.journal.wait_for("run", job=job).nominal + 2)
    mid_second()
    for each in schedulers.every:
        each.process.kill()
    killed = time.time()
    time.sleep(1)
    again = schedulers(jobs=jobs).ready()
    led = wall(again.process.wait_for("TermStarted"))
    end = int(led) + 3
    assert led - killed < GRACE - 2, "too slow a machine for this test"
    assert schedulers.verdict("all", end) == CLEAN
    missed, doubled, strange = schedulers.verdict("last", end)
    assert not doubled
    assert not strange
    caught_up = [fire for fire in schedulers.fires("last") if killed < fire <= led]
    assert len(caught_up) <= 1
    first = min(fire for fire in schedulers.fires("last") if fire > killed)
    assert led - 1.5 < first < led + 2  # the latest that was due
    # A slow machine may coalesce later ones as well.
    assert [fire for fire in missed if fire < first] == [fire for fire in range(int(killed) + 1, int(first))]
    assert {run.who for run in schedulers.runs("all") if run.nominal > killed} == {again.who}


@pytest.mark.parametrize("store", ["memory", "postgresql"], indirect=True)
def test_behaviour_12_a_successor_does_not_rerun_the_last_fire(schedulers: Schedulers) -> None:
    every = 2
    jobs = [{"id": "slow", "trigger": "cron", "at": {"second": f"*/{every}"}, "grace": 60, "coalesce": False}]
    schedulers.several(3, jobs=jobs)
    for leave in ("end", "kill"):
        now = boot_time()
        run = schedulers.journal.wait_for("ended", after=now, job="slow")
        leader = next(each for each in schedulers.every if each.who == run.who)
        if leave == "end":
            leader.end()
        else:
            leader.process.kill()
        successor = schedulers.journal.wait_for("TermStarted", after=run.at)
        assert successor.who != run.who
        schedulers.journal.wait_for("ended", who=successor.who, job="slow")
    assert schedulers.verdict("slow", time.time(), every=every) == CLEAN
    assert len({run.who for run in schedulers.runs("slow")}) == 3


def test_behaviour_15_intervals_and_jitter_run_once_a_period_whoever_leads(schedulers: Schedulers) -> None:
    every = 2.0
    jobs = [
        {"id": "steady", "trigger": "interval", "at": {"seconds": every}, "coalesce": False},
        {"id": "shaky", "trigger": "interval", "at": {"seconds": every, "jitter": 1}, "coalesce": False},
    ]
    for delay in (0.3, 0.7, 0):  # so that they count from different moments
        schedulers(jobs=jobs).ready()
        time.sleep(delay)
    now = boot_time()
    schedulers.journal.wait_for("ended", after=now, job="shaky", count=2)
    leader = schedulers.leader()
    leader.process.kill()
    eventually(lambda: schedulers.leader() is not leader)
    for job in ("steady", "shaky"):
        schedulers.journal.wait_for("run", who=schedulers.leader().who, job=job)
    end = time.time() + every
    for job in ("steady", "shaky"):
        schedulers.wait_until(job, end)
        assert schedulers.verdict(job, end, begin=schedulers.fires(job)[0], every=every) == CLEAN
        assert len({run.who for run in schedulers.runs(job)}) == 2
    delays = [run.wall - run.nominal for run in schedulers.runs("shaky")]
    assert max(delays) - min(delays) > 0.05  # jitter moves the run, not its name


@all_stores
def test_behaviour_18_a_rolling_update_costs_no_fire(schedulers: Schedulers) -> None:
    old = schedulers.several(2, jobs=[EACH_SECOND])
    schedulers.wait_until("tick", 0)
    for each in old:
        schedulers(jobs=[EACH_SECOND]).ready()
        assert each.end() == 0
    now = boot_time()
    last = schedulers.journal.wait_for("run", after=now, job="tick")
    assert last.who not in {each.who for each in old}
    assert schedulers.verdict("tick", int(time.time()) + 1) == CLEAN
    assert not schedulers.journal.entries("FireInterrupted")
    for ended in schedulers.journal.entries("TermEnded"):
        assert not ended.lost


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_behaviour_19_clocks_may_differ_by_seconds(schedulers: Schedulers) -> None:
    jobs = [EACH_SECOND | {"grace": 60}]
    slow = schedulers(skew=-5, jobs=jobs).ready()
    schedulers.wait_until("tick", 0)
    fast = schedulers(skew=5, jobs=jobs).ready()
    mid_second()
    slow.process.kill()
    ahead = fast.process.wait_for("ended", job="tick", count=12)
    right = schedulers(jobs=jobs).ready()
    mid_second()
    fast.process.kill()
    right.process.wait_for("ended", job="tick", count=2)
    assert ahead.who == fast.who
    assert schedulers.verdict("tick", schedulers.fires("tick")[-1]) == CLEAN
    last = [run for run in schedulers.runs("tick") if run.who == right.who]
    assert last[0].nominal > max(schedulers.fires("tick", who=fast.who))
