"""SingletonMixin: turns any class of beat schedulers into one that dispatches on one replica, each fire once."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from billiard.process import current_process
from celery import Celery
from celery.beat import ScheduleEntry, Scheduler
from kombu.exceptions import OperationalError

from singleton_jobs import LeadershipLost, NotLeader, Term
from singleton_jobs.leading.participant import part_of

from .adapters import inner_of
from .deferred_signals import DeferredSignals
from .fires import Fires, Planned, refuse_too_many
from .inner_scheduler import InnerScheduler
from .membership import BeatMembership
from .schedule import next_due
from .sending import Abandoned, Message, Sending, underway
from .settings import Settings

__all__ = ["SingletonMixin"]

READS = 9  # a database's entries are read anew whenever they have changed, also between two of our looks at them
SOON = 0.02  # seconds; beat looks again within these when something is due
BEFORE_TASK_ID = 6  # parameters of Celery.send_task come before task_id

logger = logging.getLogger("singleton_jobs")


class SingletonMixin(Scheduler):
    """Put before a scheduler's class: ``class Mine(SingletonMixin, PersistentScheduler)``; the alias does just that.

    Followers wait in `tick`. A leader claims all entries that are due with one write to the lease, then sends them one
    by one. What an entry's last run was comes from the lease, too, so that a replica that takes over goes on where the
    last one stopped. Configured by ``app.conf.singleton_jobs``; raises ConfigError for what cannot work.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        app: Celery = args[0] if args else options["app"]  # stays where it came: some look for it in their options
        self._settings = Settings.of(app)
        self._leadership = self._settings.leadership()
        self._membership: BeatMembership | None = None
        self._fires: Fires
        self._term: Term | None = None  # the last term that this beat led under
        self._sending: Sending | None = None
        self._deferred_signals = DeferredSignals()
        self._dispatching = self._closing = self._closed = False
        self._config = part_of(self._leadership).timing
        super().__init__(*args, **options)
        self._inner: InnerScheduler = inner_of(self)
        self._inner.start()
        if not options.get("lazy"):
            refuse_too_many(self._inner.names(), self._leadership.lease)

    @property
    def info(self) -> str:
        """For the banner of ``celery beat``."""
        return "\n".join(filter(None, [super().info, f"    . lease -> {self._leadership.lease}"]))

    def tick(self, *args: Any, **options: Any) -> float:
        """Dispatch what is due, on the replica that leads; the seconds until it is to be called again."""
        _quit_if_orphaned()
        if self._mode == "always":
            return super().tick(*args, **options)  # type: ignore[no-any-return]
        if self._mode == "never" or self._closed:
            return self._config.retry_period
        if self._membership is None:
            membership = BeatMembership(self._leadership)
            self._fires = Fires(self._leadership, membership.candidacy, self._inner, self._settings.attempts)
            membership.start()
            self._membership = membership
        self._membership.progress()
        if not self._membership.wait_to_lead():
            return 0
        self.producer  # noqa: B018 (connects before anything is claimed)
        self._membership.progress()
        with self._deferred_signals:
            wait: float = self._dispatch(self._membership, lambda: super(SingletonMixin, self).tick(*args, **options))
        return min(wait, self._config.retry_period)

    def populate_heap(self, *args: Any, **options: Any) -> None:
        """The entries are new, or another replica has led meanwhile."""
        if not self._dispatching:
            super().populate_heap(*args, **options)
            return
        for _ in range(READS):
            entries = list(self.schedule.values())
            self._fires.hand_over(entries, datetime.now(UTC))
            super().populate_heap(*args, **options)
            if self._inner.is_made_of(entries):
                break
        self._inner.drop_stuck()

    def is_due(self, entry: ScheduleEntry) -> tuple[bool, float]:
        """Whether ``entry`` is due, and in how many seconds to look again: at its next nominal time."""
        due, wait = super().is_due(entry)
        if due and self._dispatching:
            planned, now = self._fires.granted.get(entry.name), datetime.now(UTC)
            fire = planned.fire if planned else self._inner.nominal(entry, now)
            if fire is None:
                return False, self.max_interval
            following = next_due(entry.schedule, fire)
            wait = (following - now).total_seconds() if following else wait
        return due, wait

    def reserve(self, entry: ScheduleEntry) -> ScheduleEntry:
        """Claim the due fire of ``entry``, unless that was done. Raises NotLeader outside of a leader's tick."""
        if self._mode == "always":
            return super().reserve(entry)
        if self._term is None or self._membership is None or not self._dispatching:
            raise NotLeader(self._leadership.lease, part_of(self._leadership).reason(), self._leadership.holder)
        self._settle()
        if entry.name not in self._fires.granted:
            self._fires.claim(self._term, datetime.now(UTC), entry)
        planned = self._fires.granted.get(entry.name)
        if planned is None or not self._term.is_valid:
            raise Abandoned
        following = super().reserve(entry)
        self._inner.restore(following, planned.fire, planned.runs)
        del self._fires.granted[entry.name]
        self._begin(entry, planned, self._term, self._membership)
        return following

    def apply_async(self, entry: ScheduleEntry, producer: Any = None, advance: bool = True, **options: Any) -> Any:
        """Send a message of the fire that was claimed for ``entry``; of one that was not, as beat always did."""
        if advance:
            entry = self.reserve(entry)
        sending = self._sending
        if sending is None or sending.name != entry.name:
            return super().apply_async(entry, producer=producer, advance=False, **options)
        sending.check()
        try:
            return super().apply_async(Message(entry, sending), producer=producer, advance=False, **options)
        except Abandoned:
            raise
        except BaseException as error:
            sending.cut = self._is_brokers(error) or not isinstance(error, Exception)
            sending.failed = not sending.cut
            if self._is_brokers(error):
                self._step_down(error)
                raise Abandoned from error
            raise

    def send_task(self, *args: Any, **options: Any) -> Any:
        """Send a message; in the course of a fire with that fire's id."""
        if (sending := underway()) and len(args) < BEFORE_TASK_ID:
            options.setdefault("task_id", sending.task_id)
        return super().send_task(*args, **options)

    def sync(self) -> None:
        """Store the entries, unless another replica may have led since."""
        if self._term is None or self._term.is_valid:
            super().sync()

    def close(self) -> None:
        """Store the entries and give the lease back; once is enough. Called in the midst of a tick, it is done then."""
        self._closing = True
        if self._dispatching or self._closed:
            return
        self._closed = True
        try:
            super().close()
        finally:
            if self._membership:
                self._fires.end()
                self._membership.leave()

    # Inner parts

    @property
    def _mode(self) -> str:
        return part_of(self._leadership).core.mode

    def _dispatch(self, membership: BeatMembership, tick: Callable[[], float]) -> float:
        """One tick of a leader: all that is due is claimed, and sent."""
        entry = object()
        term = membership.candidacy.work.enter(entry)
        if term is None:
            return 0
        self._dispatching = True
        try:
            if term is not self._term:
                self._term = term
                self._fires.begin()
                self._inner.forget()
            for planned, cut in self._fires.resends(term, datetime.now(UTC)):
                self._begin(cut, planned, term, membership)
                self.apply_entry(cut, producer=self.producer)
                self._settle()
            if not self._fires.claim(term, datetime.now(UTC)):
                self._inner.forget()
            wait = tick()
            while self._fires.granted and wait <= SOON:
                self._settle()
                wait = tick()
            self._fires.drop_gone()
        except (Abandoned, LeadershipLost):
            self._inner.forget()
            self._fires.keep()
            self._settle(abandoned=True)
            wait = 0
        finally:
            self._settle()
            self._dispatching = False
            membership.candidacy.work.exit(entry)
            if self._closing:
                self.close()
        return wait

    def _begin(self, entry: ScheduleEntry, planned: Planned, term: Term, membership: BeatMembership) -> None:
        self._sending = Sending(entry, planned, term, self._config.lease_duration, membership.progress)

    def _settle(self, *, abandoned: bool = False) -> None:
        """Nothing more is sent for the fire before."""
        sending, self._sending = self._sending, None
        if sending is None:
            return
        sending.end()
        untouched = abandoned and sending.untouched
        if untouched and not sending.planned.after:
            self._fires.keep(sending.planned)
        elif sending.complete and not untouched:
            self._fires.sent(sending.planned)
        else:
            self._fires.failed(sending.planned, again=not sending.failed)

    def _is_brokers(self, error: BaseException) -> bool:
        """Whether the broker is away; else only this one message could not be sent."""
        cause = error.__cause__ or error.__context__  # beat has wrapped it in a SchedulingError
        return isinstance(cause, (OperationalError, *self.connection.connection_errors))

    def _step_down(self, error: BaseException) -> None:
        logger.error("lease %s: the broker cannot be reached, others may lead: %s", self._leadership.lease, error)
        self._inner.disconnect()
        if self._membership:
            self._membership.step_down()


def _quit_if_orphaned() -> None:
    """End a beat that a worker has started, once that worker is dead: nobody else would."""
    parent = current_process()._parent_pid  # noqa: SLF001 (no public name tells of it)
    if parent is not None and os.getppid() != parent:
        logger.warning("the worker %d of this beat is gone: beat ends", parent)
        raise SystemExit(1)
