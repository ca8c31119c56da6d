"""Row 6: the API server is away for about 5 s, and nobody loses a lease of 15/10/2."""

from __future__ import annotations

import time

from scoreboard import Figure

from chaos.log import boot_time
from chaos.scenarios.site import Site, site
from chaos.stage import Stage

TIMES = 8
SPARE = 2  # more tries, where the server took long to start
LEASES = [f"restart-{number}" for number in range(10)]
REPLICAS = 3
AWAY = 5.0  # seconds
READY = 3.0  # seconds that it takes until it serves, about
LONGEST = 7.0  # seconds that it may be away, and be a case
AFTER = 10.0  # seconds after which a hold that was not renewed has ended


def restarts(stage: Stage, share: float) -> Figure:
    """Cases are leases x restarts; a term that ends in any way counts."""
    times = max(1, round(TIMES * share))
    away: list[float] = []
    lost = 0
    with site(stage, "holder", {"leases": LEASES, "timing": {}}, replicas=REPLICAS) as running:
        running.until(lambda: len(running.lines("term")) >= len(LEASES), "all leases are led")
        for _ in range(times + SPARE):
            before = _changes(running)
            time.sleep(2)
            took = _restart(stage)
            time.sleep(AFTER)
            if took <= LONGEST:
                away.append(took)
                lost += _changes(running) - before
            if len(away) == times:
                break
    if not away:
        return Figure(6, f"not measured: the API server took longer than {LONGEST:.0f} s to be back", 0, None)
    figure = f"{lost}; away for {min(away):.1f} to {max(away):.1f} s"
    return Figure(6, figure, len(away) * len(LEASES), lost == 0)


def _restart(stage: Stage) -> float:
    began = boot_time()
    stage.control_plane.kill_apiserver()
    time.sleep(AWAY - READY)
    stage.control_plane.start_apiserver()
    return boot_time() - began


def _changes(running: Site) -> int:
    return len(running.lines("term")) + len(running.lines("over"))
