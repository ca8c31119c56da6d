"""What each kind of fault does to a cluster."""

from __future__ import annotations

from singleton_jobs import Config
from singleton_jobs.keys import keyed_name

from simulation.cluster import Cluster
from simulation.faults import CODES, DAY, Fault, asking, foreign, pick
from simulation.network import CALM, Weather, spell
from simulation.process import Process
from simulation.spreading import BASE, SPREAD

MEASURED = Config(lease_duration=3)  # the timing for which it is measured how long nobody leads
LEADER = -1  # the slot of whoever leads the first lease


class Befalling:
    """Lets faults happen; whoever boots replicas derives from it."""

    def __init__(self, cluster: Cluster, duration: float) -> None:
        self.cluster = cluster
        self.duration = duration
        self.told_to_wait = 0.0  # until when a server has asked for patience
        self._spells: dict[Process, int] = {}  # so that the end of an older spell does not end a newer one
        self._disturbed_until = 0.0

    def boot(self, slot: int) -> None:
        """Start a replica in ``slot``."""
        raise NotImplementedError

    def befall(self, fault: Fault) -> None:
        self.cluster.note(f"pod-{fault.slot}", "FAULT", fault.kind, round(fault.span, 3), round(fault.size, 3))
        calm = self.cluster.time >= self._disturbed_until
        self._disturbed_until = max(self._disturbed_until, self.cluster.time + fault.span + self.duration)
        self.cluster.waiting.clear()  # what is measured in calm ends with it
        if fault.kind in ("annotate", "delete", "free", "usurp"):
            self._tamper(fault)
        elif fault.kind == "compact":
            self.cluster.server.compact()
        elif fault.kind == "restart":
            self._restart(fault.span)
        elif process := self._process_in(fault.slot):
            getattr(self, f"_{fault.kind}", self._blow)(process, fault, calm)

    def _process_in(self, slot: int) -> Process | None:
        if slot == LEADER:
            return self.cluster.referee.leader_of(next(iter(self.cluster.leases)))
        return next((p for p in self.cluster.processes if p.slot == slot and not p.stopping), None)

    def _tamper(self, fault: Fault) -> None:
        lease = pick(fault, [*self.cluster.leases, "guard", "mutex"])
        if fault.kind == "annotate" and fault.chance < 0.3:
            lease = keyed_name(BASE, pick(fault, list(SPREAD)))
        if fault.kind != "annotate":
            self.cluster.referee.tampered[lease] = self.cluster.time + 1.2 * self.duration
        if fault.kind == "delete":
            self.cluster.server.delete(lease)
        else:
            self.cluster.server.edit(lease, foreign(fault.kind))

    def _restart(self, span: float) -> None:
        self.cluster.server.restart()

        def come_up() -> None:
            self.cluster.server.up = True

        self.cluster.after(span, come_up)

    def _blow(self, process: Process, fault: Fault, calm: bool) -> None:
        """A spell of bad weather for one replica, on all its leases or on one."""
        weather = self._weather(fault)
        if weather.answered and weather.retry_after:
            self.told_to_wait = max(self.told_to_wait, fault.at + fault.span + weather.retry_after)
        number = self._spells[process] = self._spells.get(process, 0) + 1
        network = process.network
        network.weather = weather
        network.only = next(iter(self.cluster.leases)) if fault.chance < 0.2 else None

        def clear() -> None:
            if self._spells[process] == number:
                network.weather = CALM

        self.cluster.after(fault.span, clear)

    def _weather(self, fault: Fault) -> Weather:
        slow = self.duration * fault.chance / 3
        code = pick(fault, list(CODES))
        return {
            "slow": spell(there=0.001 + slow * fault.size, back=0.001 + slow * (1 - fault.size)),
            "lossy": spell(lost_there=fault.chance / 2, lost_back=fault.size / 2, there=0.02),
            "late": spell(late=0.2 + fault.chance / 2, late_by=0.1 + fault.size * 2 * self.duration),
            "lagging": spell(lagging=fault.chance),
            "partition": spell(lost_there=1.0, lost_back=1.0),
            "refuse": spell(refused=True),
            "unreadable": spell(unreadable=fault.chance),
            "answer": spell(
                answered=code,
                after_commit=code in (500, 504) and fault.chance < 0.5,
                retry_after=[None, 0.2, 1.0, 32.0][int(fault.chance * 4)],
            ),
        }[fault.kind]

    def _cut(self, process: Process, fault: Fault, calm: bool) -> None:
        for stream in process.streams():
            stream.cut()

    def _mute(self, process: Process, fault: Fault, calm: bool) -> None:
        for stream in process.streams():
            stream.silent = True

    def _swallow(self, process: Process, fault: Fault, calm: bool) -> None:
        process.network.swallow = 1 + int(3 * fault.size)

    def _pause(self, process: Process, fault: Fault, calm: bool) -> None:
        process.paused_until = max(process.paused_until or 0.0, self.cluster.time + fault.span)

    def _stall(self, process: Process, fault: Fault, calm: bool) -> None:
        self.cluster.referee.tally.stalls += 1
        process.stall = 1 + int(40 * fault.size), fault.span

    def _crash(self, process: Process, fault: Fault, calm: bool) -> None:
        if process.stepping:  # it stalls: the crash comes when that is over
            self.cluster.after(0.01, lambda: self._crash(process, fault, calm=False) if process.alive else None)
            return
        if calm:
            self._gone(process, "crash")
        slot = process.slot
        self.cluster.bury(process)
        self.cluster.after(fault.span, lambda: self.boot(slot))

    def _stop(self, process: Process, fault: Fault, calm: bool) -> None:
        if calm:
            self._gone(process, "release")
        process.stopping = True
        leaving = process.loop.create_task(process.leave())

        def bury() -> None:
            if not process.alive:
                return
            if not leaving.done() or process.stepping:
                self.cluster.after(0.05, bury)
                return
            leaving.result()
            self.cluster.bury(process)
            self.boot(process.slot)

        self.cluster.after(max(fault.span, 0.05), bury)

    def _step_down(self, process: Process, fault: Fault, calm: bool) -> None:
        lease = pick(fault, list(self.cluster.leases))
        if fault.chance < 0.4:  # asked from outside, also a replica that does not hold it
            self.cluster.server.edit(lease, asking(process.replica.identity))
            return
        if calm:
            self._gone(process, "release", lease)
        process.loop.call_soon(process.replica.leadership(lease).step_down)

    def _wall(self, process: Process, fault: Fault, calm: bool) -> None:
        self.cluster.referee.tally.clock_steps += 1
        step = [-30 * DAY, -20.0, -1.0, 1.0, 20.0, 30 * DAY][int(6 * fault.size)]
        process.host.set_wall(process.host.wall() + step)

    def _rate(self, process: Process, fault: Fault, calm: bool) -> None:
        process.host.run_at(0.95 + fault.size / 10)

    def _gone(self, process: Process, how: str, *only: str) -> None:
        """Measure how long nobody leads, where leases are of 3 s and somebody else is there."""
        if {each.config for each in self.cluster.processes} == {MEASURED} and len(self.cluster.processes) > 1:
            for lease in only or self.cluster.leases:
                if process.holds(lease):
                    self.cluster.waiting[lease] = self.cluster.time, how
