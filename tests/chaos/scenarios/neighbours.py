"""Row 9: of one replica's fifty leases one hangs, and the others are renewed as ever."""

from __future__ import annotations

import time
from collections import defaultdict
from itertools import pairwise

from scoreboard import Figure

from chaos.log import boot_time
from chaos.scenarios.site import PERIOD, quick, site
from chaos.stage import Stage

LEASES = [f"neighbour-{number:02}" for number in range(50)]
HANGS = 30.0  # seconds
SHORTEST = 10.0
LEAST = 5.0  # of the seconds that are stretched
ANSWERED = 0.5  # seconds after which a write that had arrived is in the log
OK = 200


def neighbours(stage: Stage, share: float, pace: int) -> Figure:
    """A delay is what a write of another lease comes later than one retry period after the one before.

    The beginning and the end of the fault count as writes, or a lease that is no longer renewed would not show.
    """
    seconds, period = max(SHORTEST, max(LEAST, HANGS * share) * pace), PERIOD * pace
    with site(stage, "holder", {"leases": LEASES, "timing": quick(pace)}) as running:
        running.until(lambda: len(running.lines("term")) >= len(LEASES), "all leases are led")
        time.sleep(2 * pace)
        rule = running.slots[0].proxy.on(None, f"/leases/{LEASES[0]}").hang()
        began = boot_time()
        time.sleep(seconds)
        over = boot_time()
        hits = rule.hits
        rule.remove()
        time.sleep(ANSWERED * pace)
        times: dict[str, list[float]] = defaultdict(list)
        for line in running.lines("put"):
            if began < line["at"] < over and line["status"] == OK:
                times[line["lease"]].append(line["at"])
    others = [times[lease] for lease in LEASES[1:]]
    worst = max(after - before - period for each in others for before, after in pairwise([began, *each, over]))
    ok = worst < period and hits > 0 and LEASES[0] not in times
    return Figure(9, f"max {worst / pace:.2f} s", sum(map(len, others)), ok)
