"""Carries out a plan: five replicas and ten leases on a real API server, and what befalls them."""

from __future__ import annotations

import heapq
import itertools
import json
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

from chaos.log import Log, boot_time, read
from chaos.namespaces import Namespace
from chaos.plan import BUSIEST, CLOCKED, DAY, SLOTS, Blow, Scene
from chaos.site import Slot, ours
from chaos.stage import Stage
from chaos.swallow import LOOK, swallow, swallow_each

LEASES = [f"storm-{number}" for number in range(10)]
CALM_LEASES = [f"calm-{number}" for number in range(10)]
CRON, SPREAD = "storm-cron", "storm-spread"
ANY = (*LEASES, CRON, f"{SPREAD}.tick", f"{SPREAD}.again")  # whose answers may be swallowed
WITNESS = -1
TIMING = {"lease_duration": 3.0, "renew_deadline": 2.0, "retry_period": 0.4}
SETTLE = 2.0  # seconds from when everybody is up until it begins
LAST = 5.0  # seconds without faults at the end
SAMPLE = 5.0  # seconds from one look at the memory to the next
PATIENCE = 8.0  # seconds that a process told to end may take
GET_UP = 120.0  # seconds that all together may take to start
APART = 1.5  # seconds from what befalls a scheduler that leads or follows to the same for one that spreads
NAMESPACED = 2  # so many replicas have a network namespace of their own, where that is possible


class Storm:
    """``command``: of a replica; ``others``: how many schedulers of each kind run besides, each in a slot of its own.

    A second of the plan takes ``pace`` seconds.
    """

    def __init__(
        self,
        stage: Stage,
        path: Path,
        command: list[str] | None = None,
        env: Mapping[str, str] | None = None,
        *,
        namespaces: bool = False,
        others: int = 0,
        pace: int = 1,
    ) -> None:
        self.pace = pace
        self._path = path
        timing = {name: seconds * pace for name, seconds in TIMING.items()}
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
            options = {"leases": LEASES, "pace": pace, **timing}
            clock = {"CLOCK": "1"} if number == CLOCKED else {}
            self._place(
                number, f"pod-{number}", command or ours("replica"), {**settings, **clock, **_json(options)}, network
            )
        for number in range(2 * others):
            kind, lease = ("cron", CRON) if number < others else ("spread", SPREAD)
            options = {"lease": lease, "spread": kind == "spread", **timing}
            who = f"{kind}-{number % others}"
            self._place(SLOTS + number, who, ours("cron"), {"LOG": str(path), **_json(options)}, None)
        self._calm = CALM_LEASES if command is None else []
        self._expected = {slot.who for slot in self._slots.values()} if command is None else set()  # peers do not say
        if command is None:  # nothing befalls this one: it shows what leases cost
            options = {"leases": CALM_LEASES, "pace": pace, "requests": True, **timing}
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
        """Start everybody, let it all happen, and end everybody in good order; ``seconds`` of the plan."""
        for slot in self._slots.values():
            slot.start()
        self._await_all()
        began = boot_time()
        end = began + seconds * self.pace
        self._at(began + SETTLE * self.pace, partial(self._play, deque(scenes), end - LAST * self.pace))
        for blow in side:
            self._at(began + blow.at * self.pace, partial(self._befall, self._stretched(blow)))
        self._at(began, self._sample)
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

    def _await_all(self) -> None:
        """Until all run and every lease is led; a machine may take its time for so many processes at once."""
        limit = boot_time() + GET_UP
        while boot_time() < limit:
            lines = read(self._path)
            running = {line["who"] for line in lines if line["event"] == "starts"}
            led = {line["lease"] for line in lines if line["event"] == "start"}
            if running >= self._expected and led >= {*LEASES, *self._calm}:
                self.log.write("all are up")
                return
            time.sleep(0.5)
        self.log.write("not all are up", by="the storm")

    def _stretched(self, blow: Blow) -> Blow:
        return replace(blow, span=blow.span * self.pace)

    def _play(self, scenes: deque[Scene], end: float, waited: float = 0.0) -> None:
        """One scene after the other, each when all have recovered from the one before."""
        if not all(self._slots[number].asked >= set(LEASES) for number in range(SLOTS)) and waited < GET_UP:
            self._after(LOOK, partial(self._play, scenes, end, waited + LOOK))
            return
        if not scenes:
            return
        scene, now = scenes.popleft(), boot_time()
        until = now + (scene.ends - scene.begins) * self.pace
        if until > end:
            return
        self.log.write("scene", calm=scene.calm, until=round(until, 3))
        for blow in scene.blows:
            self._at(now + (blow.at - scene.begins) * self.pace, partial(self._befall, self._stretched(blow)))
        self._at(until, partial(self._play, scenes, end))

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
        if blow.kind != "swallow each":  # each of its strikes is noted
            self._note(blow, slot)
        match blow.kind:
            case "kill":
                process.kill()
                slot.written.clear()
                self._after(blow.span, slot.start)
            case "term":
                process.signal(signal.SIGTERM)
                slot.written.clear()
                limit = boot_time() + PATIENCE * self.pace
                self._after(blow.span, partial(self._start_anew, slot, process.pid, limit))
            case "step down":
                process.signal(signal.SIGUSR1)
            case "stop" | "stop long":
                process.signal(signal.SIGSTOP)
                slot.written.clear()
                self._after(blow.span, partial(self._go_on, slot))
            case "clock":
                slot.set_clock(30 * DAY if blow.size < 0.5 else -30 * DAY)
                self._after(blow.span, partial(self._set_right, slot))
            case "swallow each":
                last = boot_time() + blow.span
                swallow_each(slot, ANY, self.log, self._after, last, self.pace)
            case _:
                self._after(blow.span, _disturb(slot, blow, self.pace))

    def _busiest(self) -> Slot:
        return max((self._slots[number] for number in range(SLOTS)), key=Slot.holds)

    def _note(self, blow: Blow, slot: Slot | None) -> None:
        facts = {"by": slot.who, "by_pid": slot.process.pid} if slot else {}
        until = round(boot_time() + blow.span, 3)
        self.log.write("fault", kind=blow.kind, until=until, size=round(blow.size, 3), **facts)

    def _start_anew(self, slot: Slot, ending: int | None, limit: float) -> None:
        if not slot.process.running:
            slot.start()
        elif slot.process.pid != ending:  # told to end twice, it has been started anew once
            return
        elif boot_time() < limit:
            self._after(0.1, partial(self._start_anew, slot, ending, limit))
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


def _disturb(slot: Slot, blow: Blow, pace: int) -> Callable[[], None]:
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
            rules = swallow(slot, ANY)
            return lambda: [rule.remove() for rule in rules.values()] and None
        case "buffered":  # by something in between, which hands on an answer when it is whole: a watch never is
            proxy.cut()
            return proxy.on("GET", "watch=1").forward_then_delay(0).remove
        case "late":
            return proxy.on("PUT", "/leases/").forward_late((0.3 + 4 * blow.size) * pace, cut=blow.size < 0.5).remove
        case "slow there":
            return proxy.on(None, "/leases").delay_request(blow.size * pace).remove
        case "slow back":
            return proxy.on(None, "/leases").forward_then_delay(1.5 * blow.size * pace).remove
        case "drip":
            return proxy.on(None, "/leases").drip(0.002 * pace).remove
        case "hang":
            return proxy.on(None, "/leases").hang().remove
        case "reset":
            return proxy.on(None, "/leases").reset().remove
        case code:
            return proxy.on(None, "/leases").respond(int(code), {"Retry-After": "32"}).remove


def side_blows(seed: object, *, until: float, settle: float, count: int) -> list[Blow]:
    """What befalls the schedulers, in slots of their own behind those of the replicas; both kinds the same."""
    rng, at, blows = Random(f"side {seed}"), settle, []
    while count and at < until - 10:
        kind = rng.choice(["kill", "kill", "term", "stop long", "partition", "swallow", "slow back"])
        blow = Blow(at, kind, SLOTS + rng.randrange(count), rng.uniform(1, 5), rng.random())
        blows += [blow, replace(blow, slot=blow.slot + count, at=at + APART)]
        at += rng.uniform(4, 9)
    return blows


def _json(options: object) -> dict[str, str]:
    return {"OPTIONS": json.dumps(options)}
