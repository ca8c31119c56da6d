"""Networks, databases and people that interfere."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from controlplane.fixtures import MakePod
from controlplane.proxy import Proxy
from controlplane.server import ControlPlane
from databases.postgresql import PostgreSQL

from ..journal import boot_time, eventually
from .fires import Verdict
from .replicas import Scheduler, Schedulers, Store, mid_second

pytestmark = pytest.mark.e2e

CLEAN = Verdict([], [], [])
EACH_SECOND = {"id": "tick", "trigger": "cron", "at": {"second": "*"}, "coalesce": False}


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_behaviour_13_a_long_job_is_told_that_its_lease_is_lost(
    schedulers: Schedulers, make_pod: MakePod, proxy: Proxy
) -> None:
    job = {"id": "long", "trigger": "cron", "at": {"second": "*/2"}, "kwargs": {"seconds": 6}}
    cut_off = schedulers(pod=make_pod("cut-off", server=proxy), jobs=[job]).ready()
    other = schedulers(jobs=[job]).ready()
    long = cut_off.process.wait_for("run", job="long", after=boot_time())  # a run that is at its beginning
    proxy.partition()
    partitioned = boot_time()
    told = cut_off.process.wait_for("told", job="long", nominal=long.nominal)
    assert told.at - partitioned < 2 + 1  # its hold, and how often the job looks
    successor = other.process.wait_for("run", job="long")
    ended = cut_off.process.wait_for("ended", job="long", nominal=long.nominal)
    assert not ended.valid
    assert successor.at > told.at
    assert successor.token > long.token
    assert successor.nominal > long.nominal
    proxy.heal()
    fires = schedulers.fires("long")
    assert len(fires) == len(set(fires))
    assert cut_off.tell("status")["alive"]


@pytest.mark.own_control_plane
@pytest.mark.parametrize("store", ["memory", "postgresql"], indirect=True)
def test_behaviour_14_an_outage_of_the_api_is_survived(schedulers: Schedulers, control_plane: ControlPlane) -> None:
    schedulers.several(3, jobs=[EACH_SECOND | {"grace": 120}])  # a server may take half a minute to start
    schedulers.wait_until("tick", int(time.time()) + 1)
    control_plane.kill_apiserver()
    schedulers.journal.wait_for("TermEnded")
    time.sleep(2)
    control_plane.start_apiserver()
    schedulers.journal.wait_for("ended", after=boot_time(), job="tick")
    assert schedulers.verdict("tick", int(time.time()) + 1) == CLEAN
    for each in schedulers.every:
        assert each.tell("status")["alive"], each.process.output


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """Nobody else can write: passes get their due jobs and cannot put them back."""
    assert store.url
    if store.kind == "sqlite":
        connection = sqlite3.connect(store.url.removeprefix("sqlite:///"), timeout=15, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.close()
        return
    with psycopg.connect(store.url.replace("postgresql+psycopg", "postgresql")) as session:
        session.execute("LOCK TABLE apscheduler_jobs IN EXCLUSIVE MODE")
        yield
        session.rollback()


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_behaviour_14_an_outage_of_postgresql_in_the_middle_of_a_pass_is_survived(
    schedulers: Schedulers, postgresql: PostgreSQL
) -> None:
    schedulers.several(2, jobs=[EACH_SECOND])
    schedulers.wait_until("tick", int(time.time()) + 1)
    leader = schedulers.leader()
    with pytest.raises(psycopg.OperationalError), locked(schedulers.store):
        schedulers.wait_until("tick", int(time.time()) + 1)  # the pass that submitted it hangs in its update
        time.sleep(0.3)
        postgresql.kill()
    time.sleep(3)
    postgresql.start()
    schedulers.journal.wait_for("ended", after=boot_time(), job="tick")
    assert schedulers.verdict("tick", int(time.time()) + 1) == CLEAN
    assert {run.who for run in schedulers.runs("tick")} == {leader.who}
    for each in schedulers.every:
        assert each.tell("status")["alive"], each.process.output


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_behaviour_14_a_database_that_stays_locked_in_the_middle_of_a_pass_is_survived(schedulers: Schedulers) -> None:
    schedulers.several(2, jobs=[EACH_SECOND], connect={"timeout": 0.5})
    schedulers.wait_until("tick", int(time.time()) + 1)
    with locked(schedulers.store):
        time.sleep(2.5)
    schedulers.journal.wait_for("ended", after=boot_time(), job="tick")
    assert schedulers.verdict("tick", int(time.time()) + 1) == CLEAN
    for each in schedulers.every:
        assert each.tell("status")["alive"], each.process.output


@pytest.mark.parametrize("lease_duration", [3, 15])
def test_behaviour_16_a_silent_api_server_does_not_block_the_event_loop(
    schedulers: Schedulers, make_pod: MakePod, proxy: Proxy, lease_duration: int
) -> None:
    pod = make_pod("pod-0", server=proxy)
    scheduler = schedulers(
        pod=pod, scheduler="asyncio", config={"lease_duration": lease_duration}, jobs=[EACH_SECOND | {"grace": 30}]
    ).ready()
    schedulers.wait_until("tick", int(time.time()) + 1)
    silent = boot_time()
    proxy.partition()
    time.sleep(5)
    proxy.heal()
    spoken = boot_time()
    scheduler.process.wait_for("ended", after=spoken, job="tick")
    schedulers.wait_until("tick", int(time.time()) + 2)
    beats = [beat for beat in scheduler.process.entries("beat") if silent < beat.at < spoken + 1]
    assert len(beats) >= 4
    assert max(beat.lag for beat in beats) < 1
    assert bool(scheduler.process.entries("TermEnded")) == (lease_duration == 3)
    assert schedulers.verdict("tick", int(time.time())) == CLEAN


@pytest.mark.parametrize("store", ["memory", "sqlite"], indirect=True)
def test_behaviour_17_a_pause_outlives_a_change_of_leader(schedulers: Schedulers) -> None:
    still = EACH_SECOND | {"id": "still"}
    schedulers.several(3, jobs=[EACH_SECOND, still])
    for job in ("tick", "still"):
        schedulers.wait_until(job, 0)
    shared = schedulers.store.url is not None
    for each in schedulers.every[:1] if shared else schedulers.every:
        each.tell("pause_job", id="still")
    leader = schedulers.leader()
    paused, other = schedulers.followers()
    paused.tell("pause")
    assert paused.tell("status")["state"] == 2
    time.sleep(1)
    before = len(schedulers.runs("still"))
    mid_second()
    leader.process.kill()
    killed = boot_time()

    # Whichever of the two comes to lead, the one that a person paused runs nothing.
    schedulers.journal.wait_for("TermStarted", after=killed)
    time.sleep(1.5)
    assert paused.tell("status")["state"] == 2
    assert not paused.process.entries("run")
    if schedulers.leader() is paused:
        other.end()
        time.sleep(2)
        assert not paused.process.entries("run")
    else:
        other.process.wait_for("run", job="tick")
        other.end()
    time.sleep(1)
    assert not paused.process.entries("run")
    assert len(schedulers.runs("still")) == before

    paused.tell("resume")
    paused.process.wait_for("ended", job="tick", count=2)
    assert len(schedulers.runs("still")) == before
    paused.tell("resume_job", id="still")
    paused.process.wait_for("run", job="still")
    for job in ("tick", "still"):
        fires = schedulers.fires(job)
        assert len(fires) == len(set(fires))
