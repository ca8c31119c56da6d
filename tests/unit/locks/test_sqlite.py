"""Leases in a SQLite file, beyond the stores' contract."""

import asyncio
import gc

import pytest

from singleton_jobs import StoreError
from singleton_jobs.locks import SQLiteLock, SQLiteStore


def test_a_store_that_was_forgotten_closes_its_connection(tmp_path):
    asyncio.run(SQLiteLock("nightly", "me", store=SQLiteStore(tmp_path / "leases.db")).get())
    gc.collect()  # from 3.13 on, a connection that is left open is told of then


def test_a_file_that_cannot_be_opened_is_one_error_and_nothing_beside_it(tmp_path):
    with pytest.raises(StoreError, match="unable to open"):
        asyncio.run(SQLiteLock("nightly", "me", store=SQLiteStore(tmp_path)).get())
    gc.collect()
