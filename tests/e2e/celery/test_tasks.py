"""Tasks under a lease, in real workers of every pool: never two runs at once, and none is lost with its worker."""

from __future__ import annotations

import os
import signal

import pytest
from controlplane.admin import Admin
from controlplane.fixtures import MakePod

from ..journal import boot_time, eventually
from ..keys import leases
from .workers import POOLS, Workers

pytestmark = pytest.mark.e2e

VISIBLE_AGAIN = 9  # seconds after which Redis gives out once more what a worker has left


@pytest.mark.parametrize("pool", POOLS)
def test_behaviour_14_runs_never_overlap(workers: Workers, pool: str) -> None:
    for _ in range(2):
        workers(pool)
    ids = {number: workers.send("work", number) for number in range(8)}
    eventually(lambda: len(workers.journal.entries("end")) == len(ids), lambda: workers.journal.tail())
    spans = sorted((begin.at, end.at) for begin, end in workers.runs() if end)
    assert len(spans) == len(ids)
    assert all(end <= begin for (_, end), (begin, _) in zip(spans, spans[1:], strict=False)), spans
    for begin, _ in workers.runs():
        assert f"_{ids[begin.number]}_" in begin.identity


@pytest.mark.parametrize("pool", [pool for pool in POOLS if pool != "prefork"])
def test_behaviour_14_the_run_of_a_killed_worker_is_run_again(workers: Workers, pool: str) -> None:
    # The lease's 3 s are waited out long before Redis takes the one who waits for dead as well, and gives it out again.
    options = {"visibility": VISIBLE_AGAIN, "config": {"lease_duration": 3}}
    killed = workers(pool, **options)
    workers.send("once", 1)
    begin = killed.wait_for("begin")
    killed.kill()
    eventually(lambda: boot_time() > begin.at + VISIBLE_AGAIN)
    other = workers(pool, **options)
    other.wait_for("end")
    again = other.wait_for("begin")
    assert again.redelivered
    assert again.at > other.wait_for("ready").at + 2, "it has waited until the dead holder's lease had run out"
    assert len(workers.journal.entries("end")) == 1


def test_behaviour_14_the_run_of_a_killed_child_is_run_again(workers: Workers) -> None:
    worker = workers("prefork", concurrency=2)
    workers.send("once", 1)
    begin = worker.wait_for("begin")
    assert begin.pid != worker.pid
    os.kill(begin.pid, signal.SIGKILL)
    end = worker.wait_for("end")
    assert end.pid not in (begin.pid, worker.pid)
    assert len(worker.entries("begin")) == 2


@pytest.mark.parametrize("pool", ["gevent", "eventlet", "threads", "prefork"])
def test_behaviour_14_a_long_run_keeps_its_lease(workers: Workers, pool: str) -> None:
    worker = workers(pool, lasts=5)  # more than a lease; its own check is at the end
    workers.send("work", 1)
    worker.wait_for("end")
    assert not [entry for entry in worker.entries("TermEnded") if entry.lost]


@pytest.mark.parametrize("pool", ["prefork", "gevent"])
def test_behaviour_14_an_autoretry_comes_to_its_end(workers: Workers, pool: str) -> None:
    worker = workers(pool)
    workers.send("flaky", 1)
    worker.wait_for("end")
    assert len(worker.entries("begin")) == 3


@pytest.mark.parametrize("pool", ["threads", "prefork", "gevent"])
def test_runs_for_one_key_never_overlap_and_leave_nothing(
    workers: Workers, pool: str, keyed_pod: MakePod, admin: Admin, namespace: str
) -> None:
    for _ in range(2):
        workers(pool, lasts=0.5, pod=keyed_pod())
    tenants = {number: "ab"[number % 2] for number in range(8)}
    ids = {number: workers.send("sync", number, tenant) for number, tenant in tenants.items()}
    eventually(lambda: len(workers.journal.entries("end")) == len(ids), lambda: workers.journal.tail())
    runs = [(begin, end) for begin, end in workers.runs() if end]
    for tenant in "ab":
        spans = sorted((begin.at, end.at) for begin, end in runs if begin.tenant == tenant)
        assert len(spans) == 4
        assert all(end <= begin for (_, end), (begin, _) in zip(spans, spans[1:], strict=False)), spans
    assert any(a.at < b_end.at and b.at < a_end.at for a, a_end in runs for b, b_end in runs if a.tenant < b.tenant)
    for begin, _ in runs:
        assert f"_{ids[begin.number]}_" in begin.identity
        assert begin.lease == f"sync.{begin.tenant}"
    eventually(lambda: not leases(admin, namespace))


def test_the_run_for_a_key_of_a_killed_worker_is_run_again(workers: Workers, keyed_pod: MakePod) -> None:
    options = {"visibility": VISIBLE_AGAIN, "config": {"lease_duration": 3}}
    killed = workers("threads", pod=keyed_pod(), **options)
    workers.send("sync-once", 1, "acme")
    begin = killed.wait_for("begin")
    killed.kill()
    eventually(lambda: boot_time() > begin.at + VISIBLE_AGAIN)
    other = workers("threads", pod=keyed_pod(), **options)
    other.wait_for("end")
    assert other.wait_for("begin").redelivered
    assert len(workers.journal.entries("end")) == 1
