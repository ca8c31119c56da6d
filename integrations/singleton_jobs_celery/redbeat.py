"""What a guard must know of RedBeat's scheduler."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from celery.beat import ScheduleEntry

from singleton_jobs.decisions.ledger import Mark

from .inner_scheduler import EQUAL, HandOver, InnerScheduler, last_run
from .schedule import resumed

__all__ = ["InnerRedBeatScheduler"]


class InnerRedBeatScheduler(InnerScheduler):
    """RedBeat's: the state is in Redis, and no heap is used."""

    def start(self) -> None:
        self._scheduler.lock_key = None  # RedBeat's own lock is off, since the lease decides

    def names(self) -> Iterable[str]:
        from redbeat.schedulers import get_redis

        app = self._scheduler.app
        keys = get_redis(app).zrange(app.redbeat_conf.schedule_key, 0, -1)
        return [key.removeprefix(app.redbeat_conf.key_prefix) for key in keys]

    def entry(self, name: str) -> ScheduleEntry:
        app = self._scheduler.app
        return self._scheduler.Entry.from_key(f"{app.redbeat_conf.key_prefix}{name}", app=app)

    def disconnect(self) -> None:
        super().disconnect()
        self._scheduler.__dict__.pop("_maybe_due_kwargs", None)

    def candidates(self, hand_over: HandOver, now: datetime) -> list[ScheduleEntry]:
        entries = list(self._scheduler.schedule.values())
        hand_over(entries, now)
        return entries

    def begun(self, entry: ScheduleEntry, mark: Mark) -> datetime | None:
        if self.is_configured(entry) and not entry.total_run_count:
            return None
        # An entry that has run as often as its mark tells of a refused fire.
        return None if mark.runs and entry.total_run_count == mark.runs else last_run(entry)

    def first(self, entry: ScheduleEntry, now: datetime) -> datetime:
        return last_run(entry) or now  # Redis was told of each fire before its message was sent

    def restore(self, entry: ScheduleEntry, last: datetime, count: int | None) -> None:
        known = last_run(entry)
        if known and abs(known - resumed(entry.schedule, last)) < EQUAL and count in (None, entry.total_run_count):
            return
        super().restore(entry, last, count)
        entry._next_instance(last_run_at=entry.last_run_at, only_update_last_run_at=True)
