"""`running` round a main: starts, counts, drains, releases."""

import asyncio

import pytest

from singleton_jobs import ConfigError, SingletonJobsError, running
from unit.stage import LIMIT, in_thread, seen_by, until


@pytest.fixture
def job(replica):
    return replica.leader_only(lease="nightly")(lambda: "ran")


def test_named_leases_are_started(replica):
    with running("a", "b", replica=replica):
        assert replica.leadership("a").wait(timeout=LIMIT)
        assert replica.leadership("b").wait(timeout=LIMIT)


def test_without_names_nothing_is_started(replica, job, space):
    with running(replica=replica):
        assert space.requests == 0


def test_at_its_end_everything_is_released(replica, job, space):
    with running("other", replica=replica):
        job()
        replica.leadership("other").wait(timeout=LIMIT)
    assert (space.holder("nightly"), space.holder("other")) == ("", "")


def test_an_exception_passes_through_and_releases(replica, job, space):
    with pytest.raises(KeyError), running(replica=replica):
        job()
        raise KeyError("mine")
    assert space.holder("nightly") == ""


def test_only_the_outermost_drains(replica, job, space):
    with running(replica=replica):
        with running(replica=replica):
            job()
        assert space.holder("nightly") != ""
        assert job() == "ran"
    assert space.holder("nightly") == ""


def test_afterwards_calls_are_skipped(replica, job):
    with running(replica=replica):
        job()
    assert job().reason == "draining"


def test_it_can_be_entered_again(replica, job):
    for _ in range(2):
        with running(replica=replica):
            assert job() == "ran"


def test_work_under_way_is_waited_for(replica, space):
    started, go_on = [], []

    @replica.leader_only(lease="nightly")
    def work():
        started.append(1)
        until(lambda: go_on)
        return work.leadership.is_leader

    with running(replica=replica):
        join = in_thread(work)
        until(lambda: started)
        in_thread(
            lambda: (
                seen_by(work.leadership._part.candidacy, lambda: work.leadership._part.candidacy.work.draining)
                or go_on.append(1)
            )
        )
    assert join() is True
    assert space.holder("nightly") == ""


def test_work_beyond_the_drain_limit_is_told_and_its_lease_runs_out(replica, space):
    started, lost = [], []

    @replica.leader_only(lease="nightly")
    def work():
        started.append(work.leadership.term)
        lost.append(started[0].lost.wait(LIMIT))

    with running(replica=replica, drain=0.05):
        join = in_thread(work)
        until(lambda: started)
    join()
    assert lost == [True]
    assert space.holder("nightly") != ""


def test_a_coroutine_uses_it_too(replica, job, space):
    async def main():
        async with running("nightly", replica=replica):
            await replica.leadership("nightly").wait_async(timeout=LIMIT)

    asyncio.run(main())
    assert space.holder("nightly") == ""


def test_sigterm_needs_the_main_thread(replica):
    def enter():
        with running(replica=replica, sigterm="exit"):
            pass

    with pytest.raises(ConfigError, match="main thread"):
        in_thread(enter)()


def test_the_handler_before_is_put_back(replica):
    import signal

    before = signal.getsignal(signal.SIGTERM)
    with running(replica=replica, sigterm="exit"):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("bad", [{"sigterm": "x"}, {"drain": -1}, {"drain": float("nan")}], ids=str)
def test_bad_arguments_are_refused(replica, bad):
    with pytest.raises(ConfigError):
        running(replica=replica, **bad)


def test_bad_names_are_refused(replica):
    with pytest.raises(ConfigError):
        running("../x", replica=replica)


def test_a_leadership_started_before_it_takes_part_again_after_it(replica, space):
    for _ in range(2):
        replica.leadership("nightly").start()
        with running(replica=replica):
            with running(replica=replica):
                assert replica.leadership("nightly").wait(timeout=LIMIT)
            assert replica.leadership("nightly").is_leader
        assert space.holder("nightly") == ""


def test_a_main_runs_again_after_it(replica):
    for _ in range(2):
        with running(replica=replica):
            pass
        assert replica.leadership("nightly").run_sync(lambda term: term.is_valid)


def test_an_explicit_close_is_for_good(replica):
    with running("nightly", replica=replica):
        pass
    replica.close()
    with pytest.raises(SingletonJobsError, match="closed"):
        replica.leadership("nightly").start()


def test_one_that_was_left_by_an_exception_before_its_end_began_is_not_counted(replica, job, space):
    running(replica=replica).__enter__()
    with running(replica=replica):
        assert job() == "ran"
    assert space.holder("nightly") == ""


def test_after_close_it_is_refused(replica, job):
    with running(replica=replica):
        job()
        replica.close()
    for _ in range(2):
        with pytest.raises(SingletonJobsError, match="closed"), running(replica=replica):
            pass
    assert job().reason == "draining"
    with pytest.raises(SingletonJobsError, match="closed"):
        replica.leadership("nightly").wait(timeout=0)


def test_a_locker_takes_part_again_after_it(replica):
    locker = replica.locker("job")
    with running(replica=replica):
        pass
    assert locker.try_lock()
    assert locker.unlock()
