"""A lock for each call and key."""

import asyncio
import functools
import gc
from datetime import timedelta
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from singleton_jobs.concurrency.clock import SYSTEM_CLOCK, Clock
from singleton_jobs import ConfigError, LeaseBusy, current_term
from singleton_jobs.events import RunSkipped, TermEnded, TermStarted
from singleton_jobs.hooks.prometheus import PrometheusHook
from singleton_jobs.leading.core import _uses
from unit.stage import DRIVER, LIMIT, PUSHED, Heard, Space, in_thread, until


@pytest.fixture
def sync(replica):
    @replica.exclusive(lease="sync", key="tenant")
    def sync(tenant, *more):
        return current_term().lease

    return sync


def test_each_key_has_a_lease_of_its_own_that_is_gone_after_the_call(sync, space):
    assert [sync("acme"), sync(tenant="zoo"), sync(7), sync(UUID(int=7))] == [
        "sync.acme",
        "sync.zoo",
        "sync.7",
        f"sync.{UUID(int=7)}",
    ]
    assert space.leases == {}


def test_a_call_takes_two_requests(sync, space):
    sync("acme")
    assert space.requests == 2


def test_a_call_that_raises_leaves_nothing(replica, space):
    job = replica.exclusive(lease="sync", key="tenant")(lambda tenant: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        job("acme")
    assert space.leases == {}


def test_calls_with_one_key_exclude_each_other_and_others_run_beside_them(replica):
    job = replica.exclusive(lease="sync", key="tenant")(lambda tenant, inner=None: inner() if inner else tenant)
    assert job("a", lambda: (bool(job("a")), job("b"))) == (False, "b")


def test_replicas_exclude_each_other(make_replica):
    first, second = (make_replica().exclusive(lease="sync", key=lambda key, _: key)(lambda _, do: do()) for _ in "ab")
    skipped, other = first("a", lambda: (second("a", lambda: "ran"), second("b", lambda: "ran")))
    assert (skipped.lease, skipped.reason, other) == ("sync.a", "busy", "ran")
    assert skipped.holder.startswith("pod-0_")


def test_a_busy_key_raises_or_is_waited_for(replica, space):
    space.put("sync.acme", "other_1", key="acme")
    raises = replica.exclusive(lease="sync", key="tenant", on_busy="raise")(lambda tenant: "ran")
    with pytest.raises(LeaseBusy, match="'sync.acme' is busy: held by 'other_1'"):
        raises("acme")
    waits = replica.exclusive(lease="sync", key="tenant", wait=LIMIT)(lambda tenant: "ran")
    join = in_thread(lambda: waits("acme"))
    requests = space.requests
    until(lambda: space.requests > requests)
    with space.mutex:
        space.drop("sync.acme")
    assert join() == "ran"


def test_what_was_seen_of_a_busy_key_outlives_the_call(sync, space, clock):
    """Or each call would see it for the first time, and never learn that its holder is dead."""
    space.put("sync.acme", "other_1", key="acme")
    assert sync("acme").reason == "busy"
    clock.push(7)
    assert sync("acme") == "sync.acme"
    assert space.leases == {}


def test_no_more_than_so_many_busy_keys_are_kept_in_mind(sync, space, monkeypatch):
    monkeypatch.setattr("singleton_jobs.leading.keyed.MOST_BUSY", 3)
    for key in "abcde":
        space.put(f"sync.{key}", "other_1", key=key)
        assert sync(key).reason == "busy"
    gc.collect()
    assert list(sync._self_guard._parts) == list("cde")


def test_coroutines_take_keys_too(replica, space):
    @replica.exclusive(lease="sync", key="tenant")
    async def sync(tenant):
        await asyncio.sleep(0)
        return current_term().lease

    async def main():
        return await asyncio.gather(sync("a"), sync("b"), sync("a"))

    first, second, third = asyncio.run(main())
    assert (first, second, third.reason) == ("sync.a", "sync.b", "busy")
    assert space.leases == {}


# How the key is found


class Tenants:
    def __init__(self, name):
        self.name = name


def guarded(replica, key, lease="sync"):
    return replica.exclusive(lease=lease, key=key)


def test_the_argument_is_found_wherever_it_stands(replica):
    @guarded(replica, "key")
    def both(first, key="usual", *, last=None):
        return current_term().lease

    assert [both(1), both(1, "b"), both(first=1, key="c"), both(1, last=2, key="d")] == [
        "sync.usual",
        "sync.b",
        "sync.c",
        "sync.d",
    ]

    @guarded(replica, "key")
    def named(*, key):
        return current_term().lease

    @guarded(replica, "key")
    def placed(key, /, **more):
        return current_term().lease

    assert (named(key="a"), placed("b", key="c")) == ("sync.a", "sync.b")


def test_methods_find_it_too(replica):
    class Site:
        name = "site"

        @guarded(replica, "tenant")
        def method(self, tenant):
            return self.name, current_term().lease

        @guarded(replica, "tenant")
        @classmethod
        def of_class(cls, tenant):
            return cls.name, current_term().lease

        @guarded(replica, "tenant")
        @staticmethod
        def static(tenant):
            return current_term().lease

        @guarded(replica, lambda self, number: f"{self.name}-{number}")
        def computed(self, number):
            return current_term().lease

        def plain(self, tenant):
            return current_term().lease

    site = Site()
    assert site.method("a") == Site.method(site, "a") == Site().method(tenant="a") == ("site", "sync.a")
    assert site.of_class("b") == Site.of_class("b") == ("site", "sync.b")
    assert site.static("c") == Site.static("c") == "sync.c"
    assert site.computed(4) == "sync.site-4"
    assert guarded(replica, "tenant")(site.plain)("d") == "sync.d"
    assert guarded(replica, "tenant")(functools.partial(site.plain))("e") == "sync.e"


def test_a_function_of_the_arguments_makes_it(replica):
    job = guarded(replica, lambda order, **more: order["id"])(lambda order, **more: current_term().lease)
    assert job({"id": 5}, when="now") == "sync.5"


@pytest.mark.parametrize("key", ["tenants", "more", "rest", ""])
def test_a_parameter_that_is_not_there_is_refused_at_decoration(replica, key):
    with pytest.raises(ConfigError, match="is no parameter of .*: it has tenant, more, rest"):
        guarded(replica, key)(lambda tenant, *more, **rest: None)


def test_what_names_nothing_is_refused(replica):
    with pytest.raises(ConfigError, match="key must be the name of a parameter or a function of the arguments, not 5"):
        guarded(replica, 5)(lambda tenant: None)


@pytest.mark.parametrize("key", [None, "", True, object(), "x" * 1025, "a\nb"])
def test_what_can_be_no_key_is_refused_by_name_and_nothing_runs(sync, space, key):
    with pytest.raises(ConfigError, match="lease 'sync' cannot be kept for the key"):
        sync(key)
    assert space.requests == 0


def test_a_call_without_the_argument_fails_as_it_always_did(sync):
    with pytest.raises(TypeError, match="missing a required argument: 'tenant'"):
        sync()


def test_leaderships_have_no_keys(replica):
    with pytest.raises(TypeError, match="key"):
        replica.leader_only(lease="sync", key="tenant")


@pytest.mark.parametrize(("mode", "result"), [("always", "ran"), ("never", False)])
def test_modes_decide_without_asking(make_replica, space, mode, result):
    job = make_replica(mode=mode).exclusive(lease="sync", key="tenant")(lambda tenant: "ran")
    assert (job("acme") or False) == result
    assert space.requests == 0


# At most every so often


def test_each_key_counts_on_its_own_and_its_lease_stays_until_then(replica, space):
    job = replica.exclusive(lease="sync", key="tenant", at_most_every=timedelta(hours=1), job="sync")(lambda tenant: 1)
    assert [job("a"), job("b")] == [1, 1]
    assert sorted(space.leases) == ["sync.a", "sync.b"]
    assert {space.holder(lease) for lease in space.leases} == {""}
    skipped = job("a")
    assert (skipped.lease, skipped.reason) == ("sync.a", "too-soon")
    assert space.holder("sync.a") == ""


def test_a_run_that_outlasts_its_interval_leaves_nothing(make_replica):
    ahead = [0.0]
    space = Space()
    space.clock = Clock(now=SYSTEM_CLOCK.now, wall=lambda: SYSTEM_CLOCK.wall() + ahead[0])
    replica = make_replica(store=space, clock=PUSHED.clock._replace(wall=space.clock.wall))

    @replica.exclusive(lease="sync", key="tenant", at_most_every=60, job="sync")
    def sync(tenant, lasts):
        ahead[0] += lasts
        requests = space.requests
        until(lambda: space.requests >= requests + 2)  # a renewal tells the time

    sync("a", 56)
    assert list(space.leases) == ["sync.a"]
    sync("b", 58)
    assert list(space.leases) == ["sync.a"]
    sync("a", 58)
    assert list(space.leases) == []


def test_one_that_came_too_soon_says_when_it_may_run(make_replica):
    options = {"lease": "sync", "key": "tenant", "at_most_every": 3600, "job": "sync", "on_busy": "raise"}
    first, second = (make_replica().exclusive(**options)(lambda tenant: 1) for _ in range(2))
    first("a")
    with pytest.raises(LeaseBusy, match="may run again at") as caught:
        second("a")
    assert caught.value.reason == "too-soon"


# What is told, and what is left


def test_events_name_the_lease_and_its_base(make_replica):
    heard = Heard()
    job = make_replica(hooks=[heard]).exclusive(lease="sync", key="tenant")(lambda tenant: job(tenant))
    job("acme")
    assert heard.wait_for(TermStarted, base="sync").lease == "sync.acme"
    assert heard.wait_for(TermEnded, base="sync", lost=False).lease == "sync.acme"
    assert heard.wait_for(RunSkipped, base="sync", reason="busy").lease == "sync.acme"


def test_ten_thousand_keys_used_once_leave_nothing_here(make_replica, space):
    registry = CollectorRegistry()
    replica = make_replica(hooks=[PrometheusHook(registry)])
    job = replica.exclusive(lease="sync", key="tenant")(lambda tenant: tenant)
    before = size(replica, registry)
    for key in range(10_000):
        assert job(f"key-{key}") == f"key-{key}"
    gc.collect()
    until(lambda: not DRIVER._tasks)
    after = size(replica, registry)
    assert space.leases == {}
    assert {name: after[name] for name in after if after[name] > before.get(name, 0) + 3} == {}


def size(replica, registry):
    """How much each table has that might know of keys."""
    core = replica._core
    driver = {name: len(table) for name, table in vars(DRIVER).items() if isinstance(table, (dict, set, list))}
    samples = sum(len(family.samples) for family in registry.collect() if "bucket" not in family.name)
    return driver | {
        "lockers": len(core._lockers),
        "taken": len(core.taken),
        "declared": len(core._declared._uses),
        "used": len(_uses._uses),
        "leaderships": len(core.leaderships),
        "sweeps": len(core.wiring()._sweeps),
        "known to sweeps": sum(len(sweep._sweeping._known) for sweep in core.wiring()._sweeps.values()),
        "labels": max(0, samples - 120),
        "candidacies": sum(type(each).__name__ == "Candidacy" for each in gc.get_objects()),
    }
