"""Leases in a SQLite file, beyond the stores' contract."""

import asyncio
import gc

import pytest

from singleton_jobs import StoreError
from singleton_jobs.locks import LockRecord, SQLiteLock, SQLiteStore


def test_a_store_that_was_forgotten_closes_its_connection(tmp_path):
    asyncio.run(SQLiteLock("nightly", "me", store=SQLiteStore(tmp_path / "leases.db")).get())
    gc.collect()  # from 3.13 on, a connection that is left open is told of then


def test_a_file_that_cannot_be_opened_is_one_error_and_nothing_beside_it(tmp_path):
    with pytest.raises(StoreError, match="unable to open"):
        asyncio.run(SQLiteLock("nightly", "me", store=SQLiteStore(tmp_path)).get())
    gc.collect()


def test_nothing_is_kept_of_a_key_that_is_watched_no_more(tmp_path):
    async def main():
        store = SQLiteStore(tmp_path / "leases.db")
        lock, told = store.keyed_lock("sync", "acme", "me"), asyncio.Queue()
        stored = await lock.create(LockRecord("me", 15))
        watch = lock.watch(told.put_nowait)
        await told.get()
        (watcher,) = store._watchers.values()
        assert watcher._keyed == {"sync.acme"}
        await lock.delete(stored)
        assert (await told.get()).stored is None
        assert watcher._keyed == set()
        await lock.create(LockRecord("me", 15))
        await told.get()
        watch.end()
        assert (watcher._keyed, watcher._watches, watcher._processes) == (set(), {}, {})

    asyncio.run(main())
