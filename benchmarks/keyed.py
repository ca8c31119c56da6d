"""One lock per key: how fast they are taken and given back, beside bare writes and beside redis-py's locks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median

from controlplane.pod import VERBS, lease_role
from databases.redis_server import Redis

from benchmarks.stage import Stage
from benchmarks.table import Row

PROCESSES = 8
MAX_ACQUIRE, MIN_ONE, MIN_EIGHT = 2.2, 0.45, 0.6  # beside a bare PUT's p50, and the rate of bare PUTs
ROLE = lease_role(verbs=[*VERBS, "delete"])


@dataclass
class Windows:
    """Of all processes together, window by window."""

    rates: list[float] = field(default_factory=list)  # done a second
    typical: list[float] = field(default_factory=list)  # seconds; the median of the processes' medians
    requests: dict[str, int] = field(default_factory=dict)
    done: int = 0
    server_cpu: float = 0.0  # seconds

    @property
    def rate(self) -> float:
        return median(self.rates)

    @property
    def p50(self) -> float:
        return median(self.typical)

    @property
    def cost(self) -> str:
        """What one costs the API server."""
        requests = ", ".join(f"{made / self.done:.2f} {verb}" for verb, made in sorted(self.requests.items()) if made)
        return f"{requests}, {self.server_cpu / self.done * 1000:.1f} ms of its CPU"

    def beside(self, other: Windows) -> float:
        """How fast, as a part of ``other`` at the same time: the machine is not as busy all the time."""
        return median(ours / theirs for ours, theirs in zip(self.rates, other.rates, strict=True))

    def slower(self, other: Windows) -> float:
        """How long one took, in times of ``other``."""
        return median(ours / theirs for ours, theirs in zip(self.typical, other.typical, strict=True))


def one(stage: Stage) -> Row:
    """One process, each time another key."""
    return _uncontended(stage, "keyed", 1, MIN_ONE)


def eight(stage: Stage) -> Row:
    """Eight processes, each time another key."""
    return _uncontended(stage, "keyed-eight", PROCESSES, MIN_EIGHT)


def contended(stage: Stage) -> Row:
    """Eight processes that all want the same key."""
    found = _measured(stage, PROCESSES, "contended")
    ours, theirs, puts = found["ours"], found["redis"], found["puts"]
    return Row(
        name="keyed-contended",
        what=f"locks of one key, taken and given back a second, {PROCESSES} processes; each costs {ours.cost}",
        ours=f"{ours.rate:.0f}/s ({ours.beside(puts):.2f} × {puts.rate:.0f} bare PUTs/s)",
        peer=f"redis-py's {theirs.rate:.0f}/s",
        ratio=ours.beside(theirs),
        target="–",
        ok=ours.done > 0,
    )


def _uncontended(stage: Stage, name: str, processes: int, least: float) -> Row:
    found = _measured(stage, processes, "uncontended")
    ours, theirs, puts, pairs = found["ours"], found["redis"], found["puts"], found["pairs"]
    rate, acquire = ours.beside(puts), ours.slower(puts)
    return Row(
        name=name,
        what=f"locks taken and given back a second, each of another key, {processes} process{'es' * (processes > 1)}; "
        f"each costs {ours.cost} (a bare PUT {puts.cost})",
        ours=f"{ours.rate:.0f}/s: {rate:.2f} × {puts.rate:.0f} bare PUTs/s, {ours.beside(pairs):.2f} × {pairs.rate:.0f} bare "
        f"POSTs and DELETEs/s; p50 of taking one {ours.p50 * 1000:.2f} ms: {acquire:.2f} × a bare PUT's",
        peer=f"redis-py's {theirs.rate:.0f}/s, p50 {theirs.p50 * 1000:.2f} ms",
        ratio=rate,
        target=f"rate ≥ {least:.2f} × bare PUTs" + (f", p50 ≤ {MAX_ACQUIRE:.1f} ×" if processes == 1 else ""),
        ok=rate >= least and (processes > 1 or acquire <= MAX_ACQUIRE),
    )


def _measured(stage: Stage, processes: int, kind: str) -> dict[str, Windows]:
    """Bare requests, and both sides' locks of that kind, by turns, in so many processes at a time."""
    turns, seconds = (5, 1) if stage.quick else (15, 2)
    found = {"puts": Windows(), "ours": Windows(), "pairs": Windows(), "redis": Windows()}
    with Redis() as server, stage.programs("keys", roles=[ROLE]) as start:
        programs = [start() for _ in range(processes)]
        peers = [start("rlocks", server.port) for _ in range(processes)]
        with ThreadPoolExecutor(processes) as at_once:

            def window(name: str, keep: Windows) -> None:
                asked, work = peers if name == "redis" else programs, name if name in ("puts", "pairs") else kind
                before, cpu = stage.counts(), stage.server_cpu()
                answers = list(at_once.map(lambda program: program.ask(work, seconds), asked))
                keep.server_cpu += stage.server_cpu() - cpu
                keep.rates.append(sum(done / lasted for done, lasted, _ in answers))
                keep.typical.append(median(p50 for _, _, p50 in answers))
                keep.done += sum(done for done, _, _ in answers)
                for verb, count in stage.counts().items():
                    keep.requests[verb] = keep.requests.get(verb, 0) + count - before.get(verb, 0)

            for name in found:  # connections are opened, and code is read
                window(name, Windows())
            for _ in range(turns):
                for name, keep in found.items():
                    window(name, keep)
    return found
