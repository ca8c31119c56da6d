"""Runs in calm with one kind of fault at a time: what a storm cannot measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

from singleton_jobs import Config

from simulation.befall import LEADER
from simulation.cluster import simulated
from simulation.faults import CODES, Fault
from simulation.referee import Broken, Tally
from simulation.storm import Run, Setting

QUICK = Config(lease_duration=3)
EVERY = 12.0  # seconds from one fault to the next
SETTLED = 5.0  # seconds until everybody has found their places
EXACT = (1.0, 1.0)  # clock rates: seconds are compared with those of the simulation
UNAVAILABLE = 5.0
CROWD = 50


@dataclass
class Drilled:
    """What drills have measured; each list has an entry per case, in seconds."""

    broken: list[str] = field(default_factory=list)
    crash_gaps: list[float] = field(default_factory=list)
    release_gaps: list[float] = field(default_factory=list)
    restarts: int = 0  # leases x restarts
    lost_by_restarts: int = 0
    swallowed: int = 0
    lost_by_swallowing: int = 0
    held_up: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    forks: int = 0
    writes: int = 0
    periods: float = 0.0  # leases x retry periods that they were held for

    def add(self, other: Drilled) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def drill(seed: int) -> Drilled:
    """All drills once, with the chances of ``seed``."""
    drilled = Drilled()
    for each in (_gaps, _restart, _swallow, _hold_up, _neighbours, _steady):
        try:
            each(Random(f"{each.__name__} {seed}"), seed, drilled)
        except Broken as error:
            drilled.broken.append(f"{each.__name__.strip('_')} drill of seed {seed}: {error}")
    return drilled


def _run(seed: int, setting: Setting, faults: Sequence[Fault], length: float) -> Run:
    with simulated():
        run = Run(seed, setting, faults)
        try:
            run.go(length, stormy=False)
        finally:
            run.cluster.close()
    return run


def _gaps(rng: Random, seed: int, drilled: Drilled) -> None:
    """The leader crashes, is stopped, or steps down."""
    kinds = ["crash", "stop", "step_down"] * 3
    faults = [
        Fault(SETTLED + EVERY * number + rng.uniform(0, 2), kind, LEADER, rng.uniform(0.1, 4), rng.random(), 0.5)
        for number, kind in enumerate(kinds)
    ]
    setting = Setting(3, (QUICK,), leases=2, jobs=False, rates=EXACT, role=rng.choice(["all", "by name"]))
    tally: Tally = _run(seed, setting, faults, SETTLED + EVERY * len(faults)).cluster.referee.tally
    drilled.crash_gaps += tally.crash_gaps
    drilled.release_gaps += tally.release_gaps


def _restart(rng: Random, seed: int, drilled: Drilled) -> None:
    """The API server is away for 5 s, at 15/10/2."""
    faults = [Fault(20 + 30 * number + rng.uniform(0, 5), "restart", 0, UNAVAILABLE, 0, 0) for number in range(3)]
    setting = Setting(3, (Config(),), leases=4, jobs=False)
    tally = _run(seed, setting, faults, 20 + 30 * len(faults)).cluster.referee.tally
    drilled.restarts += setting.leases * len(faults)
    drilled.lost_by_restarts += tally.terms - setting.leases


def _swallow(rng: Random, seed: int, drilled: Drilled) -> None:
    """Writes of the leader land, acquiring ones too, and their answers are lost."""
    faults = [Fault(0.001, "swallow", 0, 0, 0.0, 0)]
    faults += [Fault(SETTLED + 2 * number + rng.random(), "swallow", LEADER, 0, 0.1, 0) for number in range(20)]
    setting = Setting(3, (QUICK,), leases=1, rates=EXACT)
    tally = _run(seed, setting, faults, SETTLED + 2 * len(faults)).cluster.referee.tally
    drilled.swallowed += tally.swallowed
    drilled.lost_by_swallowing += tally.terms - setting.leases


def _hold_up(rng: Random, seed: int, drilled: Drilled) -> None:
    """For less than the deadline leaves: 429, 503 with Retry-After 32, or no answers. How long after is it renewed?"""
    refusals = [(code + 0.5) / len(CODES) for code in (CODES.index(429), CODES.index(503))]
    kinds = [("answer", size) for size in refusals] + [("partition", 0.0)]
    patience = QUICK.renew_deadline - QUICK.retry_period - 2 * QUICK.request_timeout
    faults = []
    for number in range(9):
        kind, size = kinds[number % len(kinds)]
        at = SETTLED + 4 * number + rng.random()
        faults.append(Fault(at, kind, LEADER, rng.uniform(0.1, 1) * patience, size, 0.99))
    setting = Setting(2, (QUICK,), leases=1, jobs=False, rates=EXACT)
    run = _run(seed, setting, faults, SETTLED + 4 * len(faults))
    renewed = [line[0] for line in run.cluster.trace if line[2:] == ("hears", "PUT", "lead-0", 200)]
    for fault in faults:
        over = fault.at + fault.span
        drilled.held_up.append(min(at for at in renewed if at > over) - over)
    if run.cluster.referee.tally.terms > 1:
        run.cluster.referee.broken("a term was lost to a fault shorter than its deadline")


def _neighbours(rng: Random, seed: int, drilled: Drilled) -> None:
    """One lease of fifty gets no answers."""
    faults = [Fault(SETTLED + rng.random(), "partition", LEADER, 10.0, 0, 0.1)]  # a small chance: one lease only
    run = _run(seed, Setting(1, (QUICK,), leases=CROWD, jobs=False, rates=EXACT), faults, SETTLED + EVERY)
    for number in range(1, CROWD):
        sent = [line[0] for line in run.cluster.trace if line[2:] == ("sends", "PUT", f"lead-{number}")]
        during = [at for at in sent if at >= SETTLED]
        drilled.delays += [later - at - QUICK.retry_period for at, later in pairwise(during)]


def _steady(rng: Random, seed: int, drilled: Drilled) -> None:
    """Nothing happens."""
    length = 100.0
    run = _run(seed, Setting(3, (QUICK,), leases=3, jobs=False, rates=EXACT), [], SETTLED + length)
    drilled.writes += sum(line[2:4] == ("sends", "PUT") and line[0] > SETTLED for line in run.cluster.trace)
    drilled.periods += run.setting.leases * length / QUICK.retry_period
