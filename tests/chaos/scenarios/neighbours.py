"""Row 9: of one replica's fifty leases one hangs, and the others are renewed as ever."""

from __future__ import annotations

import time
from collections import defaultdict
from itertools import pairwise

from scoreboard import Figure

from chaos.log import boot_time
from chaos.scenarios.site import PERIOD, QUICK, site
from chaos.stage import Stage

LEASES = [f"neighbour-{number:02}" for number in range(50)]
HANGS = 30.0  # seconds


def neighbours(stage: Stage, share: float) -> Figure:
    """A delay is what a write of another lease comes later than one retry period after the one before."""
    seconds = max(6.0, HANGS * share)
    with site(stage, "holder", {"leases": LEASES, "timing": QUICK}) as running:
        running.until(lambda: len(running.lines("term")) >= len(LEASES), "all leases are led")
        time.sleep(2)
        rule = running.slots[0].proxy.on(None, f"/leases/{LEASES[0]}").hang()
        began = boot_time()
        time.sleep(seconds)
        rule.remove()
        writes = [line for line in running.lines("put") if line["at"] > began and line["lease"] != LEASES[0]]
    times: dict[str, list[float]] = defaultdict(list)
    for line in writes:
        times[line["lease"]].append(line["at"])
    worst = max(after - before - PERIOD for each in times.values() for before, after in pairwise(each))
    ok = worst < PERIOD and len(times) == len(LEASES) - 1
    return Figure(9, f"max {worst:.2f} s", len(writes), ok)
