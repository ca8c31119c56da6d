"""Row 11: what a process has forked holds nothing, is somebody else, and uses no connection of its parent's."""

from __future__ import annotations

from collections import defaultdict

from scoreboard import Figure

from chaos.scenarios.site import quick, site
from chaos.stage import Stage

TIMES = 1000
AT_ONCE = 4


def forks(stage: Stage, share: float, pace: int) -> Figure:
    """Cases are children; each must have looked, and made its own request on a connection of its own."""
    times = max(100, round(TIMES * share))
    options = {"lease": "forks", "forks": times, "at_once": AT_ONCE, "timing": quick(pace)}
    with site(stage, "forker", options) as running:
        (slot,) = running.slots
        running.until(lambda: running.lines("parent") or not slot.process.running, "all children have ended")
        children, parent = running.lines("child"), running.lines("parent")
        users: dict[int, set[str]] = defaultdict(set)
        for seen in slot.proxy.requests:
            users[seen.connection].add(seen.path.partition("?")[0])
    wrong = [line for line in children if line["problem"]]
    shared = sum(len(leases) > 1 for leases in users.values())
    figure = f"{len(wrong)} with a fault, {shared} sockets shared"
    if wrong:
        figure += f" ({wrong[0]['problem']})"
    ok = not wrong and not shared and len(children) == times and len(parent) == 1 and parent[0]["same"]
    return Figure(11, figure, len(children), ok)
