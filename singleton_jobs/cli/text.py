"""Times, for people."""

from __future__ import annotations

from datetime import datetime

__all__ = ["ago", "length", "stamp"]

MINUTE, HOUR, DAY = 60, 3600, 86400


def length(seconds: float) -> str:
    """A length of time in at most two units: 5s, 3m12s, 2h05m, 4d03h."""
    whole = int(seconds)
    for unit, name, part, small in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "m"), (MINUTE, "m", 1, "s")):
        if whole >= unit:
            return f"{whole // unit}{name}{whole % unit // part:02}{small}"
    return f"{whole}s"


def ago(then: datetime | None, now: datetime, *, wide: bool) -> str:
    """How long ago ``then`` was, and (``wide``) when; a dash if unknown."""
    if then is None:
        return "-"
    past = (now - then).total_seconds()
    text = f"{length(past)} ago" if past >= 0 else f"in {length(-past)}"
    return f"{stamp(then)} ({text})" if wide else text


def stamp(time: datetime) -> str:
    """A moment, to the second, in UTC."""
    return f"{time:%Y-%m-%d %H:%M:%S}Z"
