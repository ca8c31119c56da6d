"""Row 6: the API server is away for about 5 s, and nobody loses a lease of 15/10/2."""

from __future__ import annotations

import time

from scoreboard import Figure

from chaos.log import boot_time
from chaos.scenarios.site import site
from chaos.stage import Stage

TIMES = 8
LEASES = [f"restart-{number}" for number in range(10)]
REPLICAS = 3
AWAY = 5.0  # seconds
READY = 3.0  # seconds that it takes until it serves, about
AFTER = 10.0  # seconds after which a hold that was not renewed has ended


def restarts(stage: Stage, share: float) -> Figure:
    """Cases are leases x restarts; a term that ends in any way counts."""
    times = max(1, round(TIMES * share))
    away: list[float] = []
    with site(stage, "holder", {"leases": LEASES, "timing": {}}, replicas=REPLICAS) as running:
        running.until(lambda: len(running.lines("term")) >= len(LEASES), "all leases are led")
        for _ in range(times):
            time.sleep(2)
            began = boot_time()
            for slot in running.slots:
                slot.proxy.refuse()  # as a dead server does, and until the time is over, however soon a new one is up
            stage.control_plane.kill_apiserver()
            time.sleep(AWAY - READY)
            stage.control_plane.start_apiserver()
            time.sleep(max(0.0, began + AWAY - boot_time()))
            for slot in running.slots:
                slot.proxy.accept()
            away.append(boot_time() - began)
            time.sleep(AFTER)
        ended, terms = running.lines("over"), running.lines("term")
    lost = len(ended) + len(terms) - len(LEASES)
    return Figure(6, f"{lost}; away for {min(away):.1f} to {max(away):.1f} s", times * len(LEASES), lost == 0)
