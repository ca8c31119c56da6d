"""A scheduler's part in its leadership: it competes while it runs, is woken when a term begins, and leaves."""

from __future__ import annotations

import logging
import math
import threading
from weakref import WeakKeyDictionary, WeakSet

from apscheduler.events import EVENT_SCHEDULER_RESUMED, EVENT_SCHEDULER_STARTED, SchedulerEvent
from apscheduler.schedulers.base import STATE_RUNNING, BaseScheduler

from singleton_jobs import Leadership, Term
from singleton_jobs.concurrency.synchronization import run_blocking

from .internals import is_loop_closed

__all__ = ["Membership"]

logger = logging.getLogger("singleton_jobs")


class Membership:
    """From the start of ``scheduler``, or of a job store in it, to the end. Raises ConfigError if there is no store."""

    def __init__(self, scheduler: BaseScheduler, leadership: Leadership) -> None:
        self._scheduler = scheduler
        self._leadership = leadership
        self._candidacy = leadership.prepare()
        self._ended = False
        _members.setdefault(leadership, WeakSet()).add(self)
        scheduler.add_listener(self._on_running, EVENT_SCHEDULER_STARTED | EVENT_SCHEDULER_RESUMED)
        if scheduler.state == STATE_RUNNING:
            leadership.start()
        threading.Thread(target=self._watch, name="singleton-jobs-wakeup", daemon=True).start()

    @property
    def term(self) -> Term | None:
        """The term under which the scheduler may fire now; a paused one fires nothing."""
        return self._admitted() if self._scheduler.state == STATE_RUNNING else None

    def wake(self) -> None:
        """Have the scheduler look for due jobs; from any thread."""
        try:
            self._scheduler.wakeup()
        except (AttributeError, RuntimeError):  # its event loop was closed, or it was shut down
            self._ended = True

    def end(self) -> None:
        """Give the lease back, once what runs has ended, unless another scheduler of this process needs it."""
        self._ended = True
        self._candidacy.changed.notify()
        self._scheduler.remove_listener(self._on_running)
        others = _members[self._leadership]
        others.discard(self)
        if others or not self._candidacy.started:
            return
        if self._candidacy.active:
            self._leadership.begin_close()
        else:
            self._leadership.close()

    def _on_running(self, event: SchedulerEvent) -> None:
        if self._scheduler.state == STATE_RUNNING:
            self._leadership.start()

    def _admitted(self) -> Term | None:
        return self._candidacy.term if self._candidacy.admits else None

    def _is_orphaned(self) -> bool:
        """Whether the scheduler can never run again, and nobody has shut it down."""
        return is_loop_closed(self._scheduler)

    def _watch(self) -> None:
        known: Term | None = None

        def news() -> bool:
            return self._ended or self._admitted() is not known or self._is_orphaned()

        while not self._ended:
            run_blocking(self._candidacy.changed.wait(news, math.inf, block=True))
            if self._is_orphaned():
                logger.warning("lease %s: the event loop of its scheduler was closed", self._leadership.lease)
                self.end()
            known = self._admitted()
            if known and not self._ended:
                self.wake()


_members: WeakKeyDictionary[Leadership, WeakSet[Membership]] = WeakKeyDictionary()
