"""Pytest fixtures for tests against real databases; a conftest imports those it wants."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from .postgresql import PostgreSQL, PostgreSQLMissing


@pytest.fixture(scope="session")
def postgresql(request: pytest.FixtureRequest) -> Iterator[PostgreSQL]:
    """One PostgreSQL server per test process."""
    try:
        server = PostgreSQL()
    except PostgreSQLMissing as error:
        if os.environ.get("SINGLETON_JOBS_REQUIRE_E2E") == "1":
            raise
        capture: Any = request.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            print(f"\n*** NO TESTS ON POSTGRESQL: {error}", file=sys.stderr, flush=True)
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL) -> Iterator[str]:
    """A new database for this test."""
    yield postgresql.create_database()
    postgresql.recover()
