"""The real renewer on a loop with virtual time: days pass in seconds."""

import asyncio

import pytest

from simulation.loop import Cell, Simulation
from singleton_jobs.config import Config
from singleton_jobs.hooks.dispatcher import flush
from singleton_jobs.events import StoreFailed, StoreRecovered, TermEnded, TermStarted
from unit.stage import LIMIT

DAY = 86_400.0
CONFIG = Config()


@pytest.fixture
def simulation():
    return Simulation()


def test_a_steady_leader_sends_one_write_per_retry_period_for_a_day_and_no_read(simulation):
    cell = Cell()
    candidacy = simulation.candidacy(simulation.renewer(), cell)

    async def scenario():
        candidacy.start()
        await asyncio.sleep(DAY)
        assert candidacy.term.is_valid
        assert candidacy.term.fencing_token == 1

    simulation.run(scenario())
    assert cell.reads == 1
    assert len(cell.writes) == pytest.approx(DAY / CONFIG.retry_period, abs=2)
    assert [type(event) for _, event in simulation.events] == [TermStarted]


def test_fifty_candidacies_share_wake_ups(simulation):
    renewer, cells = simulation.renewer(), [Cell() for _ in range(50)]
    candidacies = [simulation.candidacy(renewer, cell) for cell in cells]

    async def scenario():
        for candidacy in candidacies:
            candidacy.start()
            await asyncio.sleep(0.07)
        before = simulation.loop.selector.wake_ups
        await asyncio.sleep(600)
        assert simulation.loop.selector.wake_ups - before <= 1.1 * 600 / CONFIG.retry_period
        assert all(candidacy.term.is_valid for candidacy in candidacies)

    simulation.run(scenario())
    assert all(len(cell.writes) == pytest.approx(300, abs=4) for cell in cells)


def test_a_lease_whose_store_hangs_delays_no_other(simulation):
    renewer, hanging, cells = simulation.renewer(), Cell(), [Cell() for _ in range(20)]
    candidacies = [simulation.candidacy(renewer, cell) for cell in (hanging, *cells)]

    async def scenario():
        for candidacy in candidacies:
            candidacy.start()
        await asyncio.sleep(60)
        hanging.silent = True
        await asyncio.sleep(3600)
        assert not candidacies[0].work.admits
        assert all(candidacy.term.fencing_token == 1 for candidacy in candidacies[1:])

    simulation.run(scenario())
    assert all(len(cell.writes) == pytest.approx(1830, abs=4) for cell in cells)


def test_a_store_that_hangs_for_many_leases_delays_no_other_store(simulation):
    renewer, hanging, cells = simulation.renewer(), [Cell() for _ in range(20)], [Cell() for _ in range(5)]
    stuck = [simulation.candidacy(renewer, cell, lane="hanging") for cell in hanging]
    healthy = [simulation.candidacy(renewer, cell, lane="healthy") for cell in cells]

    async def scenario():
        for candidacy in (*stuck, *healthy):
            candidacy.start()
        await asyncio.sleep(60)
        for cell in hanging:
            cell.silent = True
        await asyncio.sleep(600)
        assert all(candidacy.term.fencing_token == 1 for candidacy in healthy)

    simulation.run(scenario())
    assert all(len(cell.writes) == pytest.approx(330, abs=4) for cell in cells)


def test_losses_are_told_in_time_though_requests_queue_behind_a_hanging_store(simulation):
    renewer, cells = simulation.renewer(), [Cell() for _ in range(50)]
    candidacies = [simulation.candidacy(renewer, cell) for cell in cells]

    async def scenario():
        for candidacy in candidacies:
            candidacy.start()
        await asyncio.sleep(60)
        for cell in cells:
            cell.silent = True
        await asyncio.sleep(CONFIG.renew_deadline + 0.1)
        assert not any(candidacy.term for candidacy in candidacies)

    simulation.run(scenario())
    assert sum(isinstance(event, TermEnded) for _, event in simulation.events) == 50


def test_a_leader_that_is_cut_off_is_replaced_only_after_its_hold_has_ended(simulation):
    cell = Cell()
    first, second = (simulation.candidacy(simulation.renewer(), cell, f"me_{n}") for n in (1, 2))

    async def scenario():
        first.start()
        await asyncio.sleep(5)
        second.start()
        await asyncio.sleep(60)
        first._lock.cut_off = True
        await asyncio.sleep(60)
        assert second.work.admits

    simulation.run(scenario())
    ended = next(at for at, event in simulation.events if isinstance(event, TermEnded))
    (started,) = (at for at, event in simulation.events if isinstance(event, TermStarted) and event.identity == "me_2")
    assert ended < started <= 65 + CONFIG.lease_duration + 1.2 * CONFIG.retry_period


def test_a_crashed_leader_is_replaced_within_the_duration_and_one_poll(simulation):
    cell = Cell()
    doomed, second = simulation.renewer(), simulation.candidacy(simulation.renewer(), cell, "me_2")
    first = simulation.candidacy(doomed, cell, "me_1")

    async def scenario():
        first.start()
        await asyncio.sleep(1)
        second.start()
        await asyncio.sleep(60)
        doomed.stop()
        crashed = simulation.loop.time()
        await second.changed.wait(lambda: second.work.admits, crashed + 100, block=False)
        waited = simulation.loop.time() - crashed
        assert waited <= CONFIG.lease_duration + 1.2 * CONFIG.retry_period

    simulation.run(scenario())


def test_a_released_lease_is_taken_at_the_next_poll(simulation):
    cell = Cell()
    first, second = (simulation.candidacy(simulation.renewer(), cell, f"me_{n}") for n in (1, 2))

    async def scenario():
        first.start()
        await asyncio.sleep(1)
        second.start()
        await asyncio.sleep(60)
        first.work.drain(again=False)
        released = simulation.loop.time()
        await second.changed.wait(lambda: second.work.admits, released + 100, block=False)
        assert simulation.loop.time() - released <= 1.2 * CONFIG.retry_period + 0.05

    simulation.run(scenario())
    assert cell.stored.record.holder_identity == "me_2"


def test_an_outage_within_the_deadline_costs_no_term(simulation):
    cell = Cell()
    candidacy = simulation.candidacy(simulation.renewer(), cell)

    async def scenario():
        candidacy.start()
        await asyncio.sleep(60)
        candidacy._lock.cut_off = True
        await asyncio.sleep(5)
        candidacy._lock.cut_off = False
        await asyncio.sleep(60)
        assert candidacy.term.fencing_token == 1

    simulation.run(scenario())
    assert [type(event) for _, event in simulation.events] == [TermStarted, StoreFailed, StoreRecovered]


def test_a_lone_replica_leads_again_after_an_outage(simulation):
    cell = Cell()
    candidacy = simulation.candidacy(simulation.renewer(), cell)

    async def scenario():
        candidacy.start()
        await asyncio.sleep(60)
        candidacy._lock.cut_off = True
        await asyncio.sleep(600)
        assert not candidacy.work.admits
        candidacy._lock.cut_off = False
        await asyncio.sleep(1.2 * CONFIG.retry_period + CONFIG.request_timeout + 0.1)
        assert candidacy.work.admits

    simulation.run(scenario())
    tokens = [event.fencing_token for _, event in simulation.events if isinstance(event, TermStarted)]
    assert tokens == sorted(set(tokens))
    assert len(tokens) == 2


def test_a_candidacy_whose_step_raises_is_tried_again(simulation, caplog):
    cell = Cell()
    candidacy = simulation.candidacy(simulation.renewer(), cell)
    step, faults = candidacy.step, iter([RuntimeError("a fault")])

    async def faulty():
        for fault in faults:
            raise fault
        return await step()

    candidacy.step = faulty

    async def scenario():
        candidacy.start()
        await asyncio.sleep(CONFIG.retry_period + 0.1)
        assert candidacy.work.admits

    simulation.run(scenario())
    flush(LIMIT)
    assert "a fault in the candidacy" in caplog.text
