"""SQLiteLock only: what other processes at the same file, and a power cut, may meet."""

import asyncio
import sqlite3

import pytest

from contract.records import RECORD, record
from contract.shelves import SQLiteShelf
from singleton_jobs.errors import Conflict

FULL = 2  # as SQLite counts


@pytest.fixture
def shelf(tmp_path):
    shelf = SQLiteShelf(tmp_path / "leases.sqlite3")
    yield shelf
    shelf.close()


async def test_a_swap_waits_for_another_processs_transaction_and_meets_what_that_wrote(shelf):
    lock = shelf.lock()
    first = await lock.create(RECORD)
    other = sqlite3.connect(shelf.path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE lease SET version = version + 1")
        swap = asyncio.create_task(lock.update(record(lease_transitions=2), first))
        await asyncio.sleep(0.2)
        assert not swap.done()
        other.execute("COMMIT")
        with pytest.raises(Conflict):
            await swap
    finally:
        other.close()


async def test_what_was_written_is_on_the_disk(shelf):
    await shelf.lock().create(RECORD)
    rows = await shelf.stores[0].run(lambda connection: connection.execute("PRAGMA synchronous").fetchall())
    assert rows == [(FULL,)]
