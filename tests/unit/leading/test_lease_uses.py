"""One lease has one role and one timing in a process."""

import gc

import pytest

from singleton_jobs import Config, ConfigError
from singleton_jobs.leading.lease_uses import LeaseUses


class Owner:
    pass


def claim(registry, owner, role="a leadership", config=Config(), key="key"):
    registry.use(key, "nightly", role, config, owner)


def test_owners_of_one_role_and_timing_share_a_lease():
    registry, owners = LeaseUses(), [Owner(), Owner()]
    for owner in owners:
        claim(registry, owner)
    assert registry.leases() == ["key"]


def test_a_second_role_is_refused_and_named():
    registry, owners = LeaseUses(), [Owner(), Owner()]
    claim(registry, owners[0])
    with pytest.raises(ConfigError, match="a leadership.*a locker"):
        claim(registry, owners[1], role="a locker")


def test_a_second_timing_is_refused_with_both():
    registry, owners = LeaseUses(), [Owner(), Owner()]
    claim(registry, owners[0])
    with pytest.raises(ConfigError, match="lease_duration=30"):
        claim(registry, owners[1], config=Config(30))


def test_other_leases_are_free_to_differ():
    registry, owners = LeaseUses(), [Owner(), Owner()]
    claim(registry, owners[0])
    claim(registry, owners[1], role="a locker", key="other")
    assert len(registry.leases()) == 2


def test_the_first_timing_that_is_named_counts_for_all_who_come_later():
    registry, owners = LeaseUses(), [Owner(), Owner(), Owner()]
    claim(registry, owners[0], config=None)
    claim(registry, owners[1], config=Config(30))
    with pytest.raises(ConfigError, match="lease_duration=30"):
        claim(registry, owners[2], config=Config(60))
    claim(registry, owners[2], config=None)


def test_a_timing_is_forgotten_with_the_last_who_named_it():
    registry, owners = LeaseUses(), [Owner(), Owner(), Owner()]
    claim(registry, owners[0], config=None)
    claim(registry, owners[1], config=Config(30))
    registry.give_up(owners[1])
    claim(registry, owners[2], config=Config(60))


def test_a_lone_owner_may_change_its_mind():
    registry, owner = LeaseUses(), Owner()
    claim(registry, owner)
    claim(registry, owner, config=Config(30))


def test_a_use_ends_with_its_owner():
    registry, owner = LeaseUses(), Owner()
    claim(registry, owner)
    del owner
    gc.collect()
    assert registry.leases() == []
    heir = Owner()
    claim(registry, heir, role="a locker")


def test_a_use_can_be_given_up():
    registry, owners = LeaseUses(), [Owner(), Owner()]
    claim(registry, owners[0])
    registry.give_up(owners[0])
    claim(registry, owners[1], role="a locker")
