"""Time, read at the edge and passed inwards.

Holds are measured on the boot-time clock, which nobody sets and which counts while the machine sleeps; where the
platform has none, on the monotonic clock. The wall clock only decorates records. Both are taken from
``clock_gettime`` and kept in ``partial`` objects, out of reach of libraries that freeze ``time`` and ``datetime``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

__all__ = ["SYSTEM_CLOCK", "Clock"]


class Clock(NamedTuple):
    """Two ways to read time, in seconds: ``now`` for every decision, ``wall`` (Unix time) for people."""

    now: Callable[[], float]
    wall: Callable[[], float]


def _system_clock() -> Clock:
    if not hasattr(time, "clock_gettime"):  # Windows
        return Clock(now=partial(time.monotonic), wall=partial(time.time))
    boot_time = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return Clock(now=partial(time.clock_gettime, boot_time), wall=partial(time.clock_gettime, time.CLOCK_REALTIME))


SYSTEM_CLOCK = _system_clock()
