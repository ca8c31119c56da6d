"""What renewing costs: CPU, memory, requests and threads of a process in its steady state."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.programs.protocol import Facts
from benchmarks.stage import Stage, until
from benchmarks.table import Row

LEASES = 50
MANY = 1000
PERIOD = 2.0  # retry period of both sides, at 15/10/2
SETTLE = 2.0  # seconds between the last acquisition and the window
MAX_CPU, MAX_MEMORY = 0.30, 0.70
MAX_IN_POD, MAX_BY_KUBECONFIG = {1: 32, LEASES: 34}, {1: 36}  # MiB by leases held


@dataclass(frozen=True)
class Steady:
    """A window of a process that holds its leases."""

    periods: float
    cpu_ms: float  # per PUT
    busy: float  # of one core
    puts: int
    reads: int
    rss_mib: float
    threads: list[str]
    tasks: int
    lost: list[list[str]]


def steady(stage: Stage, program: str, leases: int, periods: int) -> Steady:
    """Let one process of ``program`` hold ``leases``, and look at it for some retry periods."""
    with stage.programs(program, leases) as start:
        holder = start()
        until(lambda: holder.ask("held") == leases, f"{program} holds {leases} leases")
        time.sleep(SETTLE)
        first = stage.counts()
        until(lambda: stage.counts() != first, "a renewal", pause=0.05)
        time.sleep(PERIOD / 2)  # between two renewals, or the edges of the window would cut one
        before, since = stage.counts(), holder.ask("facts")
        time.sleep(periods * PERIOD)
        after, now = stage.counts(), holder.ask("facts")
        lost = holder.ask("lost")
    spent, lasted = now["cpu"] - since["cpu"], now["at"] - since["at"]
    puts = after["PUT"] - before["PUT"]
    return Steady(
        periods=lasted / PERIOD,
        cpu_ms=spent / puts * 1000,
        busy=spent / lasted,
        puts=puts,
        reads=sum(after.get(verb, 0) - before.get(verb, 0) for verb in ("GET", "LIST", "WATCH")),
        rss_mib=now["rss_mib"],
        threads=now["threads"],
        tasks=now["tasks"],
        lost=lost,
    )


def _fifty(stage: Stage, program: str) -> Steady:
    periods = 5 if stage.quick else 15
    result: Steady = stage.once(f"steady {program}", lambda: steady(stage, program, LEASES, periods))
    return result


def _thousand(stage: Stage) -> Steady:
    result: Steady = stage.once("thousand", lambda: steady(stage, "ours", MANY, 3 if stage.quick else 30))
    return result


def cpu(stage: Stage) -> Row:
    """CPU per renewal, beside the official client."""
    ours, peer = _fifty(stage, "ours"), _fifty(stage, "peer")
    ratio = ours.cpu_ms / peer.cpu_ms
    return Row(
        name="cpu",
        what=f"CPU per renewal, one process with {LEASES} leases at 15/10/2",
        ours=f"{ours.cpu_ms:.3f} ms",
        peer=f"{peer.cpu_ms:.3f} ms",
        ratio=ratio,
        target=f"ratio ≤ {MAX_CPU:.2f}",
        ok=ratio <= MAX_CPU and not ours.lost,
    )


def memory(stage: Stage) -> Row:
    """Memory of the same processes."""
    ours, peer = _fifty(stage, "ours"), _fifty(stage, "peer")
    ratio = ours.rss_mib / peer.rss_mib
    return Row(
        name="memory",
        what="resident memory of that process",
        ours=f"{ours.rss_mib:.1f} MiB",
        peer=f"{peer.rss_mib:.1f} MiB",
        ratio=ratio,
        target=f"ratio ≤ {MAX_MEMORY:.2f}",
        ok=ratio <= MAX_MEMORY,
    )


def memory_pod(stage: Stage) -> Row:
    """Memory of a replica as most are."""
    return _resident(stage, "memory-pod", "in a pod", MAX_IN_POD, in_cluster=True)


def memory_kubeconfig(stage: Stage) -> Row:
    """Memory of one that has to read a kubeconfig first."""
    return _resident(stage, "memory-kubeconfig", "with a plain kubeconfig", MAX_BY_KUBECONFIG, in_cluster=False)


def _resident(stage: Stage, name: str, where: str, limits: dict[int, int], *, in_cluster: bool) -> Row:
    found = {
        program: {leases: _facts(stage, program, leases, in_cluster=in_cluster)["rss_mib"] for leases in limits}
        for program in ("ours", "peer")
    }
    ours, peer = (" and ".join(f"{mib:.1f}" for mib in found[program].values()) for program in found)
    return Row(
        name=name,
        what=f"resident memory {where}, leases held: {' and '.join(map(str, limits))}",
        ours=f"{ours} MiB",
        peer=f"{peer} MiB",
        ratio=found["ours"][1] / found["peer"][1],
        target=f"≤ {' and '.join(map(str, limits.values()))} MiB",
        ok=all(found["ours"][leases] <= limit for leases, limit in limits.items()),
    )


def _facts(stage: Stage, program: str, leases: int, *, in_cluster: bool = True) -> Facts:
    """What a process of ``program`` uses that has just got its ``leases``."""
    with stage.programs(program, leases, in_cluster=in_cluster) as start:
        holder = start()
        until(lambda: holder.ask("held") == leases, f"{program} holds {leases} leases")
        time.sleep(SETTLE)
        facts: Facts = holder.ask("facts")
    return facts


def requests(stage: Stage) -> Row:
    """Requests of a steady leader."""
    ours, peer = _fifty(stage, "ours"), _fifty(stage, "peer")
    periods = round(ours.periods)
    each = LEASES * periods
    return Row(
        name="requests",
        what=f"PUTs and reads per lease and retry period, steady leader, {periods} periods",
        ours=f"{ours.puts / each:.2f} PUT, {ours.reads / each:.2f} reads",
        peer=f"{peer.puts / each:.2f} PUT, {peer.reads / each:.2f} reads",
        target="≤ 1 PUT, 0 reads",
        ok=ours.puts <= 1.01 * each and ours.reads == 0 and not ours.lost,
    )


def threads(stage: Stage) -> Row:
    """Threads do not grow with leases."""
    one = _facts(stage, "ours", 1)
    many, peer = _thousand(stage), _fifty(stage, "peer")
    return Row(
        name="threads",
        what=f"threads of a process (of which Python knows) with 1 and with {MANY} leases",
        ours=f"{one['tasks']} ({len(one['threads'])}) and {many.tasks} ({len(many.threads)})",
        peer=f"{peer.tasks} ({len(peer.threads)}) with {LEASES}",
        target="the same number",
        ok=one["threads"] == many.threads and one["tasks"] == many.tasks,
    )


def thousand(stage: Stage) -> Row:
    """Many leases on one thread."""
    many = _thousand(stage)
    return Row(
        name="thousand",
        what=f"terms lost by one process with {MANY} leases at 15/10/2 in {many.periods * PERIOD:.0f} s",
        ours=f"{len(many.lost)} ({many.cpu_ms:.3f} CPU ms a renewal, {many.busy:.0%} of a core, {many.rss_mib:.0f} MiB, "
        f"{many.puts / (MANY * many.periods):.0%} of the renewals due)",
        target="0",
        ok=not many.lost,
    )
