"""Pytest fixtures for tests against real databases; a conftest imports those it wants."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, NoReturn

import pytest

from .mariadb import MariaDB, MariaDBMissing
from .postgresql import PostgreSQL, PostgreSQLMissing
from .redis_server import Redis, RedisMissing


@pytest.fixture(scope="session")
def postgresql(request: pytest.FixtureRequest) -> Iterator[PostgreSQL]:
    """One PostgreSQL server per test process."""
    try:
        server = PostgreSQL()
    except PostgreSQLMissing as error:
        _skip_loudly(request, "POSTGRESQL", error)
    with server:
        yield server


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL) -> Iterator[str]:
    """A new database for this test."""
    yield postgresql.create_database()
    postgresql.recover()


@pytest.fixture(scope="session")
def mariadb(request: pytest.FixtureRequest) -> Iterator[MariaDB]:
    """One MariaDB server per test process."""
    try:
        server = MariaDB()
    except MariaDBMissing as error:
        _skip_loudly(request, "MARIADB", error)
    with server:
        yield server


@pytest.fixture(scope="session")
def redis_server(request: pytest.FixtureRequest) -> Iterator[Redis]:
    """One Redis server per test process."""
    try:
        server = Redis()
    except RedisMissing as error:
        _skip_loudly(request, "REDIS", error)
    with server:
        yield server


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """An empty database for this test."""
    redis_server.empty()
    return redis_server.url


def _skip_loudly(request: pytest.FixtureRequest, what: str, error: Exception) -> NoReturn:
    if os.environ.get("SINGLETON_JOBS_REQUIRE_E2E") == "1":
        raise error
    capture: Any = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        print(f"\n*** NO TESTS ON {what}: {error}", file=sys.stderr, flush=True)
    pytest.skip(str(error))
