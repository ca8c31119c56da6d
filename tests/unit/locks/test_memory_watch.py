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
