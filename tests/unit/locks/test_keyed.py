"""Stores that keep leases of keys, and others."""

import pytest

from singleton_jobs import ConfigError
from singleton_jobs.locks import MemorySpace
from singleton_jobs.locks.keyed import keyed_store


class Own:
    def lock(self, lease, identity):
        raise NotImplementedError

    def __repr__(self):
        return "<the team's own store>"


def test_a_store_of_somebodys_own_without_keys_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"the team's own store> keeps no leases of keys"):
        keyed_store(Own())


def test_a_store_with_keys_is_taken_as_it_is():
    space = MemorySpace()
    assert keyed_store(space) is space
