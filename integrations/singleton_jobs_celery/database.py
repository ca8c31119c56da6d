"""What a guard must know of django-celery-beat's scheduler, and how its rows tell times.

With ``USE_TZ = False`` no time that Django gives has a zone. What people and Django itself have stored
(``date_changed``, ``start_time``, ``clocked_time``, ``expires``) is in ``TIME_ZONE``; ``last_run_at``, which its
scheduler stores, is in UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.beat import ScheduleEntry

from singleton_jobs.decisions.ledger import INSTANT, Mark

from .inner_scheduler import InnerScheduler, last_run, utc

__all__ = ["InnerDatabaseScheduler"]

LONG_AGO = timedelta(days=365 * 30)  # before its last change: where the scheduler has a row with a start_time begin


class InnerDatabaseScheduler(InnerScheduler):
    """django-celery-beat's: the state is in the entries' models, too, which it writes now and then."""

    def __init__(self, scheduler: Any) -> None:
        super().__init__(scheduler)
        self._enabled: set[str] | None = None  # names, at the last look under this term
        self._enabled_at: dict[str, datetime] = {}  # when entries were first seen enabled that had not been

    def names(self) -> Iterable[str]:
        from django.db import close_old_connections

        close_old_connections()  # the connection of a follower has been idle for long
        # The scheduler's own list leaves out crontabs of other hours.
        return list(self._scheduler.Model.objects.enabled().values_list("name", flat=True))

    def entry(self, name: str) -> ScheduleEntry:
        model = self._scheduler.Model.objects.get(name=name)
        return self._scheduler.Entry(model, app=self._scheduler.app)

    def forget(self) -> None:
        super().forget()
        self._scheduler._dirty.clear()
        self._scheduler._initial_read = True
        self._enabled = None

    def look(self, now: datetime) -> None:
        names = set(self.names())
        if self._enabled is not None:
            self._enabled_at.update(dict.fromkeys(names - self._enabled, now))
        self._enabled = names

    def nominal(self, entry: ScheduleEntry, now: datetime) -> datetime | None:
        fire, start = super().nominal(entry, now), _aware(entry.model.start_time)
        if fire is None or start is None:
            return fire
        return max(fire, start) if start <= now else None

    def begun(self, entry: ScheduleEntry, mark: Mark) -> datetime | None:
        model = entry.model
        if model.clocked:
            return None  # the time of a clocked entry is in its schedule alone
        seen = self._enabled_at.get(entry.name)
        if not _has_never_run(model):
            return max(filter(None, (last_run(entry), seen)), default=None)
        changed, start = _aware(model.date_changed), _aware(model.start_time)
        if start and changed and start > changed:
            return None
        if self.is_configured(entry):
            return seen  # beat changes the rows of configured entries at each start
        return max(filter(None, (changed, seen)), default=None)

    def first(self, entry: ScheduleEntry, now: datetime) -> datetime:
        model = entry.model
        if _has_never_run(model):
            changed = _aware(model.date_changed)
            entry.last_run_at = self._stored(entry, changed - LONG_AGO if model.start_time else changed)
        _declare(entry)
        if model.clocked:  # a clocked entry may be made for a time that has come: "at once"
            clocked: datetime = _aware(model.clocked.clocked_time)
            return min(last_run(entry) or now, clocked - INSTANT)
        return super().first(entry, now)

    def restore(self, entry: ScheduleEntry, last: datetime, count: int | None) -> None:
        model = entry.model
        if model.one_off and not model.total_run_count and model.date_changed and _aware(model.date_changed) > last:
            count = None  # somebody has enabled it once more
        _declare(entry)
        super().restore(entry, last, count)
        model.last_run_at, model.total_run_count = entry.last_run_at, entry.total_run_count

    def _stored(self, entry: ScheduleEntry, time: datetime) -> datetime:
        from django.conf import settings

        return time.astimezone(entry.app.timezone) if settings.USE_TZ else time.astimezone(UTC).replace(tzinfo=None)


def _has_never_run(model: Any) -> bool:
    """Whether its row says so, also since it was made anew or disabled: then its entry counts from its last change."""
    changed, last = model.date_changed, model.last_run_at
    return bool(changed) and last in (changed, changed - LONG_AGO)


def _declare(entry: ScheduleEntry) -> None:
    """Say the zone of what Celery would take for UTC; and its scheduler, of what it compares with UTC."""
    from django.conf import settings
    from django.utils import timezone

    model = entry.model
    if settings.USE_TZ:
        return
    if model.clocked:
        entry.schedule.clocked_time = _aware(model.clocked.clocked_time)
    if model.expires:
        entry.options["expires"] = _aware(model.expires)
    entry._default_now = timezone.now  # in TIME_ZONE, as are the start_time and expires that it is compared with
    model.due_start_time = lambda _: model.start_time  # the model's own answer has a zone, which cannot be compared


def _aware(time: datetime | None) -> Any:
    """A time as Django stores it, in UTC."""
    from django.utils import timezone

    return utc(timezone.make_aware(time) if timezone.is_naive(time) else time) if time else None
