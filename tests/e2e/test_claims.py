"""Fires that are claimed in the lease, by processes that share nothing but the API server."""

from __future__ import annotations

import json
import time

import pytest
from controlplane.admin import Admin
from controlplane.fixtures import MakePod
from controlplane.proxy import Proxy

from .journal import Journal, boot_time
from .processes import Starter

pytestmark = pytest.mark.e2e

EAGER = {"lease_duration": 3}
LONG = {"lease_duration": 15}


def test_no_fire_is_granted_twice_while_leaders_are_killed(start: Starter, journal: Journal) -> None:
    begin, fires = time.time() + 2, 250
    replicas = {}
    for _ in range(3):
        replica = start("claimer", lease="job", config=EAGER, begin=begin, fires=fires)
        replicas[replica.who] = replica
    for _ in range(2):
        now = boot_time()
        leader = journal.wait_for("granted", after=now, count=3)
        replicas.pop(leader.who).kill()
        successor = journal.wait_for("granted", after=boot_time())
        assert successor.who in replicas
    (last,) = replicas.values()
    last.wait_for("done")
    granted = [entry.number for entry in journal.entries("granted")]
    assert len(granted) == len(set(granted))
    assert granted == sorted(granted)
    tokens = [entry.token for entry in journal.entries("granted")]
    assert tokens == sorted(tokens)
    assert len(set(tokens)) >= 3


def test_a_stopped_leader_that_goes_on_is_granted_no_fire_of_its_successors(start: Starter, journal: Journal) -> None:
    begin, fires = time.time() + 2, 1000
    first = start("claimer", lease="job", config=EAGER, begin=begin, fires=fires)
    first.wait_for("granted", count=3)
    second = start("claimer", lease="job", config=EAGER, begin=begin, fires=fires)
    second.wait_for("started")
    first.stop()
    second.wait_for("granted", count=3)
    first.go_on()
    second.wait_for("granted", count=30, after=boot_time())  # meanwhile the first has caught up
    granted = [entry.number for entry in journal.entries("granted")]
    assert len(granted) == len(set(granted))


def test_a_claim_whose_answer_is_lost_is_granted_all_the_same(
    start: Starter, make_pod: MakePod, admin: Admin, proxy: Proxy, namespace: str
) -> None:
    replica = start(
        "claimer", pod=make_pod("pod-0", server=proxy), lease="job", config=LONG, begin=time.time() + 4, fires=40
    )
    replica.wait_for("granted")
    lost = proxy.on("PUT", times=1).forward_then_drop()  # each claim is a PUT, and the next renewal is far
    replica.wait_for("done")
    assert lost.statuses == [200]
    granted = [entry.number for entry in replica.entries("granted")]
    assert granted == list(range(granted[0], 40))  # a slow machine may come to lead late
    lease = admin.get_lease(namespace, "job")
    assert lease is not None
    ledger = json.loads(lease["metadata"]["annotations"]["singleton-jobs/fires"])
    assert ledger["v"] == 1
    assert list(ledger["jobs"]) == ["app:report"]


def test_a_job_runs_at_most_every_so_often_whoever_leads(start: Starter, journal: Journal) -> None:
    replicas = [start("seldom", lease="job", config=LONG, interval=3) for _ in range(2)]
    for _ in range(2):
        ran = journal.wait_for("ran", after=boot_time())
        leader = next(replica for replica in replicas if replica.who == ran.who)
        leader.wait_for("fire", after=ran.at)
        if len(replicas) == 2:
            leader.wait_for("skipped", reason="too-soon")
            leader.terminate()
            replicas.remove(leader)
    replicas[0].wait_for("ran", after=boot_time(), count=2)
    times = [entry.time for entry in journal.entries("fire")]
    assert {entry.job for entry in journal.entries("fire")} == {"fn:report"}
    assert all(later - earlier >= 0.95 * 3 for earlier, later in zip(times, times[1:], strict=False))


@pytest.mark.own_control_plane  # it counts all requests on leases
@pytest.mark.parametrize("interrupted", ["skip", "rerun"])
def test_a_locked_run_writes_twice_and_one_that_comes_too_soon_never(
    start: Starter, admin: Admin, namespace: str, interrupted: str
) -> None:
    def puts() -> int:
        return sum(count for (verb, _), count in admin.lease_request_counts().items() if verb == "PUT")

    def call(times: int, interval: float) -> tuple[int, int]:
        before = puts()
        caller = start("seldom_lock", lease="job", config=LONG, times=times, interval=interval, interrupted=interrupted)
        caller.wait_for("done")
        caller.wait()
        return len(caller.entries("ran")), puts() - before

    admin.put_lease(namespace, "job", {"spec": {}})
    assert call(5, 0.001) == (5, 10)
    assert call(5, 3600) == (0, 0)
