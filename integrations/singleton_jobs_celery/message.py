"""What a fire's message carries besides what its entry says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from celery.beat import ScheduleEntry

from singleton_jobs import Fire

__all__ = ["FIRE_HEADER", "TOKEN_HEADER", "Message", "expiry"]

FIRE_HEADER = "singleton-jobs-fire"
TOKEN_HEADER = "singleton-jobs-token"  # noqa: S105 (a fencing token)


class Message:
    """An entry as it is sent for one fire; its own options stay as they are."""

    def __init__(self, entry: ScheduleEntry, fire: Fire, expires: datetime | None) -> None:
        self._entry = entry
        time = fire.time.isoformat()
        self.options: dict[str, Any] = dict(entry.options)
        headers = {FIRE_HEADER: time, TOKEN_HEADER: fire.term.fencing_token}
        self.options["headers"] = {**(self.options.get("headers") or {}), **headers}
        # The same whoever sends it: the state that it comes from is shared.
        self.options.setdefault("task_id", str(uuid5(NAMESPACE_OID, f"{fire.term.uid}/{fire.job}/{time}")))
        if expires:
            self.options.setdefault("expires", expires)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)


def expiry(claimed_at: datetime, following: datetime | None, lease_duration: float) -> datetime:
    """When a message is of no use any more: a leader that was paused may send it late.

    It is good until the entry's next fire, and at least for as long as a lease.
    """
    least = claimed_at + timedelta(seconds=lease_duration)
    return max(following, least).astimezone(UTC) if following else least.astimezone(UTC)
