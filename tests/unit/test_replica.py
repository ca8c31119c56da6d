"""A replica: its leases, its identity, its health, and what it refuses."""

import re
from random import Random

import pytest

from singleton_jobs import Config, ConfigError, LeaseLocker, Replica, configure, leader_only, leadership
from singleton_jobs.events import ReplicaStarted
from singleton_jobs.replica import replica_on
from unit.stage import LIMIT, QUICK, Heard, Space


@pytest.fixture
def fresh(monkeypatch, space):
    """No default replica yet; a store for it."""
    monkeypatch.setattr("singleton_jobs.leading.core._default", None)
    return space


def test_the_same_lease_is_the_same_leadership(replica):
    assert replica.leadership("nightly") is replica.leadership("Nightly")


def test_other_leases_are_other_leaderships(replica):
    assert replica.leadership("a") is not replica.leadership("b")


def test_each_locker_is_a_new_one(replica):
    assert replica.locker("a") is not replica.locker("a")


def test_the_identity_is_the_prefix_and_a_random_suffix(make_replica):
    assert re.fullmatch(r"web_[0-9a-z]{12}", make_replica(identity="web").identity)


def test_two_replicas_have_two_identities(make_replica):
    assert make_replica(identity="web").identity != make_replica(identity="web").identity


def test_nothing_is_asked_before_the_first_use(make_replica, space):
    replica = make_replica()
    replica.leadership("nightly")
    replica.locker("rebuild")
    replica.leader_only(lease="nightly")(lambda: None)
    assert (replica.identity[:4], space.requests) == ("pod-", 0)


def test_a_prefix_comes_before_every_lease(make_replica, space):
    replica = make_replica(prefix="app-")
    replica.leadership("Nightly").wait(timeout=LIMIT)
    assert replica.leadership("nightly").lease == "app-nightly"
    assert list(space.leases) == ["app-nightly"]


@pytest.mark.parametrize("name", ["../x", "", "a_b", "x" * 254])
def test_bad_names_are_refused_at_once(replica, name):
    for make in (replica.leadership, replica.locker, replica.leader_only, replica.exclusive):
        with pytest.raises(ConfigError):
            make(name)


def test_a_prefix_that_makes_a_name_too_long_is_refused_at_once(make_replica):
    with pytest.raises(ConfigError, match="254"):
        make_replica(prefix="app-").leadership("x" * 250)


@pytest.mark.parametrize(
    "bad",
    [{"namespace": "../x"}, {"mode": "x"}, {"config": 15}, {"hooks": [1]}, {"store": 1}, {"prefix": "/"}],
    ids=str,
)
def test_bad_arguments_are_refused_at_once(bad):
    with pytest.raises(ConfigError):
        Replica(**bad)


def test_one_lease_has_one_role(replica):
    replica.leadership("nightly")
    with pytest.raises(ConfigError, match="a leadership.*a locker"):
        replica.locker("nightly")


def test_one_lease_has_one_timing(replica):
    replica.leadership("nightly")
    with pytest.raises(ConfigError, match="another Config"):
        replica.leadership("nightly", Config(60))


def test_the_same_timing_given_twice_is_one(replica):
    assert replica.leadership("nightly", QUICK) is replica.leadership("nightly")


def test_the_timing_that_one_locker_names_is_that_of_all(replica):
    plain, named = replica.locker("nightly"), replica.locker("nightly", Config(60))
    assert plain.try_lock()
    assert plain._part.candidacy.config == Config(60)
    plain.unlock()
    assert named.try_lock()


def test_what_is_no_replica_is_refused():
    with pytest.raises(ConfigError, match="must be a Replica, not 'sqlite:'"):
        LeaseLocker("nightly", replica="sqlite:")


def test_roles_count_across_replicas_of_one_store(make_replica):
    make_replica().leadership("nightly").wait(timeout=LIMIT)
    with pytest.raises(ConfigError, match="different leases"):
        make_replica().locker("nightly").try_lock()


def test_timings_count_across_replicas_of_one_store(make_replica):
    make_replica().leadership("nightly").wait(timeout=LIMIT)
    with pytest.raises(ConfigError, match="another Config"):
        make_replica(config=Config(60)).leadership("nightly").start()


def test_roles_do_not_count_across_stores(make_replica):
    make_replica().leadership("nightly").wait(timeout=LIMIT)
    assert make_replica(store=Space()).locker("nightly").try_lock()


def test_a_closed_replica_leaves_its_leases_to_other_roles(make_replica):
    first = make_replica()
    first.leadership("nightly").wait(timeout=LIMIT)
    first.close()
    assert make_replica().locker("nightly").try_lock()


def test_closing_frees_everything(replica, space):
    replica.leadership("nightly").wait(timeout=LIMIT)
    locker = replica.locker("rebuild")
    locker.try_lock()
    locker.unlock()
    replica.close()
    assert (space.holder("nightly"), space.holder("rebuild")) == ("", "")


def test_closing_cuts_a_lock_that_is_not_given_back(replica, space):
    locker = replica.locker("rebuild")
    locker.try_lock()
    lost = locker.lost
    replica.close(drain=0.05)
    assert lost.is_set()
    assert not locker.is_held
    assert space.holder("rebuild") != ""


def test_closing_twice_is_closing_once(replica):
    replica.leadership("nightly").wait(timeout=LIMIT)
    replica.close()
    replica.close()


def test_a_with_block_closes(make_replica, space):
    with make_replica() as replica:
        replica.leadership("nightly").wait(timeout=LIMIT)
    assert space.holder("nightly") == ""


def test_closing_may_leave_leases_to_run_out(make_replica, space):
    replica = make_replica(config=Config(6, retry_period=0.2, release_on_cancel=False))
    replica.leadership("nightly").wait(timeout=LIMIT)
    replica.close()
    assert space.holder("nightly") != ""


def test_health_starts_nothing(replica, space):
    replica.leadership("nightly")
    health = replica.health()
    assert health.ok
    assert health.leases == ()
    assert space.requests == 0


def test_health_tells_of_started_leases(replica):
    replica.leadership("nightly").wait(timeout=LIMIT)
    (lease,) = replica.health().leases
    assert (lease.lease, lease.is_leader, lease.holder, lease.error) == ("nightly", True, replica.identity, None)
    assert lease.last_contact < LIMIT


def test_health_tells_of_a_store_that_fails_and_is_well_all_the_same(replica, space):
    space.fault = "down"
    replica.leader_only(lease="nightly")(lambda: None)()
    health = replica.health()
    assert bool(health) is True
    assert health.leases[0].error == "the store is down"
    assert health.leases[0].last_contact is None


@pytest.mark.parametrize(("silent_for", "ok"), [(0.0, True), (9.0, True), (11.0, False)])
def test_health_is_bad_when_the_renewal_thread_gives_no_sign_of_life(make_replica, silent_for, ok):
    class Silent:
        def wake(self, candidacy):
            pass

        def unanswered(self):
            return silent_for

    replica = make_replica()
    replica._core._given_driver = Silent()
    replica.leadership("nightly").start()
    assert replica.health().ok is ok


def test_the_start_is_told_once_with_all_that_was_declared(make_replica):
    heard = Heard()
    replica = make_replica(hooks=[heard])
    replica.leadership("b")
    locker = replica.locker("c")
    replica.leadership("a").wait(timeout=LIMIT)
    replica.leadership("b").wait(timeout=LIMIT)
    started = heard.wait_for(ReplicaStarted)
    assert (started.identity, started.leases, started.store) == (
        replica.identity,
        ("a", "b", locker.lease),
        "memory (this process only)",
    )
    assert len([event for event in heard.events if isinstance(event, ReplicaStarted)]) == 1


def test_configure_before_the_first_use_is_the_default_replica(fresh):
    job = leader_only(lease="nightly")(lambda: "ran")
    replica = configure(store=fresh, config=QUICK, prefix="app-")
    assert job.leadership is replica.leadership("nightly") is leadership("nightly")
    assert job() == "ran"
    assert list(fresh.leases) == ["app-nightly"]
    replica.close()


def test_the_default_replica_is_one_object(fresh):
    assert configure(store=fresh) is configure(store=fresh)


def test_configure_after_the_first_use_is_refused(fresh):
    replica = configure(store=fresh, config=QUICK)
    leadership("nightly").wait(timeout=LIMIT)
    with pytest.raises(ConfigError, match="before the first use"):
        configure(store=fresh)
    replica.close()


def test_configure_checks_declared_names_against_the_prefix(fresh):
    job = leader_only(lease="x" * 250)(lambda: None)
    with pytest.raises(ConfigError, match="254"):
        configure(store=fresh, prefix="app-")
    assert job.leadership.lease == "x" * 250


def test_configure_refuses_bad_values(fresh):
    with pytest.raises(ConfigError, match="mode"):
        configure(mode="x")


def test_a_locker_may_name_its_own_store(space):
    locker = LeaseLocker("rebuild", store=space, identity="web", config=QUICK)
    assert locker.try_lock()
    assert locker.term.identity.startswith("web_")
    locker.unlock()
    replica_on(locker._part.core).close()


def test_another_replica_like_it_has_its_source_of_chance(make_replica):
    names = {make_replica(rng=Random(7))._core.but(identity="web").wiring().identity for _ in range(2)}
    assert len(names) == 1
