"""Job stores that all replicas share: followers read and write them, and only the leader fires."""

from __future__ import annotations

import time

import pytest

from ..journal import boot_time, eventually
from .fires import Verdict
from .replicas import LOAD, NEW_CODE, Schedulers, cpu_seconds, iso, mid_second, seconds_of, sleep_until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True),
]

CLEAN = Verdict([], [], [])
EACH_SECOND = {"id": "tick", "trigger": "cron", "at": {"second": "*"}, "coalesce": False}
POLL = 1.0  # seconds: guard's default


def test_behaviour_06_a_follower_that_shuts_down_consumes_nothing(schedulers: Schedulers) -> None:
    schedulers.several(2, jobs=[EACH_SECOND])
    schedulers.wait_until("tick", 0)
    leader = schedulers.leader()
    (follower,) = schedulers.followers()
    due = int(time.time()) + 3
    leader.tell("add_job", id="due", trigger="cron", at=seconds_of(due))
    sleep_until(due - 0.25)
    leader.process.stop()  # for less than its hold lasts
    sleep_until(due + 0.1)
    before = schedulers.store.rows()
    follower.tell("shutdown")
    after = schedulers.store.rows()
    leader.process.go_on()
    assert before["due"] == due
    assert after == before
    schedulers.wait_until("due", due)
    assert follower.process.wait() == 0
    assert schedulers.verdict("tick", int(time.time()) + 1) == CLEAN
    assert schedulers.fires("due") == [due]


def test_behaviour_07_a_restart_with_replace_existing_leaves_a_pending_fire(schedulers: Schedulers) -> None:
    schedulers.several(2, jobs=[EACH_SECOND])
    schedulers.wait_until("tick", 0)
    first = int(time.time()) + 2
    due = first + 2
    job = {"id": "due", "trigger": "cron", "at": seconds_of(first, due)}
    leader = schedulers.leader()
    (follower,) = schedulers.followers()
    leader.tell("add_job", **job)
    schedulers.wait_until("due", first)
    sleep_until(due - 0.5)
    leader.process.kill()
    restarted = schedulers(jobs=[EACH_SECOND, job])
    sleep_until(due + 0.2)
    follower.tell("add_job", **job)
    assert schedulers.store.rows()["due"] == due
    busy = cpu_seconds(follower)
    time.sleep(1)
    assert cpu_seconds(follower) - busy < 0.15  # it waits to be woken, whatever is due
    restarted.ready()
    schedulers.wait_until("due", due)
    assert schedulers.verdict("tick", int(time.time()) + 1) == CLEAN
    assert schedulers.fires("due") == [first, due]


def test_behaviour_07_an_interval_that_is_added_again_and_again_keeps_its_phase(schedulers: Schedulers) -> None:
    every = 1.5
    job = {"id": "steady", "trigger": "interval", "at": {"seconds": every}, "coalesce": False}
    schedulers.several(2, jobs=[job])
    schedulers.wait_until("steady", 0)
    (follower,) = schedulers.followers()
    for _ in range(7):
        follower.tell("add_job", **job)
        time.sleep(1)
    end = time.time()
    assert schedulers.verdict("steady", end, begin=schedulers.fires("steady")[0], every=every) == CLEAN
    assert len({run.token for run in schedulers.runs("steady")}) == 1


def test_behaviour_08_the_leader_obeys_what_a_follower_changes(schedulers: Schedulers) -> None:
    schedulers.several(2)
    leader = schedulers.leader()
    (follower,) = schedulers.followers()

    added = boot_time()
    follower.tell("add_job", **EACH_SECOND | {"kwargs": {"tag": "old"}})
    first = schedulers.journal.wait_for("run", job="tick", tag="old")
    assert first.who == leader.who
    assert first.at - added < POLL + 1 + LOAD

    modified = boot_time()
    follower.tell("modify_job", id="tick", kwargs={"job": "tick", "tag": "new"})
    schedulers.journal.wait_for("run", job="tick", tag="new")
    old = schedulers.journal.entries("run", job="tick", tag="old")
    assert old[-1].at - modified < POLL + 1 + LOAD

    soon = time.time() + 2
    follower.tell("add_job", id="once", trigger="date", at={"run_date": iso(soon)})
    run = schedulers.journal.wait_for("run", job="once")
    assert run.wall - soon < POLL + LOAD

    follower.tell("add_job", id="yearly", trigger="cron", at={"month": 1, "day": 1})
    wanted = boot_time()
    follower.tell("run_now", id="yearly")
    off_schedule = schedulers.journal.wait_for("run", job="yearly")
    assert off_schedule.at - wanted < POLL + LOAD
    assert off_schedule.nominal is None
    assert off_schedule.token == first.token

    follower.tell("remove_job", id="tick")
    removed = boot_time()
    time.sleep(POLL + 1)
    count = len(schedulers.runs("tick"))
    time.sleep(1.5)
    assert len(schedulers.runs("tick")) == count
    assert schedulers.runs("tick")[-1].at - removed < POLL + 1
    assert "tick" not in leader.tell("get_jobs")
    assert leader.tell("status")["alive"]
    assert schedulers.verdict("tick", schedulers.fires("tick")[-1]) == CLEAN
    assert {entry.who for entry in schedulers.journal.entries("run")} == {leader.who}


def test_behaviour_08_a_change_that_undoes_the_leaders_own_reruns_nothing(schedulers: Schedulers) -> None:
    """A follower that changes a job reads and writes its whole row: what the leader wrote in between is gone."""
    schedulers.several(2, jobs=[EACH_SECOND])
    schedulers.wait_until("tick", int(time.time()) + 1)
    read = schedulers.store.row("tick")
    schedulers.wait_until("tick", int(time.time()) + 2)
    schedulers.store.put_back(read)
    assert schedulers.verdict("tick", int(time.time()) + 2) == CLEAN
    assert len({run.token for run in schedulers.runs("tick")}) == 1


def test_behaviour_09_old_code_deletes_no_new_job(schedulers: Schedulers) -> None:
    new = EACH_SECOND | {"id": "new", "function": "new_work:run"}
    updated = schedulers(path=[NEW_CODE], jobs=[EACH_SECOND, new]).ready()
    schedulers.wait_until("new", 0)
    old = schedulers(jobs=[EACH_SECOND]).ready()
    for _ in range(3):
        assert "tick" in old.tell("get_jobs")
        assert set(schedulers.store.rows()) == {"tick", "new"}
    schedulers.wait_until("new", int(time.time()) + 2)
    assert {run.who for run in schedulers.runs("new")} == {updated.who}

    mid_second()
    updated.process.kill()
    old.process.wait_for("ended", job="tick", count=3)  # the old code leads for a while
    assert set(schedulers.store.rows()) == {"tick", "new"}
    assert old.tell("status")["alive"]
    again = schedulers(path=[NEW_CODE], jobs=[EACH_SECOND, new]).ready()
    assert old.end() == 0
    again.process.wait_for("ended", job="new")
    end = int(time.time()) + 1
    assert schedulers.verdict("tick", end) == CLEAN
    assert not schedulers.verdict("new", end).doubled
    eventually(lambda: schedulers.runs("new")[-1].who == again.who)
