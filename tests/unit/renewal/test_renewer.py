"""The renewer: when it has which candidacy take a step."""

import asyncio
import math

from simulation.loop import VirtualLoop
from singleton_jobs.concurrency.clock import Clock
from singleton_jobs.config import Config
from singleton_jobs.renewal import renewer as module
from singleton_jobs.renewal.renewer import Renewer


class Candidacy:
    """Its steps take as long as ``busy`` is not set, and the next is due ``after`` seconds."""

    lane, lease, config, held_until = None, "nightly", Config(), -math.inf

    def __init__(self, now):
        self.steps = 0
        self.after = 3600.0
        self.busy = asyncio.Event()
        self._now = now

    async def step(self):
        self.steps += 1
        await self.busy.wait()
        return self._now() + self.after


def with_renewer(scenario):
    loop = VirtualLoop()

    async def main():
        renewer, candidacy = Renewer(Clock(loop.time, loop.time)), Candidacy(loop.time)
        running = asyncio.create_task(renewer.run())
        await asyncio.sleep(0)
        renewer.wake(candidacy)
        await scenario(renewer, candidacy)
        renewer.stop()
        await running

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


async def turns():
    for _ in range(10):
        await asyncio.sleep(0)


def test_who_is_woken_in_the_midst_of_a_step_takes_another_at_once():
    async def scenario(renewer, candidacy):
        await turns()
        renewer.wake(candidacy)
        await turns()
        assert candidacy.steps == 1
        candidacy.busy.set()
        await turns()
        assert candidacy.steps == 2

    with_renewer(scenario)


def test_what_was_measured_is_told_though_another_hangs(monkeypatch):
    told = []

    async def scenario(renewer, candidacy):
        monkeypatch.setattr(module, "catch_up", lambda: told.append(candidacy.steps))
        other = Candidacy(candidacy._now)
        other.busy.set()
        renewer.wake(other)
        await turns()
        assert told == []
        await asyncio.sleep(1.1)
        assert told == [1]
        candidacy.busy.set()
        await turns()
        assert told == [1, 1]

    with_renewer(scenario)


def test_a_step_is_not_taken_before_it_is_due():
    async def scenario(renewer, candidacy):
        candidacy.busy.set()
        await turns()
        await asyncio.sleep(3599)
        assert candidacy.steps == 1
        await asyncio.sleep(2)
        assert candidacy.steps == 2
        renewer.wake(candidacy)
        await turns()
        assert candidacy.steps == 3

    with_renewer(scenario)


def test_a_step_that_is_due_within_a_tick_of_the_clock_does_not_spin():
    async def scenario(renewer, candidacy):
        candidacy.busy.set()
        candidacy.after = 1e-12
        await asyncio.sleep(0.001)
        assert 900 < candidacy.steps <= 1001

    with_renewer(scenario)
