"""A record to store, and what it takes to replace it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from singleton_jobs.locks.record import LockRecord

NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
WHOLE = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
RECORD = LockRecord("me_1", 15, NOON, NOON, 1)


def record(**changes: Any) -> LockRecord:
    return replace(RECORD, **changes)
