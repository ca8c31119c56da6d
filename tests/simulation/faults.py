"""What goes wrong in a run: a plan drawn from its seed, each fault of which can be left out without changing the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

DAY = 86_400.0
CODES = (409, 422, 429, 500, 503, 504)

Json = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """``kind`` befalls the replica in ``slot`` at ``at``; ``span`` in seconds, ``size`` as the kind needs it."""

    at: float
    kind: str
    slot: int
    span: float
    size: float
    chance: float

    def __str__(self) -> str:
        return f"{self.at:8.3f}  {self.kind} of pod-{self.slot}: span {self.span:.3f}, size {self.size:.3f}, chance {self.chance:.3f}"


# How often each happens, relative to the others.
WEIGHTS = {
    "slow": 4,
    "lossy": 4,
    "late": 4,
    "lagging": 2,
    "partition": 4,
    "refuse": 3,
    "answer": 4,
    "swallow": 6,
    "unreadable": 2,
    "restart": 2,
    "pause": 8,
    "stall": 8,
    "crash": 10,
    "stop": 6,
    "step_down": 8,
    "wall": 4,
    "rate": 2,
    "annotate": 2,
    "cut": 4,
    "mute": 6,
    "compact": 2,
}
TAMPERING = {"delete": 4, "free": 2, "usurp": 2}


def plan(rng: Random, *, slots: int, duration: float, end: float, tampering: bool) -> list[Fault]:
    """Faults up to ``end``, scaled to leases of ``duration`` seconds."""
    weights = WEIGHTS | (TAMPERING if tampering else {})
    kinds, shares = list(weights), list(weights.values())
    mean = duration * rng.choice([0.3, 0.6, 1.2])
    faults, at = [], rng.expovariate(1 / mean)
    while at < end:
        span = duration * rng.choice([rng.uniform(0, 0.1), rng.uniform(0, 0.5), rng.uniform(0.2, 1.6)])
        kind = rng.choices(kinds, shares)[0]
        faults.append(Fault(at, kind, rng.randrange(slots), span, rng.random(), rng.random()))
        at += rng.expovariate(1 / mean)
    return faults


def pick(fault: Fault, choices: list[Any]) -> Any:
    """One of ``choices``, by the fault's own size."""
    return choices[int(fault.size * len(choices)) % len(choices)]


def asking(identity: str) -> Callable[[Json], None]:
    """What `singleton-jobs step-down` does to a lease."""

    def change(lease: Json) -> None:
        lease["metadata"].setdefault("annotations", {})["singleton-jobs/step-down"] = identity

    return change


def foreign(kind: str) -> Callable[[Json], None]:
    """What somebody who is no candidate does to a lease."""

    def change(lease: Json) -> None:
        if kind == "annotate":
            annotations = lease["metadata"].setdefault("annotations", {})
            annotations["somebody"] = str(int(annotations.get("somebody", "0")) + 1)
        elif kind == "free":
            lease["spec"]["holderIdentity"] = ""
        else:
            lease["spec"]["holderIdentity"] = "somebody_else"

    return change
