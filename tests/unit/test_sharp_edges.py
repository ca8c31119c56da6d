"""What goes wrong once in a thousand times, or with unusual use."""

import asyncio
import pickle
import sys
import threading
from datetime import UTC, datetime

import pytest

from singleton_jobs import (
    AccessDenied,
    Config,
    ConfigError,
    LeadershipLost,
    LeaseBusy,
    LeaseExpired,
    NotLeader,
    Replica,
    SingletonJobsError,
    StoreError,
)
from singleton_jobs.concurrency.threads import Worker
from unit.stage import LIMIT, in_thread


@pytest.mark.parametrize(
    "error",
    [
        LeaseBusy("a", "b"),
        LeaseBusy("a", "b", "too-soon", datetime(2026, 1, 2, tzinfo=UTC)),
        LeadershipLost("a", "b"),
        LeaseExpired("a", "b"),
        NotLeader("a", "mode", None),
        NotLeader("a", "too-soon", None, datetime(2026, 1, 2, tzinfo=UTC)),
        AccessDenied("no"),
        StoreError("gone", outcome="not done", retry_after=2.0),
    ],
    ids=lambda error: type(error).__name__,
)
def test_exceptions_cross_process_boundaries(error):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_a_changed_copy_of_a_timing_is_checked():
    with pytest.raises(ConfigError, match="60"):
        Config()._replace(renew_deadline=60.0)
    assert Config()._replace(retry_period=1.0).retry_period == 1.0


@pytest.mark.parametrize("config", [5, {"lease_duration": 15}])
def test_a_config_that_is_none_is_refused_at_decoration(replica, config):
    with pytest.raises(ConfigError, match="Config"):
        replica.leader_only("nightly", config=config)


def test_a_free_lease_is_taken_within_no_time_at_all(replica):
    assert replica.locker("rebuild").lock(timeout=0)
    with pytest.raises(LeaseBusy), replica.locker("rebuild").hold(timeout=0):
        pass


def test_a_block_may_end_on_another_thread_than_it_began_on(replica):
    locker = replica.locker("rebuild")
    in_thread(locker.__enter__)()
    in_thread(lambda: locker.__exit__(None, None, None))()
    assert replica.locker("rebuild").try_lock()


def test_a_task_that_locks_twice_is_told_so(replica):
    async def main():
        async with replica.locker("rebuild") as _:
            pass
        locker = replica.locker("rebuild")
        async with locker:
            with pytest.raises(SingletonJobsError, match="not re-entrant"):
                await locker.alock(timeout=LIMIT)

    asyncio.run(main())


def test_who_lost_a_lock_does_not_unlock_it_for_who_took_it_then(replica):
    locker = replica.locker("rebuild")
    assert locker.lock(timeout=LIMIT)
    locker._part.candidacy.abandon("a test")
    assert in_thread(lambda: locker.lock(timeout=2 * LIMIT))()
    assert not locker.unlock()
    assert locker.is_held


def test_a_function_that_returns_a_coroutine_is_not_run_unguarded(replica):
    async def work():
        raise AssertionError

    every = {"at_most_every": 60, "job": "job"}
    for guard in (
        replica.leader_only("nightly"),
        replica.leader_only("nightly", **every),
        replica.exclusive("rebuild"),
    ):
        with pytest.raises(TypeError, match="async function"):
            guard(lambda: work())()


class Reports:
    @Replica(store="memory:").leader_only("pickled")
    def report(self):
        return "ran"


def test_a_guarded_method_pickles_through_its_class():
    assert pickle.loads(pickle.dumps(Reports.report)).__wrapped__ is Reports.report.__wrapped__


def test_a_store_that_cancels_its_own_request_ends_no_candidacy(replica, space, monkeypatch):
    leadership = replica.leadership("nightly")
    leadership.wait(timeout=LIMIT)
    lock = leadership._part.candidacy._lock
    update, cancelled = lock.update, threading.Event()

    async def cancels(*arguments, **options):
        monkeypatch.undo()
        cancelled.set()
        raise asyncio.CancelledError

    monkeypatch.setattr(lock, "update", cancels)
    assert cancelled.wait(LIMIT)
    version = space.leases["nightly"][1]
    candidacy = leadership._part.candidacy
    assert asyncio.run(
        candidacy.changed.wait(lambda: space.leases["nightly"][1] > version, candidacy.clock.now() + LIMIT, block=False)
    )
    assert leadership.is_leader
    assert lock.update == update


def test_first_tasks_from_many_threads_all_run():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(100):
            worker, ran, barrier = Worker("test"), [threading.Event() for _ in range(3)], threading.Barrier(3)

            def submit(event, worker=worker, barrier=barrier):
                barrier.wait()
                worker.submit(event.set)

            threads = [threading.Thread(target=submit, args=(event,)) for event in ran]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert all(event.wait(LIMIT) for event in ran)
    finally:
        sys.setswitchinterval(interval)
