"""What a replica takes of a machine's memory, as most are and with what it has to read first."""

from __future__ import annotations

import time
from contextlib import ExitStack
from statistics import median

from benchmarks.stage import Stage, until
from benchmarks.table import Row

IN_POD, BY_KUBECONFIG = {1: 32, 50: 34}, {1: 36}  # MiB by leases held
MAX_RATIO = 1.3
SETTLE = 2.0  # seconds after the last acquisition


def pod(stage: Stage) -> Row:
    """By the pod's service account."""
    return _row(stage, "memory-pod", "in a pod", IN_POD, in_cluster=True)


def kubeconfig(stage: Stage) -> Row:
    """By a kubeconfig, which has to be read first."""
    return _row(stage, "memory-kubeconfig", "with a plain kubeconfig", BY_KUBECONFIG, in_cluster=False)


def _row(stage: Stage, name: str, where: str, limits: dict[int, int], *, in_cluster: bool) -> Row:
    ours, go = (
        {leases: _resident(stage, program, leases, in_cluster=in_cluster) for leases in limits}
        for program in ("ours", "client-go")
    )
    return Row(
        name=name,
        what=f"resident memory {where}, leases held: {' and '.join(map(str, limits))}",
        ours=f"{_both(ours)} MiB",
        peer=f"client-go {_both(go)} MiB",
        ratio=max(ours[leases] / go[leases] for leases in limits),
        target=f"≤ {' and '.join(map(str, limits.values()))} MiB, ratio ≤ {MAX_RATIO:.1f}",
        ok=all(ours[leases] <= min(limit, MAX_RATIO * go[leases]) for leases, limit in limits.items()),
    )


def _resident(stage: Stage, program: str, leases: int, *, in_cluster: bool) -> float:
    """MiB of the median of some processes, each with its own ``leases``, which it has just got."""
    with ExitStack() as running:
        holders = [
            running.enter_context(stage.programs(program, leases, in_cluster=in_cluster))()
            for _ in range(3 if stage.quick else 5)
        ]
        until(lambda: all(holder.ask("held") == leases for holder in holders), f"each {program} holds {leases} leases")
        time.sleep(SETTLE)
        return median(holder.ask("facts")["rss_mib"] for holder in holders)


def _both(mib: dict[int, float]) -> str:
    return " and ".join(f"{each:.1f}" for each in mib.values())
