"""Fixtures of the tests with APScheduler."""

from __future__ import annotations

from pathlib import Path

import pytest
from controlplane.admin import Admin
from databases.fixtures import postgresql, postgresql_url  # noqa: F401

from ..journal import Journal
from ..processes import Starter
from .replicas import Schedulers, Store


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """The job store of all replicas, empty; parametrize it indirectly."""
    kind = getattr(request, "param", "memory")
    if kind == "memory":
        return Store(kind, None)
    if kind == "sqlite":
        return Store(kind, f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    return Store(kind, request.getfixturevalue("postgresql_url"))


@pytest.fixture
def schedulers(
    start: Starter, journal: Journal, admin: Admin, namespace: str, store: Store, tmp_path: Path
) -> Schedulers:
    return Schedulers(start, journal, admin, namespace, store, tmp_path)
