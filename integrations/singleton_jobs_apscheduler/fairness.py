"""How long a busy replica lets others go first. No clock, no I/O."""

from __future__ import annotations

from datetime import timedelta

__all__ = ["delay"]

STEP = timedelta(milliseconds=100)  # of a replica that has only just a place left
SHARE = 8  # no longer than this part of a job's grace


def delay(running: int, places: int | None, grace: timedelta | None) -> timedelta | None:
    """How long after its time a fire is left to others, by how many of an executor's ``places`` are taken.

    Not at all if nothing runs, so that whoever is idle is first; as long as its ``grace`` (None: no limit) if no place
    is free, since it could not run before. ``places`` None: an executor without a limit, such as an event loop's.
    """
    if places is not None and running >= places:
        return grace
    wish = STEP * (running / (places or running + 1))
    return wish if grace is None else min(wish, grace / SHARE)
