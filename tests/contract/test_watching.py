"""Every resource lock that can be watched: what it tells, and in which order."""

import asyncio
from itertools import pairwise

from contract.records import RECORD, record
from singleton_jobs.locks.watching import Sight, Watchable

PATIENCE = 10.0  # seconds


class Told:
    """All that a watch of ``lock`` tells, in order."""

    def __init__(self, lock):
        assert isinstance(lock, Watchable)
        self.seen: list[Sight | None] = []
        self._news = asyncio.Event()
        self.watch = lock.watch(self._tell)

    def _tell(self, sight):
        self.seen.append(sight)
        self._news.set()

    async def until(self, is_it):
        """The first sight like that."""
        async with asyncio.timeout(PATIENCE):
            while not any(is_it(sight) for sight in self.seen):
                self._news.clear()
                await self._news.wait()
        return next(sight for sight in self.seen if is_it(sight))

    def holders(self):
        return [sight.stored and sight.stored.record.holder_identity for sight in self.seen if sight]


def held_by(name):
    return lambda sight: sight and sight.stored and sight.stored.record.holder_identity == name


async def test_how_it_is_comes_first(shelf):
    created = await shelf.lock().create(RECORD)
    told = Told(shelf.lock(identity="other_1"))
    sight = await told.until(held_by("me_1"))
    assert (sight.version, sight.stored.uid, sight.stored.record) == (created.version, created.uid, RECORD)
    assert told.holders() == ["me_1"]
    told.watch.end()


async def test_each_change_is_told_in_order(shelf):
    told = Told(shelf.lock(identity="other_1"))
    lock = shelf.lock()
    stored = await lock.create(RECORD, ledger="1")
    await told.until(held_by("me_1"))
    for name in ("a_1", "b_1", ""):
        stored = await lock.update(record(holder_identity=name), stored)
        sight = await told.until(held_by(name))
        assert (sight.version, sight.stored.ledger) == (stored.version, "1")
    versions = [sight.version for sight in told.seen if sight]
    assert all(before <= after for before, after in pairwise(versions))
    told.watch.end()


async def test_what_was_told_can_be_replaced(shelf):
    await shelf.lock().create(RECORD)
    shelf.edit(labels={"team": "billing"})
    other = shelf.lock(identity="other_1")
    told = Told(other)
    sight = await told.until(lambda sight: sight and sight.stored and "team" in str(sight.stored.raw))
    swapped = await other.update(record(holder_identity="other_1"), sight.stored)
    assert swapped.record.holder_identity == "other_1"
    assert shelf.raw()["metadata"]["labels"]["team"] == "billing"
    told.watch.end()


async def test_a_watch_is_of_its_own_lease(shelf):
    told = Told(shelf.lock(identity="other_1"))
    other = Told(shelf.lock("other", identity="other_1"))
    await shelf.lock("other").create(record(holder_identity="b_1"))
    await shelf.lock().create(record(holder_identity="a_1"))
    await asyncio.gather(told.until(held_by("a_1")), other.until(held_by("b_1")))
    assert "b_1" not in told.holders()
    assert "a_1" not in other.holders()
    told.watch.end()
    other.watch.end()


async def test_a_watch_that_has_ended_tells_nothing(shelf):
    stored = await shelf.lock().create(RECORD)
    ended, other = Told(shelf.lock(identity="other_1")), Told(shelf.lock(identity="another_1"))
    await ended.until(held_by("me_1"))
    ended.watch.end()
    ended.watch.end()
    await other.until(held_by("me_1"))
    await shelf.lock().update(record(holder_identity="a_1"), stored)
    await other.until(held_by("a_1"))
    assert "a_1" not in ended.holders()
    other.watch.end()


async def test_what_cannot_be_read_has_to_be_asked_for(shelf):
    await shelf.lock().create(RECORD)
    told = Told(shelf.lock(identity="other_1"))
    await told.until(held_by("me_1"))
    told.seen.clear()
    shelf.spoil()
    await told.until(lambda sight: sight is None)
    told.watch.end()


async def test_doubt_does_no_harm(shelf):
    stored = await shelf.lock().create(RECORD)
    told = Told(shelf.lock(identity="other_1"))
    await told.until(held_by("me_1"))
    assert told.watch.how
    told.watch.doubt()
    await shelf.lock().update(record(holder_identity="a_1"), stored)
    await told.until(held_by("a_1"))
    told.watch.end()
