"""A spread scheduler's part: what wakes it, and when its jobs may fire."""

from __future__ import annotations

from collections.abc import Callable

from apscheduler.events import EVENT_SCHEDULER_RESUMED, EVENT_SCHEDULER_STARTED, SchedulerEvent
from apscheduler.schedulers.base import STATE_RUNNING, BaseScheduler

from singleton_jobs.leading.core import Core

from .spread_fires import worker

__all__ = ["SpreadMembership"]


class SpreadMembership:
    """From `start` to `leave`; ``begin`` is called whenever the scheduler begins to run."""

    def __init__(self, scheduler: BaseScheduler, core: Core, begin: Callable[[], None]) -> None:
        self.scheduler = scheduler
        self.ended = False
        self._core = core
        self._begin = begin
        self._woken = False  # the worker is about to

    def start(self) -> None:
        """Take part whenever the scheduler runs."""
        self.scheduler.add_listener(self._on_running, EVENT_SCHEDULER_STARTED | EVENT_SCHEDULER_RESUMED)
        if self.scheduler.state == STATE_RUNNING:
            self._begin()

    @property
    def runs(self) -> bool:
        """Whether jobs may be taken now; a paused scheduler takes none, nor does a replica that drains."""
        return not self._core.closed and self._core.mode != "never" and self.scheduler.state == STATE_RUNNING

    def wake(self) -> None:
        """Have the scheduler look for due jobs; from any thread."""
        if not self._woken:
            self._woken = True
            worker.submit(self._wake)

    def leave(self) -> None:
        """Take part no longer."""
        self.ended = True
        self.scheduler.remove_listener(self._on_running)

    def _wake(self) -> None:
        self._woken = False
        if self.ended or self.scheduler.state != STATE_RUNNING:
            return
        try:
            self.scheduler.wakeup()
        except (AttributeError, RuntimeError):  # the scheduler's event loop was closed, or it was shut down
            self.ended = True

    def _on_running(self, event: SchedulerEvent) -> None:
        if self.scheduler.state == STATE_RUNNING:
            self._core.rejoin()
            self._begin()
