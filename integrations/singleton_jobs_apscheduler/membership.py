"""A scheduler's part in its leadership: it competes while it runs, is woken when a term begins, and leaves."""

from __future__ import annotations

import logging
import threading

from apscheduler.events import EVENT_SCHEDULER_RESUMED, EVENT_SCHEDULER_STARTED, SchedulerEvent
from apscheduler.schedulers.base import STATE_RUNNING, BaseScheduler

from singleton_jobs import Leadership, Term
from singleton_jobs.leading.membership import Membership
from singleton_jobs.leading.participant import part_of

from .internals import is_loop_closed

__all__ = ["SchedulerMembership"]

logger = logging.getLogger("singleton_jobs")


class SchedulerMembership(Membership):
    """The part of ``scheduler``, or of a job store in it. Raises ConfigError if there is no store to compete in."""

    def __init__(self, scheduler: BaseScheduler, leadership: Leadership) -> None:
        super().__init__(leadership)
        self.scheduler = scheduler

    def start(self) -> None:
        """Compete whenever the scheduler runs."""
        self.join()
        self.scheduler.add_listener(self._on_running, EVENT_SCHEDULER_STARTED | EVENT_SCHEDULER_RESUMED)
        if self.scheduler.state == STATE_RUNNING:
            self.leadership.start()
        threading.Thread(target=self._watch, name="singleton-jobs-wakeup", daemon=True).start()

    @property
    def running_term(self) -> Term | None:
        """The term under which the scheduler may fire now; a paused one fires nothing."""
        return self.term if self.scheduler.state == STATE_RUNNING else None

    def wake(self) -> None:
        """Have the scheduler look for due jobs; from any thread."""
        try:
            self.scheduler.wakeup()
        except (AttributeError, RuntimeError):  # the scheduler's event loop was closed, or it was shut down
            self.ended = True

    def leave(self) -> None:
        """Give the lease back, once what runs has ended, unless another scheduler of this process needs it."""
        self.scheduler.remove_listener(self._on_running)
        if not self.end() or not self.candidacy.started:
            return
        if self.candidacy.work.active:
            part_of(self.leadership).begin_close()
        else:
            self.leadership.close()

    def _on_running(self, event: SchedulerEvent) -> None:
        if self.scheduler.state == STATE_RUNNING:
            self.leadership.start()

    def _watch(self) -> None:
        known: Term | None = None

        def news() -> bool:
            return self.term is not known or is_loop_closed(self.scheduler)

        while not self.ended:
            self.wait(news)
            if is_loop_closed(self.scheduler):  # the scheduler can never run again, and nobody has shut it down
                logger.warning("lease %s: the event loop of its scheduler was closed", self.leadership.lease)
                self.leave()
            known = self.term
            if known and not self.ended:
                self.wake()
