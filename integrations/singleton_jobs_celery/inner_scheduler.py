"""What a guard must know of the scheduler that it guards: where the state of entries is, and which of them are due."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from heapq import heapify
from typing import Any

from celery.beat import ScheduleEntry

from singleton_jobs.decisions.ledger import Mark

from .schedule import is_plain, latest_due, next_due, resumed

__all__ = ["EQUAL", "InnerScheduler", "last_run", "utc"]

logger = logging.getLogger("singleton_jobs")

HandOver = Callable[[Iterable[ScheduleEntry], datetime], None]

SECOND = timedelta(seconds=1)
EQUAL = timedelta(milliseconds=1)  # what a store of entries may round


class InnerScheduler:
    """Beat's own schedulers, and others that keep entries on its heap."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._stuck: set[str] = set()  # entries of which people have been told

    def names(self) -> Iterable[str]:
        """The names of all entries."""
        return list(self._scheduler.schedule)

    def entry(self, name: str) -> ScheduleEntry:
        """The entry of that name, one of `names`."""
        return self._scheduler.schedule[name]

    def start(self) -> None:
        """The lease decides from now on who dispatches, and nothing else does."""

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
        if not heap or heap[0][0] > (until := scheduler._when(heap[0][2], 0)):
            return []
        return [entry for time, _, entry in heap if time <= until]

    def fire(self, entry: ScheduleEntry) -> datetime | None:
        """The nominal time (UTC) of the fire of ``entry`` that is due now, if its own clock says that one is."""
        try:
            due, _ = entry.is_due()
        except Exception:  # noqa: BLE001 (a schedule of somebody's own; beat asks it, too, and logs what it raises)
            return None
        return self.nominal(entry, datetime.now(UTC)) if due else None

    def nominal(self, entry: ScheduleEntry, now: datetime) -> datetime | None:
        """The nominal time of an entry that is due at ``now``; None if its schedule names the last one for ever."""
        last = last_run(entry)
        if last is None:
            return now
        if self.is_stuck(entry):
            return None
        fire = latest_due(entry.schedule, last, now)
        # Celery 5.6 adds to what clocks show, so an entry may be due whose schedule names no fire yet.
        return fire if fire or is_plain(entry.schedule) else now

    def is_stuck(self, entry: ScheduleEntry) -> bool:
        """Whether the schedule of ``entry`` names its last fire or an earlier time as the next; tells people, once."""
        last = last_run(entry)
        following = last and next_due(entry.schedule, last)
        if not last or following is None or following > last:
            return False
        if entry.name not in self._stuck:
            self._stuck.add(entry.name)
            logger.warning(
                "entry %r is not sent any more: after its fire of %s its schedule %r names %s, which is no later. Give "
                "it a schedule or time that lies ahead",
                entry.name,
                last.isoformat(),
                entry.schedule,
                following.isoformat(),
            )
        return True

    def is_made_of(self, entries: list[ScheduleEntry]) -> bool:
        """Whether the heap holds these very entries, and not others of the same names."""
        known = set(map(id, entries))
        return all(id(entry) in known for _, _, entry in self._scheduler._heap)

    def drop_stuck(self) -> None:
        """Take entries that are stuck off the heap: before Celery 5.7 those behind them would wait for ever."""
        self._scheduler._heap = [event for event in self._scheduler._heap if not self.is_stuck(event[2])]
        heapify(self._scheduler._heap)

    def is_configured(self, entry: ScheduleEntry) -> bool:
        """Whether beat makes ``entry`` at each start, from its configuration."""
        return entry.name in self._scheduler.app.conf.beat_schedule

    def look(self, now: datetime) -> None:
        """Entries are about to be handed over."""

    def begun(self, entry: ScheduleEntry, mark: Mark) -> datetime | None:
        """From when the state of ``entry`` has it go on: a later time than its ``mark`` is that of a fire that was sent
        without a claim, or of its coming back. None if it does not say.
        """
        # An entry that has run no more often than its mark tells of a refused fire.
        return last_run(entry) if entry.total_run_count > (mark.runs or 0) else None

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
        entry.last_run_at = self._stored(entry, resumed(entry.schedule, last))
        if count is not None:
            entry.total_run_count = count

    def _stored(self, entry: ScheduleEntry, time: datetime) -> datetime:
        """``time`` in the form in which the scheduler stores an entry's last run."""
        zone = entry.default_now().tzinfo
        if zone and is_plain(entry.schedule):
            zone = UTC  # in UTC, clocks show what has passed
        return time.astimezone(zone) if zone else time.replace(tzinfo=None)


def last_run(entry: ScheduleEntry) -> datetime | None:
    """When ``entry`` ran last, in UTC."""
    return utc(entry.last_run_at) if entry.last_run_at else None


def utc(time: datetime) -> datetime:
    """``time`` in UTC; where it says no zone, Celery means UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
