"""One run: a cluster, the faults of a plan, then calm in which everything has to come right again."""

from __future__ import annotations

from asyncio import all_tasks
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random

from singleton_jobs import Config

from simulation.befall import Befalling
from simulation.cluster import START, Cluster, simulated
from simulation.faults import Fault, plan
from simulation.network import CALM
from simulation.process import DRAIN
from simulation.referee import Broken, Tally
from simulation.stepping import HostClock, Spinning

TIMINGS = (
    *[{"lease_duration": 3}] * 6,
    {},
    {"lease_duration": 6, "renew_deadline": 4.5, "retry_period": 0.5},
    {"lease_duration": 4, "request_timeout": 2},
)
LENGTH = 25.0  # lease durations that faults go on for
JOBS = {"often": 1.0, "seldom": 5.0, "again": 3.0}
SLOWEST = 0.95  # the rate of the slowest clock
SPREADS = 0.4  # chance that a storm has a spread guard


@dataclass(frozen=True)
class Setting:
    """What a run begins with."""

    slots: int
    timings: tuple[Config, ...]  # of the replicas in turn
    leases: int
    guard: bool = False
    mutex: bool = False
    jobs: bool = True
    spread: bool = False
    rates: tuple[float, float] = (SLOWEST, 1.05)
    role: str | None = (
        None  # whether it allows to watch "all" leases, those "by name", or makes for "polling"; None: drawn
    )

    @property
    def duration(self) -> float:
        return max(timing.lease_duration for timing in self.timings)


@dataclass(frozen=True)
class Outcome:
    """What came of one run; ``broken`` is empty if every promise held."""

    seed: int
    broken: str
    tally: Tally
    digest: str
    faults: Sequence[Fault]
    trace: list[tuple[object, ...]]


def draw(seed: int) -> tuple[Setting, list[Fault]]:
    """The storm that ``seed`` stands for."""
    rng = Random(seed)
    first = Config(**rng.choice(TIMINGS))
    setting = Setting(
        slots=rng.choice([2, 3, 3, 5]),
        timings=(first, Config(**rng.choice(TIMINGS)) if rng.random() < 0.2 else first),
        leases=rng.choice([1, 1, 2, 3, 9]),
        guard=rng.random() < 0.5,
        mutex=rng.random() < 0.5,
        spread=Random(f"spread {seed}").random() < SPREADS,
    )
    tampering = rng.random() < 0.15
    end = LENGTH * setting.duration
    return setting, plan(rng, slots=setting.slots, duration=setting.duration, end=end, tampering=tampering)


class Run(Befalling):
    """A run in the making."""

    def __init__(self, seed: int, setting: Setting, faults: Sequence[Fault]) -> None:
        jobs = [JOBS if setting.jobs and number == 0 else {} for number in range(setting.leases)]
        cluster = Cluster(seed, {f"lead-{number}": dict(jobs) for number, jobs in enumerate(jobs)})
        cluster.role = setting.role or cluster.role
        super().__init__(cluster, setting.duration)
        rng = Random(f"hosts {seed}")
        self.setting = setting
        self.faults = faults
        self.hosts = [
            HostClock(
                lambda: self.cluster.time, start=rng.uniform(0, 1e6), rate=rng.uniform(*setting.rates), wall=START
            )
            for _ in range(setting.slots)
        ]
        self._generations = [0] * setting.slots

    def go(self, length: float, *, stormy: bool) -> None:
        """Boot everybody, and let the faults happen. Raises Broken."""
        self.cluster.stormy = stormy
        for slot in range(self.setting.slots):
            self.cluster.after(0.1 * slot, lambda slot=slot: self.boot(slot))
        for fault in self.faults:
            self.cluster.after(fault.at, lambda fault=fault: self.befall(fault))
        self.cluster.run(length)

    def boot(self, slot: int) -> None:
        self._generations[slot] += 1
        config = self.setting.timings[slot % len(self.setting.timings)]
        process = self.cluster.start(f"pod-{slot}.{self._generations[slot]}", self.hosts[slot], config)
        for lease, jobs in self.cluster.leases.items():
            process.lead(lease, jobs)
        if self.setting.guard:
            process.tick("guard", config.retry_period)
        if self.setting.mutex:
            process.contend("mutex", config.retry_period)
        if self.setting.spread:
            process.spread()

    def come_right(self) -> None:
        """From here on nothing goes wrong: every lease is led, no fire is lost, everybody leaves, nothing is left."""
        cluster = self.cluster
        cluster.note("all", "HEAL")
        cluster.stormy = False
        cluster.server.up = True
        for process in cluster.processes:
            process.network.weather, process.network.swallow, process.stall = CALM, 0, None
            process.paused_until = None
        for host in self.hosts:
            host.set_wall(cluster.server_time())
        self._lead_again()
        cluster.run(cluster.time + 4 * self.duration)
        cluster.referee.fires(JOBS, START, cluster.server_time() - 2 * self.duration)
        cluster.referee.attempts_are_over(cluster.server_time() - 2 * self.duration)
        if self.setting.spread:
            cluster.referee.spread_goes_on(cluster.server_time() - 2 * self.duration)
        self._end()

    def _lead_again(self) -> None:
        """Promise 4, from when late requests and restarts that were under way are over."""
        cluster = self.cluster
        bound = max(c.lease_duration + 1.2 * c.retry_period + 2 * c.request_timeout for c in self.setting.timings)
        cluster.run(max(cluster.time + 2 * self.duration, self.told_to_wait))
        missing = [lease for lease in cluster.leases if not cluster.referee.leader_of(lease)]
        cluster.run(cluster.time + bound / SLOWEST)
        for lease in missing:
            if not cluster.referee.leader_of(lease):
                cluster.referee.broken(f"promise 4: nobody leads {lease} {bound:.1f} s after the last fault")

    def _end(self) -> None:
        cluster = self.cluster
        leaving = {process: process.loop.create_task(process.leave()) for process in cluster.processes}
        cluster.run(cluster.time + DRAIN + 4 * self.duration)
        for process, task in leaving.items():
            if not task.done() or all_tasks(process.loop):
                cluster.referee.broken(f"{process} has not ended: {all_tasks(process.loop)}")
            task.result()


def storm(seed: int, only: Collection[int] | None = None) -> Outcome:
    """Run the storm that ``seed`` stands for, or only those of its faults whose numbers are in ``only``."""
    setting, drawn = draw(seed)
    faults = [fault for number, fault in enumerate(drawn) if only is None or number in only]
    with simulated():
        run = Run(seed, setting, faults)
        broken = ""
        try:
            run.go(LENGTH * setting.duration, stormy=True)
            run.come_right()
        except (Broken, Spinning) as error:
            broken = str(error)
        finally:
            digest, trace = run.cluster.digest(), list(run.cluster.trace)  # what is let go of after has no order
            run.cluster.close()
    tally = run.cluster.referee.tally
    tally.runs = 1
    return Outcome(seed, broken, tally, digest, faults, trace)
