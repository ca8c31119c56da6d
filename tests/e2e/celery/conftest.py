"""Fixtures of the tests with Celery."""

from __future__ import annotations

from pathlib import Path

import pytest
from controlplane.admin import Admin
from databases.fixtures import redis_server, redis_url  # noqa: F401
from databases.redis_server import Redis

from ..journal import Journal
from ..processes import Starter
from .beats import Beats
from .workers import Workers


@pytest.fixture
def beats(
    start: Starter,
    journal: Journal,
    admin: Admin,
    namespace: str,
    redis_server: Redis,  # noqa: F811
    redis_url: str,  # noqa: F811
    tmp_path: Path,
) -> Beats:
    return Beats(start, journal, admin, namespace, redis_server, tmp_path)


@pytest.fixture
def workers(start: Starter, journal: Journal, admin: Admin, redis_server: Redis, redis_url: str) -> Workers:  # noqa: F811
    return Workers(start, journal, redis_server)
