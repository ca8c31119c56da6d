"""One lock per key, in processes that share nothing but the API server: nothing overlaps, and nothing is left."""

from __future__ import annotations

import os
import random
import time

import pytest
import yaml
from controlplane.admin import Admin, lease_path
from controlplane.fixtures import MakePod
from controlplane.proxy import Proxy

from singleton_jobs.locks.kubernetes.roles import role

from .journal import Journal, boot_time, eventually
from .keys import leases, overlaps
from .processes import Starter

pytestmark = pytest.mark.e2e

# In full with STORM_IN_FULL=1, which takes some minutes.
CALLERS, TIMES, KEYS = (8, 2000, 500) if os.environ.get("STORM_IN_FULL") else (4, 150, 12)
SWEPT = 30  # seconds; 3 of the record's, two lists, and what a busy machine adds


def emptied(admin: Admin, namespace: str) -> None:
    """No Lease is there any more."""
    eventually(lambda: not leases(admin, namespace), lambda: leases(admin, namespace), SWEPT)


@pytest.mark.timeout(1500)
def test_calls_of_one_key_never_overlap_and_leave_nothing_though_some_are_killed(
    start: Starter, keyed_pod: MakePod, journal: Journal, admin: Admin, namespace: str
) -> None:
    chance, deaths, started = random.Random(1), {}, []
    options = {"lease": "sync", "keys": KEYS, "lasts": 0.02, "env": {"ALARM": "1400"}}
    for number in range(CALLERS):
        started.append(
            start("keyed_calls", pod=keyed_pod(f"caller-{number}"), times=TIMES, seed=number, stays=90, **options)
        )
    for number in range(CALLERS - 1):
        victim = start("keyed_calls", pod=keyed_pod(f"victim-{number}"), times=10_000, seed=10 + number, **options)
        victim.wait_for("began", count=chance.randint(5, 15))
        victim.kill()
        deaths[victim.pid] = boot_time()
    for caller in started:
        caller.wait_for("done", timeout=1200)
    assert overlaps(journal, deaths) == []
    assert len({entry.key for entry in journal.entries("began")}) == KEYS
    emptied(admin, namespace)


def test_a_killed_holders_lease_goes_away_though_nobody_wants_its_key(
    start: Starter, keyed_pod: MakePod, admin: Admin, namespace: str
) -> None:
    victim = start("keyed_calls", pod=keyed_pod("victim"), lease="sync", keys=1, times=1, seed=1, lasts=60)
    victim.wait_for("began")
    assert leases(admin, namespace) == ["sync.tenant-0"]
    lease = admin.get_lease(namespace, "sync.tenant-0")
    assert lease is not None
    assert lease["metadata"]["annotations"] == {"singleton-jobs/key": "tenant-0"}
    assert lease["metadata"]["labels"] == {"singleton-jobs/keyed": "sync"}
    victim.kill()
    other = start("keyed_calls", pod=keyed_pod("other"), lease="sync", keys=0, times=0, seed=1)
    other.wait_for("done")  # it has used no key, so it does not sweep
    sweeper = start("keyed_calls", pod=keyed_pod("sweeper"), lease="sync", keys=1, times=1, seed=1, stays=60)
    sweeper.wait_for("done")
    assert not sweeper.entries("began")
    emptied(admin, namespace)


def test_a_crash_in_the_midst_of_a_deletion_leaves_nothing_for_long(
    start: Starter, keyed_pod: MakePod, admin: Admin, namespace: str, proxy: Proxy
) -> None:
    swallowed = proxy.on("DELETE").hang()
    victim = start("keyed_calls", pod=keyed_pod("victim", server=proxy), lease="sync", keys=1, times=1, seed=1)
    victim.wait_for("ended")
    swallowed.wait(hits=1)
    victim.kill()
    assert leases(admin, namespace) == ["sync.tenant-0"]
    swallowed.remove()
    sweeper = start("keyed_calls", pod=keyed_pod("sweeper"), lease="sync", keys=1, times=1, seed=1, stays=60)
    sweeper.wait_for("done")
    emptied(admin, namespace)


def test_a_deletion_whose_answer_is_lost_has_freed_the_key(
    start: Starter, keyed_pod: MakePod, admin: Admin, namespace: str, proxy: Proxy
) -> None:
    lost = proxy.on("DELETE", times=1).forward_then_drop()
    caller = start("keyed_calls", pod=keyed_pod("caller", server=proxy), lease="sync", keys=1, times=3, seed=1)
    caller.wait_for("done")
    assert lost.statuses == [200]
    assert len(caller.entries("ended")) == 3
    assert leases(admin, namespace) == []


def test_a_deletion_that_comes_late_does_not_delete_what_was_taken_since(
    start: Starter, keyed_pod: MakePod, admin: Admin, namespace: str, proxy: Proxy
) -> None:
    late = proxy.on("DELETE", times=1).forward_late(8)
    slow = start("keyed_calls", pod=keyed_pod("slow", server=proxy), lease="sync", keys=1, times=1, seed=1)
    slow.wait_for("ended")
    late.wait(hits=1)
    taker = start("keyed_calls", pod=keyed_pod("taker"), lease="sync", keys=1, times=1, seed=1, wait=30, lasts=60)
    taker.wait_for("began")
    late.wait(hits=1, landed=1, timeout=20)
    assert late.statuses in ([404], [409])
    time.sleep(1)
    assert admin.get_lease(namespace, "sync.tenant-0")["spec"]["holderIdentity"].startswith("taker_")
    assert not taker.entries("TermEnded")


def test_a_mark_keeps_the_lease_until_its_interval_is_over(
    start: Starter, keyed_pod: MakePod, admin: Admin, namespace: str
) -> None:
    caller = start("keyed_calls", pod=keyed_pod("caller"), lease="sync", keys=1, times=2, seed=1, every=10, stays=60)
    caller.wait_for("done")
    (began,) = caller.entries("began")
    lease = admin.get_lease(namespace, "sync.tenant-0")
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""
    emptied(admin, namespace)
    assert boot_time() - began.at > 9


def test_without_the_right_to_list_one_warning_names_the_role(
    start: Starter, make_pod: MakePod, admin: Admin, namespace: str
) -> None:
    given = yaml.safe_load(role([], namespace, keyed=["sync"]))
    given["rules"][0]["verbs"].remove("list")
    caller = start("keyed_calls", pod=make_pod(roles=[given]), lease="sync", keys=3, times=20, seed=1, stays=60)
    caller.wait_for("done")
    output = caller.wait_for_output("that nobody needs any more stay")
    assert "kind: Role" in output
    time.sleep(6)  # more than another sweep
    assert caller.output.count("that nobody needs any more stay") == 1
    assert len(caller.entries("ended")) == 20
    assert leases(admin, namespace) == []
