"""From a seed that breaks a promise to the few faults that do it, and to a trace that can be read."""

from __future__ import annotations

import time
from collections.abc import Callable

from simulation.storm import Outcome, draw, storm

SHOWN = 60  # lines of a trace


def shrink(seed: int, *, limit: float = 60.0, run: Callable[..., Outcome] = storm) -> tuple[list[int], Outcome]:
    """Leave out faults, in ever smaller groups, as long as a promise is still broken; at most ``limit`` seconds long."""
    kept = list(range(len(draw(seed)[1])))
    outcome = run(seed, kept)
    size, began = max(1, len(kept) // 2), time.monotonic()
    while outcome.broken and time.monotonic() - began < limit:
        for start in range(0, len(kept), size):
            fewer = kept[:start] + kept[start + size :]
            without = run(seed, fewer)
            if without.broken:
                kept, outcome = fewer, without
                break
            if time.monotonic() - began > limit:
                break
        else:
            if size == 1:
                break
            size = max(1, size // 2)
    return kept, outcome


def describe(outcome: Outcome, kept: list[int]) -> str:
    """What happened last, for people; requests that nothing came of are left out."""
    only = ",".join(map(str, kept))
    lines = [f"seed {outcome.seed}: {outcome.broken}", "its faults:", *(f"  {fault}" for fault in outcome.faults)]
    lines += [f"the last {SHOWN} steps of its trace:"]
    for at, who, what, *more in outcome.trace[-SHOWN:]:
        lines.append(f"  {at:10.4f}  {who:<10} {what} {' '.join(map(str, more))}")
    lines.append(f"to see it again: make simulate ARGS='--replay {outcome.seed} --only {only}'")
    return "\n".join(lines)
