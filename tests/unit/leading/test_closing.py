"""Closing is final, waits for work and for nothing else, and leaves nothing behind."""

import asyncio
import gc
import threading

import pytest

from singleton_jobs import ConfigError, LeadershipLost, LeaseBusy, Replica, Skipped, running
from singleton_jobs.leading import locker_part
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
    until(lambda: replica.leadership("nightly")._part.candidacy.work.ending)
    closing.set()
    work()
    close()
    candidacy = replica.leadership("nightly")._part.candidacy
    assert (candidacy.work.ending, candidacy.work.draining, candidacy.started) == (True, True, False)
    assert job() == Skipped("nightly", "draining")


def test_a_candidacy_that_starts_while_its_replica_closes_does_not_lead(replica):
    leadership = replica.leadership("nightly")
    leadership.wait(timeout=LIMIT)
    replica.close()
    leadership._part.begin()
    assert not leadership._part.candidacy.started


def test_a_replica_is_opened_again_without_a_race_with_its_drain(replica):
    main = running("nightly", replica=replica)
    with main:
        candidacy = replica.leadership("nightly")._part.candidacy
    changed_outside = []

    class Watched(type(candidacy)):
        def __setattr__(self, name, value):
            if name in ("draining", "ending") and not self._mutex._is_owned():
                changed_outside.append(name)
            super().__setattr__(name, value)

    candidacy.__class__ = Watched
    with main:
        assert replica.leadership("nightly")._part.candidacy is candidacy
        assert not candidacy.work.draining
    assert changed_outside == []


def test_an_unlock_and_a_close_do_not_wait_for_each_other(replica, space):
    locker = replica.locker("rebuild")
    locker.lock(timeout=LIMIT)
    close = in_thread(lambda: replica.close(drain=60))
    until(lambda: locker._part.candidacy.work.ending)
    assert locker.unlock()
    close()
    assert space.holder("rebuild") == ""


def test_a_block_that_waited_for_a_locker_is_told_that_the_replica_closed(replica, space):
    space.put("rebuild", "other_1", duration=60)
    locker = replica.locker("rebuild")
    waiting = in_thread(locker.hold(timeout=LIMIT).__enter__)
    until(lambda: locker._part.candidacy and locker._part.candidacy.settled)
    replica.close(drain=0)
    with pytest.raises(LeaseBusy, match="replica is closed"):
        waiting()


@pytest.mark.parametrize("wait", [0, LIMIT])
def test_a_call_that_locks_while_the_replica_closes_is_skipped(replica, monkeypatch, wait):
    job = replica.exclusive("rebuild", wait=wait)(lambda: "ran")
    caller = locker_part.caller

    def closed_meanwhile(**options):
        replica.close(drain=0)
        return caller(**options)

    monkeypatch.setattr(locker_part, "caller", closed_meanwhile)
    assert job() == Skipped("rebuild", "draining")


def test_a_call_that_locks_while_running_ends_does_not_reopen_the_replica(replica, monkeypatch):
    job = replica.exclusive("rebuild")(lambda: "ran")
    caller, main = locker_part.caller, running(replica=replica)

    def ended_meanwhile(**options):
        main.__exit__(None, None, None)
        return caller(**options)

    with main:
        monkeypatch.setattr(locker_part, "caller", ended_meanwhile)
        assert job() == Skipped("rebuild", "draining")


def test_a_call_that_asks_while_the_replica_closes_is_told_of_the_close(replica, monkeypatch):
    leadership = replica.leadership("nightly")
    begin = leadership._part.begin

    def closed_meanwhile():
        replica.close(drain=0)
        return begin()

    monkeypatch.setattr(leadership._part, "begin", closed_meanwhile)
    assert replica.leader_only("nightly")(lambda: "ran")() == Skipped("nightly", "draining")


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
    until(lambda: replica._core.closed)
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
    candidacy = replica.leadership("nightly")._part.candidacy
    asyncio.run(candidacy.work.wait_left(candidacy.clock.now() + LIMIT, block=False))
    assert space.holder("nightly") == ""


def test_a_locker_that_was_forgotten_while_held_is_closed_with_its_replica(make_replica, space):
    replica, other = make_replica(), make_replica()
    assert replica.locker("rebuild").lock(timeout=LIMIT)
    gc.collect()
    replica.close(drain=0)
    assert not replica._core.candidacies()[0].held_until > 0
    assert not other.locker("rebuild").try_lock()  # it runs out by itself: its work may go on


def test_running_that_cannot_be_entered_leaves_nothing_behind(tmp_path):
    broken = Replica(store="kubernetes:?context=gone")
    with pytest.raises(ConfigError), running("nightly", replica=broken):
        pass
    assert not broken._core._running


def test_other_work_of_a_lease_may_end_before_a_finished_main_gives_it_back(replica):
    leadership, order = replica.leadership("nightly"), []
    inside = threading.Event()

    @replica.leader_only("nightly")
    def other():
        inside.set()
        until(lambda: leadership._part.candidacy.work.ending)
        order.append(leadership._part.candidacy.term.is_valid)

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
    assert replica.leadership("nightly")._part.candidacy.work.active
    task._log_destroy_pending = False
    del task
    gc.collect()
    assert not replica.leadership("nightly")._part.candidacy.work.active
