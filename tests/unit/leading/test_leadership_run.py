"""`run` and `run_sync`: a main that runs while this replica leads."""

import asyncio

import pytest

from singleton_jobs import LeadershipLost, current_term
from unit.stage import LIMIT, in_thread, until


@pytest.fixture
def leadership(replica):
    return replica.leadership("nightly")


def test_run_awaits_main_while_leading_and_gives_its_value(leadership, space):
    async def main(term):
        assert current_term() is term
        return term.fencing_token

    assert asyncio.run(leadership.run(main)) == 1
    assert space.holder("nightly") == ""


def test_run_releases_and_raises_what_main_raises(leadership, space):
    async def main(term):
        raise KeyError("mine")

    with pytest.raises(KeyError):
        asyncio.run(leadership.run(main))
    assert space.holder("nightly") == ""


def test_run_starts_main_again_when_the_lease_is_regained(leadership, space):
    tokens = []

    async def main(term):
        tokens.append(term.fencing_token)
        if len(tokens) == 1:
            space.put("nightly", "thief_1")
            try:
                await asyncio.sleep(LIMIT)
            finally:
                space.put("nightly", "")
        return tokens

    assert asyncio.run(leadership.run(main)) == sorted(set(tokens))
    assert len(tokens) == 2


def test_run_ends_without_a_value_when_the_leadership_is_closed(leadership):
    runs = []

    async def main(term):
        runs.append(in_thread(leadership.close))
        await asyncio.sleep(LIMIT)

    async def scenario():
        async with asyncio.timeout(2):
            return await leadership.run(main)

    assert asyncio.run(scenario()) is None
    assert len(runs) == 1


def test_run_sync_ends_when_the_leadership_is_closed(leadership):
    runs = []

    def main(term):
        runs.append(in_thread(leadership.close))
        assert len(runs) == 1
        return term.lost.wait(LIMIT)

    assert leadership.run_sync(main) is None


def test_run_can_be_cancelled(leadership, space):
    async def scenario():
        started = asyncio.Event()

        async def main(term):
            started.set()
            await asyncio.sleep(LIMIT)

        task = asyncio.create_task(leadership.run(main))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    until(lambda: space.holder("nightly") == "")


def test_run_sync_calls_main_and_gives_its_value(leadership, space):
    assert leadership.run_sync(lambda term: term.fencing_token) == 1
    assert space.holder("nightly") == ""


def test_run_sync_releases_and_raises_what_main_raises(leadership, space):
    def main(term):
        raise KeyError("mine")

    with pytest.raises(KeyError):
        leadership.run_sync(main)
    assert space.holder("nightly") == ""


def test_run_sync_starts_main_again_after_a_loss(leadership, space):
    tokens = []

    def main(term):
        tokens.append(term.fencing_token)
        if len(tokens) == 1:
            space.put("nightly", "thief_1")
            assert term.lost.wait(LIMIT)
            space.put("nightly", "")
            with pytest.raises(LeadershipLost):
                term.check()
            term.check()
        return tokens

    assert leadership.run_sync(main) == sorted(set(tokens))
    assert len(tokens) == 2


def test_run_sync_is_told_to_stop_when_the_replica_closes(replica, leadership):
    started = []

    def main(term):
        started.append(1)
        return term.lost.wait(LIMIT)

    join = in_thread(lambda: leadership.run_sync(main))
    until(lambda: started)
    replica.close()
    assert join() is None


def test_mode_never_runs_no_main(make_replica):
    leadership = make_replica(mode="never").leadership("nightly")
    assert leadership.run_sync(lambda term: "ran") is None
    assert not leadership.wait(timeout=0)
