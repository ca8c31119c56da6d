"""What a call runs in: the task of a task queue, if there is one.

The core knows no task queue. An integration says how to ask one, by an entry point of the group
``singleton_jobs.tasks`` that has the name of the queue's package; it is loaded where that package is in use.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import NoReturn, Protocol

__all__ = ["RunningTask", "running_task"]

GROUP = "singleton_jobs.tasks"


class RunningTask(Protocol):
    """A task that a worker runs on this very thread."""

    id: str
    name: str
    redelivered: bool  # it was given to a worker before, which may have died over it

    def retry(self, error: Exception, countdown: float) -> NoReturn:
        """End this run, to be run again in ``countdown`` seconds; ``error`` is told when that is not to be any more."""


Ask = Callable[[], RunningTask | None]

_points: tuple[EntryPoint, ...] | None = None
_loaded: dict[str, Ask] = {}


def running_task() -> RunningTask | None:
    """The task that the caller runs in; None outside of any."""
    global _points
    if _points is None:
        _points = tuple(entry_points(group=GROUP))
    for point in _points:
        if point.name in sys.modules:
            ask = _loaded.get(point.name) or _loaded.setdefault(point.name, point.load())
            if task := ask():
                return task
    return None
