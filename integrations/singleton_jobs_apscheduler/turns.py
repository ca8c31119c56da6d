"""Whose turn a fire is, among replicas that all want it at the same instant. No clock, no I/O.

Whoever is first by a hash of its name and the fire's writes at once, the next one a request's time later, when it most
often has seen the first one's write. Replicas know each other by the marks that they leave; it need not be agreed who
there is, since the write decides. So who has died, or is busy, costs the others one turn.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from hashlib import blake2b

__all__ = ["Turns"]

TURN, LONGEST = 0.015, 0.06  # seconds: a request and its event, on an idle machine and on a busy one
ALONE = 0.01  # seconds over which replicas spread that do not know each other yet
KNOWN = 900.0  # seconds for which a replica is remembered by a mark


class Turns:
    """``chance(a, b)`` is a number between them."""

    def __init__(self, chance: Callable[[float, float], float] = random.uniform) -> None:
        self._chance = chance
        self._turn = TURN
        self._seen: dict[str, float] = {}  # replicas, and when they were last seen to have run something

    def note(self, identity: str, now: float) -> None:
        """The replica of that ``identity`` has claimed something; ``now`` is in seconds."""
        if identity:
            self._seen[identity] = now

    def raced(self, *, refused: bool) -> None:
        """A write was ``refused`` since another's was not seen before it, or one was not."""
        self._turn = min(1.5 * self._turn, LONGEST) if refused else max(0.9 * self._turn, TURN)

    def delay(self, me: str, fire: str, now: float) -> float:
        """How many seconds the replica called ``me`` is to wait before its write for ``fire``."""
        self._seen = {identity: at for identity, at in self._seen.items() if now - at < KNOWN}
        others = self._seen.keys() - {me}
        if not others:
            return self._chance(0, ALONE)
        mine = _hash(me, fire)
        before = sum(_hash(identity, fire) < mine for identity in others)
        return before * self._turn + self._chance(0, TURN / 10)


def _hash(identity: str, fire: str) -> bytes:
    return blake2b(f"{identity}\0{fire}".encode(), digest_size=8).digest()
