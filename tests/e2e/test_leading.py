"""Becoming the leader, staying it, and handing over."""

from __future__ import annotations

import re
import time
from datetime import datetime
from pathlib import Path

import pytest
from controlplane.admin import Admin
from controlplane.fixtures import MakePod
from controlplane.proxy import Proxy

from .journal import PATIENCE, Journal, assert_no_overlap, boot_time, eventually
from .processes import Starter

pytestmark = pytest.mark.e2e

LONG = {"lease_duration": 15}
EASY = {"lease_duration": 30, "retry_period": 0.5, "request_timeout": 10}
LOAD = 6.0  # seconds that a busy machine may add to what is bounded


def test_create(start: Starter, make_pod: MakePod, admin: Admin, proxy: Proxy, namespace: str) -> None:
    proxy.on("PUT", times=1).delay_request(0)
    proxy.on("PUT").hang()  # so that what is looked at is the creation
    replica = start("loop", pod=make_pod("pod-0", server=proxy), lease="job", config=LONG)
    first = replica.wait_for("effect")
    lease = admin.get_lease(namespace, "job")
    assert lease is not None
    spec = lease["spec"]
    assert spec["holderIdentity"] == first.identity == replica.wait_for("started").identity
    assert spec["holderIdentity"].startswith("pod-0_")
    assert spec["leaseDurationSeconds"] == 15
    assert spec["leaseTransitions"] == 1
    micro_time = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
    assert micro_time.fullmatch(spec["acquireTime"])
    assert micro_time.fullmatch(spec["renewTime"])
    assert abs(datetime.fromisoformat(spec["acquireTime"]).timestamp() - time.time()) < 60
    assert spec["renewTime"] == spec["acquireTime"]
    assert first.token == int(lease["metadata"]["resourceVersion"])


def test_race_of_eight_starters(start: Starter, make_pod: MakePod, journal: Journal, tmp_path: Path) -> None:
    gun = tmp_path / "gun"
    pods = [make_pod(f"racer-{number}") for number in range(8)]
    racers = [start("racer", pod=pod, lease="job", gun=str(gun), config=EASY) for pod in pods]
    for racer in racers:
        racer.wait_for("ready")
    gun.touch()
    for racer in racers:
        racer.wait_for("first call")
    leaders = journal.entries("first call", ran=True)
    assert len(leaders) == 1
    for skipped in journal.entries("first call", ran=False):
        assert skipped.reason == "not-leader"
        journal.wait_for("skipped", skipped.who, reason="not-leader", holder=leaders[0].identity)
    assert len(journal.entries("TermStarted")) == 1


def test_steady_leader_sends_one_put_per_retry_period_and_no_get(
    start: Starter, make_pod: MakePod, proxy: Proxy
) -> None:
    replica = start("loop", pod=make_pod(server=proxy), lease="job", config=EASY)
    replica.wait_for("effect")
    proxy.wait_for(1, "GET", "watch=1", timeout=PATIENCE)

    def counts() -> tuple[float, int, int]:
        puts = proxy.count("PUT")
        return boot_time(), puts, proxy.count() - puts

    began, puts_before, others_before = counts()
    eventually(lambda: counts()[1] >= puts_before + 6, "six renewals")
    ended, puts, others = counts()
    assert others == others_before
    assert puts - puts_before <= (ended - began) / 0.5 + 1.5
    assert not replica.entries("TermEnded")


def test_sigterm_hands_over_at_once_when_the_work_has_ended(start: Starter, admin: Admin, namespace: str) -> None:
    leader = start("loop", lease="job", config=LONG, thread=True, takes=1.5)
    working = leader.wait_for("effect")
    successor = start("loop", lease="job", config=LONG)
    successor.wait_for("skipped", reason="not-leader", holder=working.identity)
    successor.stop()
    working = leader.wait_for("effect", after=boot_time())
    leader.terminate()
    assert leader.wait() == 128 + 15
    finished = leader.wait_for("finished", after=working.at)
    released = leader.wait_for("TermEnded")
    assert finished.valid
    assert finished.at < released.at
    assert not released.lost
    lease = admin.get_lease(namespace, "job")
    assert lease is not None
    assert (lease["spec"]["holderIdentity"], lease["spec"]["leaseDurationSeconds"]) == ("", 1)
    resumed = boot_time()
    successor.go_on()
    taken = successor.wait_for("effect")
    assert taken.at - resumed < 1.2 * 2 + LOAD < 15
    assert taken.token > working.token
    lease = admin.get_lease(namespace, "job")
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == taken.identity
    assert lease["spec"]["leaseTransitions"] == 2


def test_crash_is_taken_over_after_the_duration_and_not_before(
    start: Starter, admin: Admin, namespace: str, journal: Journal
) -> None:
    leader = start("loop", lease="job")
    leader.wait_for("effect")
    successor = start("loop", lease="job")
    successor.wait_for("skipped", reason="not-leader")
    leader.kill()
    died = boot_time()
    last = admin.get_lease(namespace, "job")
    taken = successor.wait_for("effect")
    now = admin.get_lease(namespace, "job")
    assert last is not None and now is not None
    idle = datetime.fromisoformat(now["spec"]["acquireTime"]) - datetime.fromisoformat(last["spec"]["renewTime"])
    assert idle.total_seconds() >= 3
    assert taken.at - died <= 3 + 1.2 * 0.4 + 0.5 + LOAD
    assert_no_overlap(journal.entries("effect"))


def test_stopped_leader_does_nothing_after_it_goes_on(start: Starter, journal: Journal) -> None:
    stopped = start("loop", lease="job", every=0.01)
    before = stopped.wait_for("effect")
    other = start("loop", lease="job", every=0.01)
    other.wait_for("skipped", reason="not-leader")
    stopped.stop()
    taken = other.wait_for("effect")
    assert taken.token > before.token
    resumed = boot_time()
    stopped.go_on()
    lost = stopped.wait_for("TermEnded")
    assert lost.lost
    stopped.wait_for("skipped", after=resumed, reason="not-leader")
    other.wait_for("effect", after=boot_time(), count=10)
    assert not [effect for effect in stopped.entries("effect", token=before.token) if effect.at > taken.at]
    assert_no_overlap(journal.entries("effect"))


def test_no_tick_is_done_twice_while_leaders_are_killed(start: Starter, make_pod: MakePod, journal: Journal) -> None:
    replicas = {name: start("ticker", pod=make_pod(name), lease="job") for name in ("red", "green", "blue")}
    for _ in range(2):
        leader = journal.wait_for("tick", after=boot_time())
        for name in replicas.keys() - {leader.who}:
            replicas[name].wait_for("skipped", reason="not-leader", holder=leader.identity)
        replicas.pop(leader.who).kill()
    journal.wait_for("tick", *replicas, count=2)
    ticks = journal.entries("tick")
    assert len({tick.number for tick in ticks}) == len(ticks)
    assert len({tick.who for tick in ticks}) == 3
    assert_no_overlap(ticks)


def test_plain_script_releases_at_exit(start: Starter, admin: Admin, namespace: str) -> None:
    script = start("script", lease="job", config=LONG)
    script.wait_for("effect")
    assert script.wait() == 0
    exited = boot_time()
    lease = admin.get_lease(namespace, "job")
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""
    assert exited - script.wait_for("main ends").at < 2 + LOAD
    following = start("script", lease="job", config=LONG)
    assert following.wait_for("effect").token > script.wait_for("effect").token
    assert following.wait() == 0
