"""Which `InnerScheduler` knows a scheduler."""

from __future__ import annotations

from celery.beat import Scheduler

from .database import InnerDatabaseScheduler
from .inner_scheduler import InnerScheduler
from .redbeat import InnerRedBeatScheduler

__all__ = ["inner_of"]


def inner_of(scheduler: Scheduler) -> InnerScheduler:
    """What there is to know of ``scheduler``."""
    kinds = {f"{kind.__module__}:{kind.__name__}" for kind in type(scheduler).__mro__}
    if "django_celery_beat.schedulers:DatabaseScheduler" in kinds:
        return InnerDatabaseScheduler(scheduler)
    if "redbeat.schedulers:RedBeatScheduler" in kinds:
        return InnerRedBeatScheduler(scheduler)
    return InnerScheduler(scheduler)
