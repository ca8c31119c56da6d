"""A lock for each call."""

import asyncio

import pytest

from singleton_jobs import AccessDenied, ConfigError, LeadershipLost, LeaseBusy, StoreError, current_term
from unit.stage import LIMIT, in_thread, until


def test_the_lease_is_held_during_the_call_and_freed_after_it(replica, space):
    @replica.exclusive(lease="rebuild")
    def job():
        assert current_term().is_valid
        return space.holder("rebuild")

    assert job().startswith("pod-0_")
    assert space.holder("rebuild") == ""


def test_a_call_that_raises_frees_the_lease(replica, space):
    job = replica.exclusive(lease="rebuild")(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        job()
    assert space.holder("rebuild") == ""


def test_a_second_call_at_once_runs(replica):
    job = replica.exclusive(lease="rebuild")(lambda: "ran")
    assert [job() for _ in range(3)] == ["ran"] * 3


def test_replicas_that_take_turns_always_run(make_replica):
    jobs = [make_replica().exclusive(lease="rebuild")(lambda: "ran") for _ in range(2)]
    assert [jobs[turn % 2]() for turn in range(6)] == ["ran"] * 6


def test_a_busy_lease_skips_the_call_and_names_its_holder(replica, space):
    space.put("rebuild", "other_1")
    skipped = replica.exclusive(lease="rebuild")(lambda: "ran")()
    assert (skipped.reason, skipped.holder) == ("busy", "other_1")


def test_a_busy_lease_is_waited_for_as_long_as_was_said(replica, space):
    space.put("rebuild", "other_1")
    assert replica.exclusive(lease="rebuild", wait=0.1)(lambda: "ran")().reason == "busy"


def test_a_waiting_call_runs_once_the_lease_is_free(replica, space):
    space.put("rebuild", "other_1")
    join = in_thread(replica.exclusive(lease="rebuild", wait=LIMIT)(lambda: "ran"))
    until(lambda: space.requests)
    space.put("rebuild", "")
    assert join() == "ran"


def test_asked_to_raise_it_raises_when_busy(replica, space):
    space.put("rebuild", "other_1")
    with pytest.raises(LeaseBusy, match="other_1"):
        replica.exclusive(lease="rebuild", on_busy="raise")(lambda: "ran")()


def test_asked_to_raise_on_a_closed_replica_it_says_so(replica):
    job = replica.exclusive(lease="rebuild", on_busy="raise")(lambda: "ran")
    assert job() == "ran"
    replica.close()
    with pytest.raises(LeaseBusy, match="replica is closed") as caught:
        job()
    assert caught.value.reason == "draining"
    assert "held" not in str(caught.value)


def test_asked_to_raise_in_mode_never_it_says_so(make_replica):
    job = make_replica(mode="never").exclusive(lease="rebuild", on_busy="raise")(lambda: "ran")
    with pytest.raises(LeaseBusy, match="mode 'never'") as caught:
        job()
    assert caught.value.reason == "mode"


@pytest.mark.parametrize(
    ("fault", "reason", "error"),
    [("down", "store-unreachable", StoreError), ("denied", "access-denied", AccessDenied)],
)
def test_a_store_that_fails_skips_or_raises_what_kept_it_from_asking(make_replica, space, fault, reason, error):
    space.fault = fault
    assert make_replica().exclusive(lease="rebuild")(lambda: "ran")().reason == reason
    with pytest.raises(error):
        make_replica().exclusive(lease="rebuild", on_busy="raise")(lambda: "ran")()


def test_calls_of_one_function_in_two_threads_exclude_each_other(replica):
    started, go_on = [], []

    @replica.exclusive(lease="rebuild")
    def job():
        started.append(1)
        until(lambda: go_on)
        return "ran"

    join = in_thread(job)
    until(lambda: started)
    assert job().reason == "busy"
    go_on.append(1)
    assert join() == "ran"


def test_coroutines_hold_the_lease_while_they_run(replica, space):
    @replica.exclusive(lease="rebuild")
    async def job():
        await asyncio.sleep(0)
        return space.holder("rebuild")

    assert asyncio.run(job()).startswith("pod-0_")
    assert space.holder("rebuild") == ""


def test_concurrent_coroutines_run_one_after_the_other(replica):
    inside, most = [], []

    @replica.exclusive(lease="rebuild", wait=None)
    async def job():
        inside.append(1)
        await asyncio.sleep(0)
        most.append(len(inside))
        inside.pop()

    async def main():
        await asyncio.gather(*(job() for _ in range(5)))

    asyncio.run(main())
    assert most == [1] * 5


def test_a_waiting_coroutine_does_not_block_the_loop(replica, space):
    space.put("rebuild", "other_1")
    job = replica.exclusive(lease="rebuild", wait=LIMIT)(coroutine)

    async def main():
        task = asyncio.create_task(job())
        while not space.requests:
            await asyncio.sleep(0.001)
        space.put("rebuild", "")
        return await task

    assert asyncio.run(main()) == "ran"


async def coroutine():
    return "ran"


def test_losing_the_lease_cancels_the_coroutine(replica, space):
    @replica.exclusive(lease="rebuild")
    async def job():
        space.put("rebuild", "thief_1")
        await asyncio.sleep(LIMIT)

    with pytest.raises(LeadershipLost):
        asyncio.run(job())
    assert space.holder("rebuild") == "thief_1"


def test_a_lease_of_a_leadership_cannot_be_locked_per_call(replica):
    replica.leader_only(lease="rebuild")(lambda: None)
    with pytest.raises(ConfigError, match="different leases"):
        replica.exclusive(lease="rebuild")


def test_an_exclusive_function_has_no_leadership(replica):
    with pytest.raises(AttributeError, match="leadership"):
        _ = replica.exclusive(lease="rebuild")(lambda: None).leadership


@pytest.mark.parametrize(("mode", "result"), [("always", "ran"), ("never", None)])
def test_modes_decide_without_asking(make_replica, space, mode, result):
    outcome = make_replica(mode=mode).exclusive(lease="rebuild")(lambda: "ran")()
    assert outcome == result or outcome.reason == "mode"
    assert space.requests == 0
