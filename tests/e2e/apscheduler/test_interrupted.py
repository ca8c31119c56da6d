"""A leader that is stopped or killed at the worst moment, and what listeners and hooks are told."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from ..journal import boot_time, eventually
from .fires import Verdict, judge
from .replicas import GRACE, Schedulers, iso, mid_second, seconds_of, sleep_until

pytestmark = pytest.mark.e2e

CLEAN = Verdict([], [], [])
EACH_SECOND = {"id": "tick", "trigger": "cron", "at": {"second": "*"}, "coalesce": False}

all_stores = pytest.mark.parametrize("store", ["memory", "sqlite", "postgresql"], indirect=True)


@pytest.mark.parametrize("store", ["memory", "postgresql"], indirect=True)
def test_behaviour_03_a_stopped_leader_that_goes_on_is_granted_nothing(schedulers: Schedulers) -> None:
    schedulers.several(2, jobs=[EACH_SECOND])
    schedulers.wait_until("tick", 0)
    leader = schedulers.leader()
    leader.send("arm", id="tick", what="stop before the claim")
    struck = leader.process.wait_for("struck")  # in the middle of a pass, which it will go on with
    (successor,) = (each for each in schedulers.every if each is not leader)
    successor.process.wait_for("ended", job="tick", count=4)
    leader.process.go_on()
    skipped = leader.process.wait_for("FireSkipped", job="aps:default:tick")
    assert datetime.fromisoformat(skipped.time).timestamp() == struck.nominal
    assert schedulers.verdict("tick", int(time.time()) + 1) == CLEAN
    (run,) = (run for run in schedulers.runs("tick") if run.nominal == struck.nominal)
    assert run.who == successor.who
    assert leader.tell("status")["alive"]
    mid_second()
    successor.process.kill()  # what has woken up late leads as well as any other
    leader.process.wait_for("run", after=boot_time(), job="tick")
    assert schedulers.verdict("tick", int(time.time()) + 1) == CLEAN


@pytest.mark.parametrize("store", ["memory", "sqlite"], indirect=True)
def test_behaviour_04_killed_between_claim_and_run(schedulers: Schedulers) -> None:
    schedulers.several(2, jobs=[EACH_SECOND])
    schedulers.wait_until("tick", 0)
    leader = schedulers.leader()
    leader.send("arm", id="tick", what="kill after the claim")
    struck = leader.process.wait_for("struck")
    (successor,) = (each for each in schedulers.every if each is not leader)
    told = successor.process.wait_for("FireInterrupted")
    assert told.job == "aps:default:tick"
    assert datetime.fromisoformat(told.time).timestamp() == struck.nominal
    missed, doubled, strange = schedulers.verdict("tick", int(time.time()) + 1)
    assert missed == [struck.nominal]  # skipped and reported: nobody can know how far it came
    assert not doubled
    assert not strange
    assert len(schedulers.interrupted("tick")) == 1


@pytest.mark.parametrize("store", ["memory", "sqlite"], indirect=True)
def test_behaviour_05_a_grace_that_is_too_short_is_said_and_missed_fires_are_told(schedulers: Schedulers) -> None:
    schedulers.several(2, jobs=[EACH_SECOND])
    schedulers.wait_until("tick", 0)
    first = int(time.time()) + 3
    due = first + 2
    at = {"trigger": "cron", "at": seconds_of(first, due, due + 1), "coalesce": False}
    for each in schedulers.every:
        each.tell("add_job", id="short", grace=1, **at)
        each.tell("add_job", id="usual", **at)
        log = each.process.output
        assert any("WARNING" in line and "short" in line and str(GRACE) in line for line in log.splitlines()), log
        assert any("INFO" in line and "usual" in line and str(GRACE) in line for line in log.splitlines()), log
        assert not any("WARNING" in line and "usual" in line for line in log.splitlines()), log
    for job in ("short", "usual"):
        schedulers.wait_until(job, first)
    sleep_until(due - 0.5)
    leader = schedulers.leader()
    leader.process.kill()
    schedulers.wait_until("usual", due + 1)
    (successor,) = (each for each in schedulers.every if each is not leader)
    missed = successor.process.wait_for("job missed", job="short")
    assert missed.nominal == due + 1  # what was missed is told by its latest
    schedulers.wait_until("tick", int(time.time()) + 1)
    assert schedulers.fires("short") == [first]
    assert schedulers.fires("usual") == [first, due, due + 1]
    assert [entry.nominal for entry in schedulers.journal.entries("job missed")] == [due + 1]


@all_stores
def test_behaviour_10_a_date_runs_once_and_every_scheduler_lives(schedulers: Schedulers) -> None:
    schedulers.several(3, jobs=[EACH_SECOND])
    due = int(time.time()) + 3
    date = {"id": "once", "trigger": "date", "at": {"run_date": iso(due)}}
    for each in schedulers.every:
        each.tell("add_job", **date)
    schedulers.wait_until("once", due)
    late = schedulers(jobs=[EACH_SECOND, date]).ready()  # within the grace, it adds the job again
    mid_second()
    schedulers.leader().process.kill()
    schedulers.wait_until("tick", int(time.time()) + 1)
    alive = [each for each in schedulers.every if each.process.running]
    assert late in alive
    for each in alive:
        assert each.tell("status")["alive"], each.process.output
    assert schedulers.fires("once") == [due]
    eventually(lambda: "once" not in schedulers.leader().tell("get_jobs"), "the job is gone")
    assert schedulers.verdict("tick", int(time.time()) + 1) == CLEAN


@pytest.mark.parametrize("store", ["memory", "sqlite"], indirect=True)
def test_a_run_of_a_trigger_of_the_programs_own_is_not_run_again_by_the_next_leader(schedulers: Schedulers) -> None:
    later = {"id": "later", "trigger": "Later", "at": {"second": "*/2"}, "kwargs": {"seconds": 1.2}, "max_instances": 9}
    schedulers.several(2, jobs=[later | {"coalesce": False}])
    leader = schedulers.leader()
    struck = leader.process.wait_for("run", job="later")
    leader.process.kill()
    (successor,) = (each for each in schedulers.every if each is not leader)
    successor.process.wait_for("ended", job="later", count=2)
    fires = schedulers.fires("later")
    missed, doubled, strange = judge(fires, every=2, begin=struck.nominal, end=fires[-1], phase=0.25, edge=0)
    assert not doubled
    assert not strange
    told = [datetime.fromisoformat(time).timestamp() for time in schedulers.interrupted("later")]
    assert struck.nominal in told
    assert set(missed) <= set(told)
    assert all(entry.nominal for entry in schedulers.journal.entries("run", job="later"))
