"""Which `Inner` knows a scheduler."""

from __future__ import annotations

from celery.beat import Scheduler

from .database import DatabaseInner
from .inner import Inner
from .redbeat import RedBeatInner

__all__ = ["inner_of"]


def inner_of(scheduler: Scheduler) -> Inner:
    """What there is to know of ``scheduler``."""
    kinds = {f"{kind.__module__}:{kind.__name__}" for kind in type(scheduler).__mro__}
    if "django_celery_beat.schedulers:DatabaseScheduler" in kinds:
        return DatabaseInner(scheduler)
    if "redbeat.schedulers:RedBeatScheduler" in kinds:
        return RedBeatInner(scheduler)
    return Inner(scheduler)
