"""What ends a coroutine when its term is lost."""

import asyncio
import gc
import weakref

from unit.stage import LIMIT


def test_a_term_keeps_no_task_alive_that_nobody_runs_any_more(replica):
    @replica.leader_only("nightly")
    async def job():
        await asyncio.Event().wait()

    assert job.leadership.wait(timeout=LIMIT)
    loop = asyncio.new_event_loop()
    task = loop.create_task(job())
    loop.run_until_complete(asyncio.sleep(0))
    term, kept = job.leadership.term, weakref.ref(task)
    assert term._on_lost
    loop.close()
    del task
    gc.collect()
    assert kept() is None
    assert not term._on_lost
