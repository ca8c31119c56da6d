"""What happens in a storm: scenes drawn from a seed, in calm or wild. No process, no clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

DAY = 86_400.0
SLOTS = 5
BUSIEST = -2  # the slot of whoever holds most leases when it comes to it
CLOCKED = 1  # the slot whose process may see another wall clock; to make that possible costs it half a core
MARGIN = 1.0  # seconds that a process may stall, at 3/2/0.4

NETWORK = (
    "slow there",
    "slow back",
    "cut",
    "reset",
    "partition",
    "refuse",
    "late",
    "drip",
    "hang",
    "buffered",
    "429",
    "503",
)


@dataclass(frozen=True)
class Blow:
    """``kind`` befalls the replica in ``slot`` (None: what all share) ``at`` so many seconds, for ``span``."""

    at: float
    kind: str
    slot: int | None
    span: float = 0.0
    size: float = 0.0


@dataclass(frozen=True)
class Scene:
    """Blows, and until when nothing else happens; ``calm``: what it leads to is measured."""

    begins: float
    ends: float
    calm: bool
    blows: tuple[Blow, ...]


def scenes(seed: object, *, until: float, settle: float, namespaces: bool, clocks: bool) -> Iterator[Scene]:
    """One after the other, up to ``until``; ``settle``: seconds that everybody needs to get up."""
    rng, at = Random(repr(seed)), settle
    kinds = {_crash: 5, _hand_over: 9, _swallow: 4, _freeze: 3, _wild: 7, _restart: 0.4, _quiet: 0.5}
    while at < until:
        draw = rng.choices(list(kinds), list(kinds.values()))[0]
        scene = draw(rng, at, [*NETWORK, *["lossy", "rejected"] * namespaces], clocks)
        if scene.ends > until:
            return
        yield scene
        at = scene.ends


def _crash(rng: Random, at: float, kinds: list[str], clocks: bool) -> Scene:
    """Two at once; their successors start when all is over, since that takes all there is of the processor."""
    return Scene(at, at + 6, True, (Blow(at, "kill", BUSIEST, 4.2),) * 2)


def _hand_over(rng: Random, at: float, kinds: list[str], clocks: bool) -> Scene:
    if rng.random() < 0.4:
        return Scene(at, at + 4, True, (Blow(at, "term", BUSIEST, 2.0),) * 2)
    return Scene(at, at + 2.5, True, tuple(Blow(at + 0.1 * slot, "step down", slot) for slot in range(SLOTS)))


def _swallow(rng: Random, at: float, kinds: list[str], clocks: bool) -> Scene:
    """One answer of each lease, again and again, each time when all are renewed once more."""
    return Scene(at, at + 7, True, tuple(Blow(at, "swallow each", slot, 4.0) for slot in range(SLOTS)))


def _freeze(rng: Random, at: float, kinds: list[str], clocks: bool) -> Scene:
    """Two replicas stop in the midst of their work, and go on when others hold their leases."""
    return Scene(at, at + 6.5, False, tuple(Blow(at, "stop long", BUSIEST, rng.uniform(4, 5)) for _ in range(2)))


def _restart(rng: Random, at: float, kinds: list[str], clocks: bool) -> Scene:
    return Scene(at, at + 12, False, (Blow(at, "restart", None, 8),))


def _quiet(rng: Random, at: float, kinds: list[str], clocks: bool) -> Scene:
    return Scene(at, at + 5, True, ())


def _wild(rng: Random, at: float, kinds: list[str], clocks: bool) -> Scene:
    """Up to three replicas suffer at once, so that at least two are well."""
    blows = []
    for slot in (BUSIEST, *rng.sample(range(SLOTS), 2)):
        kind = rng.choice([*kinds, "stop", "stop", "stop long", "stop long", "kill", "term", "swallow"])
        if slot == CLOCKED and clocks and rng.random() < 0.6:
            kind = "clock"
        span = {"stop": rng.uniform(0.1, 0.8 * MARGIN), "stop long": rng.uniform(4, 7)}.get(kind, rng.uniform(0.5, 4))
        blows.append(Blow(at + rng.uniform(0, 2), kind, slot, span, rng.random()))
    return Scene(at, max(blow.at + blow.span for blow in blows) + 3, False, tuple(sorted(blows, key=lambda b: b.at)))
