"""What a storm cannot measure: one kind of fault at a time, and everything else in order."""

from __future__ import annotations

from scoreboard import Figure

from chaos.scenarios.answers import answers
from chaos.scenarios.forks import forks
from chaos.scenarios.neighbours import neighbours
from chaos.scenarios.restarts import restarts
from chaos.stage import Stage

__all__ = ["measure"]


def measure(stage: Stage, share: float, pace: int = 1) -> list[Figure]:
    """Rows 6, 8, 9 and 11, with this share (up to 1) of all their cases, a second of leases of 3 s taking ``pace``."""
    return [
        restarts(stage, share),
        answers(stage, share, pace),
        neighbours(stage, share, pace),
        forks(stage, share, pace),
    ]
