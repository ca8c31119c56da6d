"""One lock per key: its lease is there only while it is held."""

import gc
from datetime import UTC, datetime
from uuid import UUID

import pytest

from singleton_jobs import AccessDenied, Config, ConfigError, LeaseBusy, LeaseLocker, StoreError, current_term
from singleton_jobs.locks import MemoryLock
from unit.stage import LIMIT, QUICK, in_thread, until


@pytest.fixture
def locker(replica):
    return replica.locker("sync", key="acme")


@pytest.fixture
def other(make_replica):
    return make_replica().locker("sync", key="acme")


def test_a_free_key_is_locked_with_one_request(locker, space):
    assert locker.try_lock()
    assert (locker.is_held, locker.lease, space.requests) == (True, "sync.acme", 1)
    assert space.holder("sync.acme").startswith("pod-0_")


def test_keys_do_not_meet(replica):
    assert all(replica.locker("sync", key=key).try_lock() for key in ("a", "b", 7, UUID(int=7)))


def test_the_lease_without_a_key_is_another(replica, locker):
    assert locker.try_lock()
    assert replica.locker("sync").try_lock()


def test_two_lockers_of_one_key_exclude_each_other(locker, other):
    assert locker.try_lock()
    assert not other.try_lock()


def test_an_unlock_leaves_nothing(locker, space):
    locker.try_lock()
    assert locker.unlock()
    assert space.leases == {}
    assert not locker.is_held


def test_it_can_be_locked_again(locker, space):
    for _ in range(3):
        assert locker.try_lock()
        assert locker.unlock_with_retry()
    assert space.requests == 6


def test_a_waiting_lock_gets_it_when_it_is_given_back(locker, other):
    locker.try_lock()
    waiting = in_thread(lambda: other.lock(timeout=LIMIT))
    until(lambda: other._part.candidacy and other._part.candidacy.settled)
    locker.unlock()
    assert waiting()
    assert other.is_held


def test_a_block_holds_it(locker, space):
    with locker.hold(timeout=LIMIT) as term:
        assert current_term() is term
        assert space.holder("sync.acme")
    assert space.leases == {}


def test_a_busy_block_names_the_holder(locker, other):
    with locker, pytest.raises(LeaseBusy, match="'sync.acme' is busy: held by 'pod-0_"), other.hold(timeout=0.05):
        pass


def test_coroutines_lock_it_too(locker, space):
    import asyncio

    async def main():
        assert await locker.atry_lock()
        assert await locker.aunlock()
        async with locker:
            assert locker.is_held
        async with locker.ahold(timeout=LIMIT):
            assert locker.is_held

    asyncio.run(main())
    assert space.leases == {}


def test_a_deletion_by_hand_is_a_loss(locker, space):
    locker.try_lock()
    with space.mutex:
        space.drop("sync.acme")
    assert locker.lost.wait(LIMIT)
    assert not locker.is_held


def test_what_another_has_taken_meanwhile_is_left_alone(locker, space):
    locker.try_lock()
    space.put("sync.acme", "other_1", key="acme")
    assert not locker.unlock()
    assert space.holder("sync.acme") == "other_1"


def test_an_unlock_that_finds_nothing_has_freed_it(locker, space):
    locker.try_lock()
    with space.mutex:
        space.drop("sync.acme")
    assert locker.unlock()


def test_a_deletion_that_was_not_answered_is_tried_again(locker, space, monkeypatch):
    locker.try_lock()
    delete, answers = MemoryLock.delete, [StoreError("no answer"), StoreError("no answer")]

    async def landed(self, replaces):
        await delete(self, replaces)
        raise answers.pop()

    monkeypatch.setattr(MemoryLock, "delete", landed)
    assert locker.unlock_with_retry(timeout=LIMIT)
    assert (space.leases, len(answers)) == ({}, 1)


@pytest.mark.parametrize(("fault", "error"), [("denied", AccessDenied), ("down", StoreError)])
def test_a_store_that_fails_says_so(locker, space, fault, error):
    space.fault = fault
    with pytest.raises(error):
        locker.try_lock()


@pytest.mark.parametrize("key", [None, "", True, 1.5, object(), "a\nb", "x" * 1025, b"acme"])
def test_what_can_be_no_key_is_refused_by_name(replica, key):
    with pytest.raises(ConfigError, match="lease 'sync' cannot be kept for the key"):
        replica.locker("sync", key=key)


def test_a_store_that_keeps_no_keys_says_so(make_replica):
    class Plain:
        def lock(self, lease, identity):
            return MemoryLock(lease, identity)

    with pytest.raises(ConfigError, match="keeps no leases of keys"):
        make_replica(store=Plain()).locker("sync", key="acme").try_lock()


def test_a_base_has_one_timing(replica):
    longer = Config(lease_duration=30)
    kept = replica.locker("sync", longer, key="a")
    assert replica.locker("sync", key="b")._part.timing == longer
    with pytest.raises(ConfigError, match="another Config"):
        replica.locker("sync", QUICK, key="c")
    del kept


def test_a_prefix_comes_before_the_base(make_replica):
    assert make_replica(prefix="shop-").locker("sync", key="acme").lease == "shop-sync.acme"


def test_a_locker_of_its_own_replica_takes_a_key_too():
    locker = LeaseLocker("sync", key="acme", store="memory:")
    assert locker.try_lock()
    assert locker.unlock()


def test_an_ordinary_lease_of_its_name_is_left_alone(replica, make_replica, space):
    """Or its ledger would be deleted with it."""
    payroll = make_replica().leadership("pay.roll")
    assert payroll.wait(timeout=LIMIT)
    assert payroll.claim("yearly", datetime.now(UTC))
    payroll.close()
    before = space.leases["pay.roll"]
    locker = replica.locker("pay", key="roll")
    with pytest.raises(StoreError, match="pay.roll is none of a key, and cannot be the one for the key 'roll'"):
        locker.try_lock()
    assert not locker.unlock()
    assert space.leases["pay.roll"] == before


def test_nor_is_that_of_another_key_and_base_touched(replica, space):
    one, other = replica.locker("a", key="b.c"), replica.locker("a.b", key="c")
    assert one.try_lock()
    with pytest.raises(StoreError, match="is kept for the key 'b.c' of another"):
        other.try_lock()
    assert one.unlock()
    assert other.try_lock()
    assert other.unlock()


def test_a_dead_holders_is_taken_after_its_duration(locker, space, clock):
    space.put("sync.acme", "other_1", key="acme")
    assert not locker.try_lock()
    clock.push(7)
    assert locker.try_lock()


def test_a_locker_that_nobody_has_leaves_nothing(replica, space):
    for key in range(200):
        locker = replica.locker("sync", key=key)
        locker.try_lock()
        locker.unlock()
    del locker
    gc.collect()
    assert (space.leases, replica._core.candidacies()) == ({}, [])
