"""Row 8: answers that are useless hold nothing up for longer than they last."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from controlplane.proxy import Proxy
from controlplane.rules import Rule
from scoreboard import Figure

from chaos.log import boot_time
from chaos.scenarios.site import REQUEST, quick, site
from chaos.stage import Stage

TIMES = 60
LIMIT = REQUEST + 0.5
PATIENT = {"Retry-After": "32"}
LONGEST = 0.6  # seconds after which a renewal is still in time
PAUSE = 1.0

FAULTS: dict[str, Callable[[Proxy], Rule]] = {
    "429": lambda proxy: proxy.on("PUT", "/leases/").respond(429, PATIENT),
    "503": lambda proxy: proxy.on("PUT", "/leases/").respond(503, PATIENT),
    "drip": lambda proxy: proxy.on("PUT", "/leases/").drip(0.01),
    "hang": lambda proxy: proxy.on("PUT", "/leases/").hang(),
}


def answers(stage: Stage, share: float, pace: int) -> Figure:
    """Seconds from the end of a fault to the next renewal that is acknowledged; the term must last."""
    held_up: list[float] = []
    with site(stage, "holder", {"leases": ["answers"], "timing": quick(pace)}) as running:
        (slot,) = running.slots
        running.until(lambda: running.lines("term"), "the lease is led")
        for number in range(max(len(FAULTS) * 2, round(TIMES * share))):
            kind = list(FAULTS)[number % len(FAULTS)]
            time.sleep((PAUSE + random.uniform(0, 0.4)) * pace)
            rule = FAULTS[kind](slot.proxy)
            time.sleep(random.uniform(0.1, LONGEST) * pace)
            rule.remove()
            over = boot_time()

            def renewed(since: float = over) -> list[float]:
                return [line["at"] for line in running.lines("put") if line["at"] > since and line["told"]]

            running.until(renewed, "the lease is renewed")
            held_up.append(renewed()[0] - over)
        terms = len(running.lines("term"))
    worst = max(held_up) / pace
    note = "" if terms == 1 else f"; {terms - 1} terms lost"
    return Figure(8, f"max {worst:.2f} s{note}", len(held_up), worst <= LIMIT and terms == 1)
