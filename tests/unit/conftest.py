"""Replicas on one store in memory, closed after each test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from singleton_jobs import Replica
from unit.stage import DRIVER, PUSHED, QUICK, Heard, PushedClock, Space


@pytest.fixture
def space() -> Space:
    return Space()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def clock() -> PushedClock:
    return PUSHED


@pytest.fixture
def make_replica(space: Space) -> Iterator[Callable[..., Replica]]:
    """`make_replica(**Replica's arguments)`, each a process of its own as far as the store can tell."""
    made: list[Replica] = []

    def make(**arguments: Any) -> Replica:
        given = {"store": space, "identity": f"pod-{len(made)}", "config": QUICK, "clock": PUSHED.clock} | arguments
        made.append(Replica(**given, driver=DRIVER))
        return made[-1]

    yield make
    space.fault = None
    for replica in made:
        replica.close(drain=0)


@pytest.fixture
def replica(make_replica: Callable[..., Replica]) -> Replica:
    return make_replica()
