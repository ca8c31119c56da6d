"""The sweep of leases of keys: what dead holders have left, and nothing else, is deleted."""

import asyncio
import json
import logging
import math

import pytest

from singleton_jobs.hooks.dispatcher import flush
from singleton_jobs.locks.record import KEY_ANNOTATION
from singleton_jobs.renewal.sweep import Sweep
from unit.stage import DRIVER, PUSHED, QUICK, LIMIT, PushedClock, Space, until

PAUSE = 4 / 3 * QUICK.lease_duration


class Least:
    def uniform(self, a, b):
        return a


class Driver:
    def __init__(self):
        self.woken = 0

    def wake(self, driven):
        self.woken += 1


class Bench:
    """A sweep whose steps the test takes itself."""

    def __init__(self):
        self.space, self.clock, self.driver = Space(), PushedClock(), Driver()
        self.sweep = Sweep("sync", self.space, "me_1", QUICK, self.clock.clock, self.driver, Least())

    def hold(self, key, holder="dead_1"):
        """Somebody's lease of a key, of this moment."""
        name = f"sync.{key}"
        self.space.put(name, holder)
        row = self.space.leases[name]
        whole = json.loads(row[2])
        whole["metadata"] = {"annotations": {KEY_ANNOTATION: key}, "labels": {"singleton-jobs/keyed": "sync"}}
        with self.space.mutex:
            self.space.keep(name, (row[0], self.space.next_version(), json.dumps(whole), row[3]))

    def steps(self):
        """All that is due; when the next step is."""
        while (due := asyncio.run(self.sweep.step())) <= self.clock.clock.now():
            pass
        return due - self.clock.clock.now()

    def lists(self):
        """Time passes until the next list."""
        self.clock.push(PAUSE + 0.1)
        return self.steps()


@pytest.fixture
def bench():
    return Bench()


def test_nothing_is_listed_before_a_key_is_used(bench):
    assert bench.steps() == math.inf
    assert (bench.space.lists, bench.driver.woken) == (0, 0)


def test_a_use_wakes_it_once(bench):
    for _ in range(3):
        bench.sweep.used()
    assert bench.driver.woken == 1
    assert bench.steps() == pytest.approx(PAUSE, abs=0.1)
    assert bench.space.lists == 0


def test_what_dead_holders_left_is_deleted_by_the_second_list(bench):
    bench.sweep.used()
    for key in "abc":
        bench.hold(key)
    bench.lists()
    assert len(bench.space.leases) == 3
    bench.lists()
    assert bench.space.leases == {}
    assert bench.space.lists == 2


def test_whoever_renews_keeps_its_lease(bench):
    bench.sweep.used()
    bench.hold("a", "alive_1")
    bench.hold("b")
    for _ in range(4):
        bench.lists()
        bench.hold("a", "alive_1")
    assert list(bench.space.leases) == ["sync.a"]


def test_a_free_lease_that_a_crash_left_is_deleted(bench):
    bench.sweep.used()
    bench.hold("a", holder="")
    bench.lists()
    assert bench.space.leases == {}


def test_a_deletion_never_deletes_what_was_taken_meanwhile(bench):
    bench.sweep.used()
    bench.hold("a")
    bench.lists()
    bench.clock.push(PAUSE + 0.1)
    asyncio.run(bench.sweep.step())  # has listed, and is about to delete
    bench.hold("a", "taker_1")
    bench.steps()
    assert bench.space.holder("sync.a") == "taker_1"


def test_leases_of_other_bases_and_of_nobody_are_not_touched(bench):
    bench.sweep.used()
    bench.space.put("sync", "dead_1")
    bench.space.put("sync.by-hand", "dead_1")
    bench.space.put("synced.a", "dead_1")
    for _ in range(3):
        bench.lists()
    assert sorted(bench.space.leases) == ["sync", "sync.by-hand", "synced.a"]


def test_a_lease_whose_key_was_taken_off_is_left_alone(bench):
    bench.sweep.used()
    bench.hold("a", holder="")
    uid, version, body, at = bench.space.leases["sync.a"]
    bench.space.keep("sync.a", (uid, version, body.replace(KEY_ANNOTATION, "other"), at))
    bench.lists()
    assert "sync.a" in bench.space.leases


def test_it_ends_two_lists_after_the_last_use_found_nothing(bench):
    bench.sweep.used()
    bench.lists()
    assert bench.lists() == math.inf
    bench.sweep.used()
    assert bench.driver.woken == 2


def test_a_store_that_is_down_is_asked_again(bench, caplog):
    bench.sweep.used()
    bench.hold("a", holder="")
    bench.space.fault = "down"
    assert bench.lists() == pytest.approx(PAUSE, abs=0.1)
    bench.space.fault = None
    bench.lists()
    assert bench.space.leases == {}


def test_without_the_right_one_warning_names_the_role(bench, caplog):
    bench.space.fault = "denied"
    for _ in range(3):
        bench.sweep.used()
        assert bench.lists() == math.inf
        bench.clock.push(700)
    flush(LIMIT)
    (record,) = [record for record in caplog.records if "nobody needs" in record.message]
    assert record.levelno == logging.WARNING
    assert "sync" in record.message
    assert "apply this Role" in record.message
    assert bench.space.lists == 3


def test_a_replica_that_uses_keys_sweeps(make_replica, space, clock):
    space.put("sync.dead", "dead_1")
    with space.mutex:
        uid, version, body, at = space.leases["sync.dead"]
        whole = json.loads(body) | {
            "metadata": {"annotations": {KEY_ANNOTATION: "dead"}, "labels": {"singleton-jobs/keyed": "sync"}}
        }
        space.keep("sync.dead", (uid, version, json.dumps(whole), at))
    make_replica().exclusive(lease="sync", key=lambda: "mine")(lambda: "ran")()
    for lists in (1, 2):
        clock.push(2 * PAUSE)
        DRIVER._loop.call_soon_threadsafe(lambda: None)  # it sleeps by a clock that was not pushed
        until(lambda: space.lists >= lists)
    until(lambda: not space.leases)
