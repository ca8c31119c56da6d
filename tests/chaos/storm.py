"""Carries out a plan: five replicas and ten leases on a real API server, and what befalls them."""

from __future__ import annotations

import heapq
import itertools
import json
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random

from chaos.log import Log, boot_time
from chaos.namespaces import Namespace
from chaos.plan import BUSIEST, CLOCKED, DAY, SLOTS, Blow, Scene
from chaos.site import Slot, ours
from chaos.stage import Stage

LEASES = [f"storm-{number}" for number in range(10)]
CALM_LEASES = [f"calm-{number}" for number in range(10)]
CRON = "storm-cron"
WITNESS = -1
TIMING = {"lease_duration": 3.0, "renew_deadline": 2.0, "retry_period": 0.4}
SAMPLE = 5.0  # seconds from one look at the memory to the next
PATIENCE = 8.0  # seconds that a process told to end may take
NAMESPACED = 2  # so many replicas have a network namespace of their own, where that is possible


class Storm:
    """``command``: of a replica; ``others``: how many schedulers run besides, each in a slot of its own."""

    def __init__(
        self,
        stage: Stage,
        path: Path,
        command: list[str] | None = None,
        env: Mapping[str, str] | None = None,
        *,
        namespaces: bool = False,
        others: int = 0,
    ) -> None:
        self.log = Log(path, "director")
        self._stage = stage
        self._exits = ExitStack()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._slots: dict[int, Slot] = {}
        self._namespace = stage.namespace()
        self._restarting: threading.Thread | None = None
        settings = {"LOG": str(path), **(env or {})}
        for number in range(SLOTS):
            network = None
            if namespaces and number > SLOTS - 1 - NAMESPACED:
                network = self._exits.enter_context(Namespace(number))
            options = {"leases": LEASES, **TIMING}
            clock = {"CLOCK": "1"} if number == CLOCKED else {}
            self._place(
                number, f"pod-{number}", command or ours("replica"), {**settings, **clock, **_json(options)}, network
            )
        for number in range(SLOTS, SLOTS + others):
            options = {"lease": CRON, **TIMING}
            self._place(number, f"cron-{number - SLOTS}", ours("cron"), {"LOG": str(path), **_json(options)}, None)
        if command is None:  # nothing befalls this one: it shows what leases cost
            options = {"leases": CALM_LEASES, **TIMING}
            self._place(WITNESS, "witness", ours("replica"), {**settings, **_json(options)}, None)

    def _place(
        self, number: int, who: str, command: list[str], env: Mapping[str, str], network: Namespace | None
    ) -> None:
        slot = Slot(who, self._stage, self._namespace, self.log, command, env, network=network)
        self._slots[number] = slot
        self._exits.callback(slot.close)

    def close(self) -> None:
        if self._restarting:
            self._restarting.join()
        for slot in self._slots.values():
            for error in slot.proxy.errors:
                self.log.write("proxy failed", by=slot.who, error=repr(error))
        self._exits.close()

    def run(self, scenes: Sequence[Scene], side: Sequence[Blow], seconds: float) -> None:
        """Start everybody, let it all happen, and end everybody in good order."""
        began = boot_time()
        for slot in self._slots.values():
            slot.start()
        for scene in scenes:
            at = began + scene.begins
            self._at(at, partial(self._note_scene, scene, began))
            for blow in scene.blows:
                self._at(began + blow.at, partial(self._befall, blow))
        for blow in side:
            self._at(began + blow.at, partial(self._befall, blow))
        self._at(began, self._sample)
        end = began + seconds
        while self._agenda and self._agenda[0][0] < end:
            at, _, action = heapq.heappop(self._agenda)
            time.sleep(max(0.0, at - boot_time()))
            action()
        time.sleep(max(0.0, end - boot_time()))
        self.log.write("storm ends")
        for slot in self._slots.values():
            slot.process.signal(signal.SIGCONT)
            slot.process.signal(signal.SIGTERM)
        self._stage.control_plane.recover()

    def _at(self, at: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (at, next(self._numbers), action))

    def _after(self, delay: float, action: Callable[[], None]) -> None:
        self._at(boot_time() + delay, action)

    def _note_scene(self, scene: Scene, began: float) -> None:
        self.log.write("scene", calm=scene.calm, until=round(began + scene.ends, 3))

    def _sample(self) -> None:
        witness = self._slots.get(WITNESS)
        if witness and (memory := witness.memory()) is not None:
            self.log.write("memory", by=witness.who, mib=round(memory, 3))
        self._after(SAMPLE, self._sample)

    # Blows

    def _befall(self, blow: Blow) -> None:
        if blow.slot is None:
            self._note(blow, None)
            self._restart(blow)
            return
        slot = self._slots[blow.slot] if blow.slot != BUSIEST else self._busiest()
        process = slot.process
        if not process.running:
            return
        self._note(blow, slot)
        match blow.kind:
            case "kill":
                process.kill()
                slot.written.clear()
                self._after(blow.span, slot.start)
            case "term":
                process.signal(signal.SIGTERM)
                slot.written.clear()
                self._after(blow.span, partial(self._start_anew, slot, boot_time() + PATIENCE))
            case "step down":
                process.signal(signal.SIGUSR1)
            case "stop" | "stop long":
                process.signal(signal.SIGSTOP)
                slot.written.clear()
                self._after(blow.span, partial(self._go_on, slot))
            case "clock":
                slot.set_clock(30 * DAY if blow.size < 0.5 else -30 * DAY)
                self._after(blow.span, partial(self._set_right, slot))
            case _:
                self._after(blow.span, _disturb(slot, blow))

    def _busiest(self) -> Slot:
        return max((self._slots[number] for number in range(SLOTS)), key=Slot.holds)

    def _note(self, blow: Blow, slot: Slot | None) -> None:
        facts = {"by": slot.who, "by_pid": slot.process.pid} if slot else {}
        until = round(boot_time() + blow.span, 3)
        self.log.write("fault", kind=blow.kind, until=until, size=round(blow.size, 3), **facts)

    def _start_anew(self, slot: Slot, limit: float) -> None:
        if not slot.process.running:
            slot.start()
        elif boot_time() < limit:
            self._after(0.1, partial(self._start_anew, slot, limit))
        else:
            self.log.write("does not end", by=slot.who)
            slot.process.kill()
            slot.start()

    def _go_on(self, slot: Slot) -> None:
        slot.process.signal(signal.SIGCONT)
        self.log.write("goes on", by=slot.who, by_pid=slot.process.pid)

    def _set_right(self, slot: Slot) -> None:
        slot.set_clock(0)
        self.log.write("fault", kind="clock", until=round(boot_time(), 3), by=slot.who, by_pid=slot.process.pid)

    def _restart(self, blow: Blow) -> None:
        """Of the API server; it takes as long as it takes."""

        def restart() -> None:
            self._stage.control_plane.restart_apiserver()
            self.log.write("served again")

        self._restarting = threading.Thread(target=restart)
        self._restarting.start()


def _disturb(slot: Slot, blow: Blow) -> Callable[[], None]:
    """Have its network behave like that; what undoes it."""
    proxy = slot.proxy
    match blow.kind:
        case "cut":
            proxy.cut()
            return lambda: None
        case "partition":
            proxy.partition()
            return proxy.heal
        case "refuse":
            proxy.refuse()
            return proxy.accept
        case "lossy" | "rejected":
            if slot.network is None:
                return lambda: None
            slot.network.fault(blow.kind)
            return slot.network.heal
        case "swallow":
            rules = [proxy.on("PUT", f"/leases/{lease}?", times=1).forward_then_drop() for lease in (*LEASES, CRON)]
            return lambda: [rule.remove() for rule in rules] and None
        case "late":
            return proxy.on("PUT", "/leases/").forward_late(0.3 + 4 * blow.size, cut=blow.size < 0.5).remove
        case "slow there":
            return proxy.on(None, "/leases/").delay_request(blow.size).remove
        case "slow back":
            return proxy.on(None, "/leases/").forward_then_delay(1.5 * blow.size).remove
        case "drip":
            return proxy.on(None, "/leases/").drip(0.002).remove
        case "hang":
            return proxy.on(None, "/leases/").hang().remove
        case "reset":
            return proxy.on(None, "/leases/").reset().remove
        case code:
            return proxy.on(None, "/leases/").respond(int(code), {"Retry-After": "32"}).remove


def side_blows(seed: object, *, until: float, settle: float, count: int) -> list[Blow]:
    """What befalls the schedulers, in slots of their own behind those of the replicas."""
    rng, at, blows = Random(f"side {seed}"), settle, []
    while count and at < until - 10:
        kind = rng.choice(["kill", "kill", "term", "stop long", "partition", "swallow", "slow back"])
        blows.append(Blow(at, kind, SLOTS + rng.randrange(count), rng.uniform(1, 5), rng.random()))
        at += rng.uniform(4, 9)
    return blows


def _json(options: object) -> dict[str, str]:
    return {"OPTIONS": json.dumps(options)}
