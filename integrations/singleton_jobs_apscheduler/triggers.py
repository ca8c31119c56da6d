"""What is known of a trigger without asking it for times: how it tells them, its jitter, its zones.

A class of somebody's own may tell other times than the class it derives from. What is known of that is true of it only
if it overrides nothing by which times are told.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import tzinfo
from functools import cache
from types import FunctionType
from typing import Any

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import AndTrigger, BaseCombiningTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

__all__ = ["changed", "exact", "is_and", "is_date", "is_interval", "is_or", "is_plain", "jitter", "jumps", "zones"]


def is_interval(trigger: BaseTrigger) -> bool:
    """Whether the times of ``trigger`` are whole intervals from one to the next."""
    return _tells_as(trigger, IntervalTrigger)


def is_date(trigger: BaseTrigger) -> bool:
    """Whether ``trigger`` has one time."""
    return _tells_as(trigger, DateTrigger)


def is_and(trigger: BaseTrigger) -> bool:
    """Whether the times of ``trigger`` are those on which all that it combines agree."""
    return _tells_as(trigger, AndTrigger)


def is_or(trigger: BaseTrigger) -> bool:
    """Whether the times of ``trigger`` are those of all that it combines."""
    return _tells_as(trigger, OrTrigger)


def is_plain(trigger: BaseTrigger) -> bool:
    """Whether ``trigger`` and all that it combines are of APScheduler's own making: these store all that they know."""
    return type(trigger).__module__.startswith("apscheduler.") and all(map(is_plain, _inner(trigger)))


def jumps(trigger: BaseTrigger) -> bool:
    """Whether ``trigger`` tells its first time after any other at once."""
    if is_and(trigger) or is_or(trigger):
        return all(map(jumps, trigger.triggers))
    return _tells_as(trigger, CronTrigger)


def jitter(trigger: BaseTrigger) -> float:
    """The seconds by which the times of ``trigger`` are put off at most; no number is no jitter."""
    own = getattr(trigger, "jitter", None)
    return (own if isinstance(own, (int, float)) else 0) + max(map(jitter, _inner(trigger)), default=0)


def exact(trigger: BaseTrigger) -> BaseTrigger:
    """``trigger`` without jitter."""
    if not jitter(trigger):
        return trigger
    made = changed(trigger)
    with suppress(AttributeError):  # where a class works its jitter out, its times stay as they are
        object.__setattr__(made, "jitter", 0)
    if isinstance(made, BaseCombiningTrigger):
        made.triggers = [exact(inner) for inner in made.triggers]
    return made


def changed(trigger: BaseTrigger, **changes: object) -> BaseTrigger:
    """A copy of ``trigger``, of all that it knows, whatever its class would store."""
    made = object.__new__(type(trigger))
    state: Any = object.__getstate__(trigger)
    for attributes in (*(state if isinstance(state, tuple) else (state,)), changes):
        for name, value in (attributes or {}).items():
            object.__setattr__(made, name, value)
    return made


def zones(trigger: BaseTrigger) -> Iterator[tzinfo]:
    """The zones that ``trigger`` reckons in, if it says so."""
    for inner in _inner(trigger):
        yield from zones(inner)
    zone = getattr(trigger, "timezone", None)
    if isinstance(zone, tzinfo):
        yield zone


def _inner(trigger: BaseTrigger) -> list[BaseTrigger]:
    return trigger.triggers if isinstance(trigger, BaseCombiningTrigger) else []


def _tells_as(trigger: BaseTrigger, kind: type[BaseTrigger]) -> bool:
    return isinstance(trigger, kind) and all(
        getattr(getattr(trigger, name), "__func__", None) is getattr(kind, name)
        for name in _telling(kind)  # type: ignore[arg-type]  # a class has a hash
    )


@cache
def _telling(kind: type[BaseTrigger]) -> tuple[str, ...]:
    """The methods by which ``kind`` tells times."""
    methods = {**vars(BaseTrigger), **vars(kind)}.items()
    return tuple(name for name, it in methods if isinstance(it, FunctionType) and not name.startswith("__"))
