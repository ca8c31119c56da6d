"""Watches of a store in memory, after a fork."""

import asyncio

from singleton_jobs.locks import LockRecord, MemorySpace, memory


def test_a_forked_child_tells_nothing_on_its_parents_event_loop(monkeypatch):
    space, told = MemorySpace(), []

    async def main():
        lock = space.lock("nightly", "me_1")
        lock.watch(told.append)
        await asyncio.sleep(0)
        before = len(told)
        with monkeypatch.context() as child:
            child.setattr(memory.os, "getpid", lambda: -1)
            stored = await lock.create(LockRecord("me_1", 15))
        await asyncio.sleep(0)
        assert len(told) == before
        await lock.update(LockRecord("me_1", 15), stored)
        await asyncio.sleep(0)
        assert len(told) == before + 1

    asyncio.run(main())


def test_nothing_is_kept_of_what_is_watched_no_more():
    space = MemorySpace()

    async def main():
        for number in range(3):
            space.keyed_lock("sync", str(number), "me_1").watch(lambda sight: None).end()
        watches = [space.lock("nightly", "me_1").watch(lambda sight: None) for _ in range(2)]
        watches[0].end()
        assert list(space._watches) == ["nightly"]
        watches[1].end()
        watches[1].end()

    asyncio.run(main())
    assert space._watches == {}
