"""What a guard must know of the scheduler that it guards: where the state of entries is, and which of them are due."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.beat import ScheduleEntry, Scheduler

from singleton_jobs.ledger import INSTANT

from .schedule import latest_due, next_due

__all__ = ["Inner", "inner_of"]

HandOver = Callable[[Iterable[ScheduleEntry], datetime], None]

SECOND = timedelta(seconds=1)
EQUAL = timedelta(milliseconds=1)  # what a store of entries may round


class Inner:
    """Beat's own schedulers, and others that keep entries on its heap."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler

    def names(self) -> Iterable[str]:
        """Of all entries."""
        return list(self._scheduler.schedule)

    def forget(self) -> None:
        """Another replica has led meanwhile: what is remembered of entries is out of date."""
        self._scheduler._heap = None

    def disconnect(self) -> None:
        """Drop the connection to the broker; the next use makes another."""
        self._scheduler.__dict__.pop("producer", None)
        connection = self._scheduler.__dict__.pop("connection", None)
        if connection is not None:
            connection.collect()

    def candidates(self, hand_over: HandOver, now: datetime) -> list[ScheduleEntry]:
        """The entries that may be due, by the heap; usually none, and told without a look at all of them."""
        scheduler = self._scheduler
        heap = scheduler._heap
        if not heap or heap[0][0] > (now := scheduler._when(heap[0][2], 0)):
            return []
        return [entry for time, _, entry in heap if time <= now]

    def fire(self, entry: ScheduleEntry) -> datetime | None:
        """The nominal time (UTC) of the fire of ``entry`` that is due now, if its own clock says that one is."""
        try:
            due, _ = entry.is_due()
        except Exception:  # beat will ask, too, and says so
            return None
        return self.nominal(entry, datetime.now(UTC)) if due else None

    def nominal(self, entry: ScheduleEntry, now: datetime) -> datetime | None:
        """The nominal time of an entry that is due at ``now``; None if its schedule names the last one for ever."""
        last = last_run(entry)
        if last is None:
            return now
        following = next_due(entry.schedule, last)
        if following is not None and following <= last:
            return None
        return latest_due(entry.schedule, last, now) or now

    def first(self, entry: ScheduleEntry, now: datetime) -> datetime:
        """What is to count as the last fire of an entry that was never claimed: nothing in the past is sent."""
        last = self.fire(entry) or last_run(entry) or now
        step = getattr(entry.schedule, "run_every", None)
        if step is None or step < SECOND or entry.total_run_count or last + step <= now:
            return last
        # Entries that were made together stay together, and are claimed together.
        whole = last.replace(microsecond=0)
        return whole if whole + step > now else whole + step

    def restore(self, entry: ScheduleEntry, last: datetime, count: int | None) -> None:
        """Have ``entry`` go on from its last fire, its ``count``-th."""
        entry.last_run_at = like(entry, last)
        if count is not None:
            entry.total_run_count = count


class DatabaseInner(Inner):
    """django-celery-beat's: the state is in the entries' models, too, which it writes now and then."""

    def names(self) -> Iterable[str]:
        from django.db import close_old_connections

        close_old_connections()  # a follower's has been idle for long
        return list(self._scheduler.Model.objects.enabled().values_list("name", flat=True))  # also those of other hours

    def forget(self) -> None:
        super().forget()
        self._scheduler._dirty.clear()
        self._scheduler._initial_read = True

    def nominal(self, entry: ScheduleEntry, now: datetime) -> datetime | None:
        fire, start = super().nominal(entry, now), entry.model.start_time
        return max(fire, utc(start)) if fire and start and utc(start) <= now else fire

    def first(self, entry: ScheduleEntry, now: datetime) -> datetime:
        clocked, last = entry.model.clocked, last_run(entry)
        if clocked and last:  # "at once" is what some are made for
            return min(last, utc(clocked.clocked_time) - INSTANT)
        return super().first(entry, now)

    def restore(self, entry: ScheduleEntry, last: datetime, count: int | None) -> None:
        model = entry.model
        if model.one_off and not model.total_run_count and model.date_changed and utc(model.date_changed) > last:
            count = None  # somebody has enabled it once more
        super().restore(entry, last, count)
        model.last_run_at, model.total_run_count = entry.last_run_at, entry.total_run_count


class RedBeatInner(Inner):
    """RedBeat's: the state is in Redis, and no heap is used; its own lock is off, since the lease decides."""

    def __init__(self, scheduler: Any) -> None:
        super().__init__(scheduler)
        scheduler.lock_key = None

    def names(self) -> Iterable[str]:
        from redbeat.schedulers import get_redis

        app = self._scheduler.app
        keys = get_redis(app).zrange(app.redbeat_conf.schedule_key, 0, -1)
        return [key.removeprefix(app.redbeat_conf.key_prefix) for key in keys]

    def disconnect(self) -> None:
        super().disconnect()
        self._scheduler.__dict__.pop("_maybe_due_kwargs", None)

    def candidates(self, hand_over: HandOver, now: datetime) -> list[ScheduleEntry]:
        entries = list(self._scheduler.schedule.values())
        hand_over(entries, now)
        return entries

    def first(self, entry: ScheduleEntry, now: datetime) -> datetime:
        return last_run(entry) or now  # Redis was told of each fire before its message was sent

    def restore(self, entry: ScheduleEntry, last: datetime, count: int | None) -> None:
        known = last_run(entry)
        if known and abs(known - last) < EQUAL and count in (None, entry.total_run_count):
            return
        super().restore(entry, last, count)
        entry._next_instance(last_run_at=entry.last_run_at, only_update_last_run_at=True)


def inner_of(scheduler: Scheduler) -> Inner:
    """What there is to know of ``scheduler``."""
    kinds = {f"{kind.__module__}:{kind.__name__}" for kind in type(scheduler).__mro__}
    if "django_celery_beat.schedulers:DatabaseScheduler" in kinds:
        return DatabaseInner(scheduler)
    if "redbeat.schedulers:RedBeatScheduler" in kinds:
        return RedBeatInner(scheduler)
    return Inner(scheduler)


def last_run(entry: ScheduleEntry) -> datetime | None:
    """When ``entry`` ran last, in UTC."""
    return utc(entry.last_run_at) if entry.last_run_at else None


def utc(time: datetime) -> datetime:
    """``time`` in UTC; where it says no zone, Celery means UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def like(entry: ScheduleEntry, time: datetime) -> datetime:
    """``time`` in the form of the entry's own clock."""
    zone = entry.default_now().tzinfo
    return time.astimezone(zone) if zone else time.replace(tzinfo=None)
