"""The MariaDB server that other tests use."""

from __future__ import annotations

import pytest

from .fixtures import mariadb  # noqa: F401
from .mariadb import MariaDB, MariaDBMissing, find

pytestmark = pytest.mark.e2e


def test_each_test_has_an_empty_database_of_its_own(mariadb: MariaDB) -> None:  # noqa: F811
    names = [mariadb.create_database() for _ in range(2)]
    for name in names:
        mariadb.execute(f"CREATE TABLE {name}.t (n int)")
        assert mariadb.execute(f"SELECT count(*) FROM {name}.t") == ((0,),)


def test_a_machine_without_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(MariaDBMissing, match="apt-get install mariadb-server"):
        find()
