"""How long a busy replica lets others go first. No clock, no I/O."""

from __future__ import annotations

from datetime import timedelta

__all__ = ["delay"]

STEP = timedelta(milliseconds=100)  # of a replica that has only just a place left
FULL = timedelta(seconds=3)  # of one that has none
SHARE = 8  # no longer than this part of a job's grace


def delay(running: int, places: int | None, grace: timedelta | None) -> timedelta:
    """How long after its time a fire is left to others, by how many of an executor's ``places`` are taken.

    None if nothing runs, so that whoever is idle is first. ``places`` None: an executor without a limit, such as an
    event loop's. ``grace``: of the job (None: no limit).
    """
    is_full = places is not None and running >= places
    wish = FULL if is_full else STEP * (running / (places or running + 1))
    return wish if grace is None else min(wish, grace / SHARE)
