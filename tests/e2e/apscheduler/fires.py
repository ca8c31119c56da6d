"""Which fires a schedule had, and which of them ran: missing, doubled, or never due."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

EDGE = 1.0  # seconds
EXACT = 1e-3  # nominal times are whole microseconds, floats about as much


class Verdict(NamedTuple):
    """All empty: each fire ran once."""

    missed: list[float]
    doubled: list[float]
    strange: list[float]


def judge(
    runs: Iterable[float], *, every: float, begin: float, end: float, phase: float = 0.0, edge: float = EDGE
) -> Verdict:
    """What `runs`, by their nominal times, made of a schedule of `phase` + n × `every`.

    A fire is missed if it was due from `begin` + `edge` to `end` - `edge`: nearer to an end of the window it may have been due
    before anybody led, or its run may not be written down yet. What ran twice, or at a time that is none of the
    schedule's, is told wherever it was.
    """
    counts = Counter(round((run - phase) / every, 6) for run in runs)

    def time(number: float) -> float:
        return phase + number * every

    first = math.ceil((begin + edge - phase - EXACT) / every)
    last = math.floor((end - edge - phase + EXACT) / every)
    by_number = {round(number): number for number in counts if abs(time(number) - time(round(number))) < EXACT}
    missed = [time(number) for number in range(first, last + 1) if number not in by_number]
    doubled = sorted(time(number) for number, count in counts.items() if count > 1)
    strange = sorted(time(number) for number in set(counts) - set(by_number.values()))
    return Verdict(missed, doubled, strange)
