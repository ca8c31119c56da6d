"""Closing is final, waits for work and for nothing else, and leaves nothing behind."""

import asyncio
import gc
import threading

import pytest

from singleton_jobs import ConfigError, LeadershipLost, Replica, Skipped, running
from unit.stage import LIMIT, in_thread, until


def test_mode_never_leads_nothing_even_when_started(make_replica):
    replica = make_replica(mode="never")
    job = replica.leader_only("nightly")(lambda: "ran")
    replica.leadership("nightly").start()
    assert job() == Skipped("nightly", "mode")
    with running("other", replica=replica):
        assert not replica.leadership("other").is_leader


def test_work_that_steps_down_while_its_replica_closes_does_not_reopen_it(replica):
    inside, closing = threading.Event(), threading.Event()

    @replica.leader_only("nightly")
    def job():
        inside.set()
        closing.wait(LIMIT)
        replica.leadership("nightly").step_down()

    work = in_thread(job)
    inside.wait(LIMIT)
    close = in_thread(lambda: replica.close(drain=LIMIT))
    until(lambda: replica.leadership("nightly").candidacy.ending)
    closing.set()
    work()
    close()
    candidacy = replica.leadership("nightly").candidacy
    assert (candidacy.ending, candidacy.draining, candidacy.started) == (True, True, False)
    assert job() == Skipped("nightly", "draining")


def test_a_candidacy_that_starts_while_its_replica_closes_does_not_lead(replica):
    leadership = replica.leadership("nightly")
    leadership.wait(timeout=LIMIT)
    replica.close()
    leadership._begin()
    assert not leadership.candidacy.started


def test_an_unlock_and_a_close_do_not_wait_for_each_other(replica, space):
    locker = replica.locker("rebuild")
    locker.lock(timeout=LIMIT)
    close = in_thread(lambda: replica.close(drain=60))
    until(lambda: locker.candidacy.ending)
    assert locker.unlock()
    close()
    assert space.holder("rebuild") == ""


def test_nobody_who_waited_for_a_locker_gets_it_after_the_close(replica):
    inside, go_on, ran = threading.Event(), threading.Event(), []

    @replica.exclusive("rebuild", wait=LIMIT)
    def job(name):
        ran.append(name)
        inside.set()
        go_on.wait(LIMIT)

    first = in_thread(lambda: job("first"))
    inside.wait(LIMIT)
    second = in_thread(lambda: job("second"))
    close = in_thread(lambda: replica.close(drain=LIMIT))
    until(lambda: replica.closed)
    go_on.set()
    first()
    close()
    assert isinstance(second(), Skipped)
    assert ran == ["first"]
    assert job("third").reason == "draining"


def test_a_close_from_inside_guarded_work_does_not_wait_for_it(replica, space):
    @replica.leader_only("nightly")
    def job():
        replica.close(drain=60)
        return replica.leadership("nightly").is_leader

    assert job()
    candidacy = replica.leadership("nightly").candidacy
    asyncio.run(candidacy.wait_left(candidacy.clock.now() + LIMIT, block=False))
    assert space.holder("nightly") == ""


def test_a_locker_that_was_forgotten_while_held_is_closed_with_its_replica(make_replica, space):
    replica, other = make_replica(), make_replica()
    assert replica.locker("rebuild").lock(timeout=LIMIT)
    gc.collect()
    replica.close(drain=0)
    assert not replica._candidacies()[0].held_until > 0
    assert not other.locker("rebuild").try_lock()  # it runs out by itself: its work may go on


def test_running_that_cannot_be_entered_leaves_nothing_behind(tmp_path):
    broken = Replica(store="kubernetes:?context=gone")
    with pytest.raises(ConfigError), running("nightly", replica=broken):
        pass
    assert not broken._running


def test_other_work_of_a_lease_may_end_before_a_finished_main_gives_it_back(replica):
    leadership, order = replica.leadership("nightly"), []
    inside = threading.Event()

    @replica.leader_only("nightly")
    def other():
        inside.set()
        until(lambda: leadership.candidacy.ending)
        order.append(leadership.candidacy.term.is_valid)

    def main(term):
        work.append(in_thread(other))
        inside.wait(LIMIT)
        return "done"

    work = []
    assert leadership.run_sync(main) == "done"
    work[0]()
    assert order == [True]


def test_a_coroutine_under_a_lock_is_cancelled_when_that_is_given_back(replica):
    locker = replica.locker("rebuild")

    @locker.leader_only
    async def work():
        await asyncio.sleep(LIMIT)

    async def main():
        await locker.alock(timeout=LIMIT)
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        assert await locker.aunlock()
        with pytest.raises(LeadershipLost):
            await task

    asyncio.run(main())


def test_a_guarded_coroutine_that_is_thrown_away_ends_its_work(replica):
    @replica.leader_only("nightly")
    async def job():
        await asyncio.sleep(LIMIT)

    loop = asyncio.new_event_loop()
    task = loop.create_task(job())
    loop.run_until_complete(asyncio.sleep(0.05))
    loop.close()
    assert replica.leadership("nightly").candidacy.active
    task._log_destroy_pending = False
    del task
    gc.collect()
    assert not replica.leadership("nightly").candidacy.active
