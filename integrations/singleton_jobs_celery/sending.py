"""The messages of one granted fire: one as a rule, several from a scheduler that sends each of its tenants one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.beat import ScheduleEntry
from celery.signals import after_task_publish, before_task_publish

from singleton_jobs import Fire, Term

from .fires import Planned
from .inner_scheduler import utc
from .message import EXPIRES_HEADER, bound, expiry, headers_of, task_id
from .schedule import next_due

__all__ = ["Abandoned", "Message", "Sending", "underway"]

_here = threading.local()  # by thread, as whatever else the process sends is no message of the fire


class Abandoned(BaseException):
    """Ends a tick; no Exception, since beat would log that as a message that could not be sent, and go on."""


class Sending:
    """A fire from its claim on, while messages are sent for it under ``term`` by this thread, until it is ended.

    ``failed``: one could not be sent, and none for this fire is to be tried again. ``on_progress`` is called whenever
    one was.
    """

    def __init__(
        self,
        entry: ScheduleEntry,
        planned: Planned,
        term: Term,
        lease_duration: float,
        on_progress: Callable[[], object],
    ) -> None:
        self.name: str = entry.name
        self.planned = planned
        self.fire = Fire(planned.job, planned.fire, term, planned.attempt.number)
        self.failed = self.cut = False
        self._begun = self._landed = 0
        self._expires = "expires" not in entry.options  # else the entry says when its messages do, if ever
        self._schedule = entry.schedule
        self._lease_duration = lease_duration
        self._on_progress = on_progress
        _here.sending = self

    def end(self) -> None:
        """Nothing more is sent for it."""
        _here.sending = None

    @property
    def untouched(self) -> bool:
        """Whether nothing was sent so far, nor tried."""
        return not (self._begun or self.failed or self.cut)

    @property
    def complete(self) -> bool:
        """Whether all is with the broker that was to be sent."""
        return self._begun == self._landed and not (self.failed or self.cut)

    @property
    def task_id(self) -> str:
        """The id of the next message."""
        return task_id(self.fire, self._begun)

    def check(self) -> None:
        """Raise Abandoned if the term is over."""
        if not self.fire.term.is_valid:
            self.cut = self._begun > 0
            raise Abandoned

    def begin(self, headers: dict[str, Any], body: Any) -> None:
        """A message is about to be sent, by whatever way: it carries the fire. Raises Abandoned if the term is over."""
        self.check()
        self._begun += 1
        headers.update(headers_of(self.fire))
        told: Mapping[str, Any] = headers if "id" in headers else body  # task_protocol 1 has these in the body
        if self._expires and told["expires"] is None:
            headers[EXPIRES_HEADER] = bound(self._expiry(told["eta"]), told["id"])

    def landed(self) -> None:
        """The message that was begun last is with the broker."""
        self._landed += 1
        self._on_progress()

    def _expiry(self, eta: str | None) -> datetime:
        following = next_due(self._schedule, self.fire.time)
        delay = utc(datetime.fromisoformat(eta)) - datetime.now(UTC) if eta else timedelta(0)
        return expiry(self.planned.claimed_at, following, self._lease_duration, delay)


class Message:
    """An entry as it is sent for a fire; its own options stay as they are."""

    def __init__(self, entry: ScheduleEntry, sending: Sending) -> None:
        self._entry = entry
        self._sending = sending

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)

    @property
    def options(self) -> dict[str, Any]:
        """The options of the fire's next message."""
        options = dict(self._entry.options)
        options["headers"] = {**(options.get("headers") or {}), **headers_of(self._sending.fire)}
        options.setdefault("task_id", self._sending.task_id)
        return options


def underway() -> Sending | None:
    """The fire that this thread sends messages for."""
    sending: Sending | None = getattr(_here, "sending", None)
    return sending


def _begin(headers: dict[str, Any], body: Any, **_: object) -> None:
    if sending := underway():
        sending.begin(headers, body)


def _landed(**_: object) -> None:
    if sending := underway():
        sending.landed()


before_task_publish.connect(_begin)
after_task_publish.connect(_landed)
