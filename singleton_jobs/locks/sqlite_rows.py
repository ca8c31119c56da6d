"""A lease as a row of a SQLite table."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ..concurrency.clock import SYSTEM_CLOCK
from ..errors import StoreError
from .processes import is_gone
from .record import Stored, read_lease

__all__ = ["COLUMNS", "SCHEMA", "read_row"]

COLUMNS = "uid, version, body, written_at, process"
SCHEMA = """
CREATE TABLE IF NOT EXISTS lease (
    name TEXT PRIMARY KEY, uid TEXT NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL,
    written_at REAL NOT NULL, process TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS version (one INTEGER PRIMARY KEY CHECK (one = 1), newest INTEGER NOT NULL);
INSERT OR IGNORE INTO version VALUES (1, 0);
"""


def read_row(what: str, row: Sequence[Any]) -> Stored | StoreError:
    """The lease in a row of `COLUMNS`, or an error about ``what``."""
    uid, version, body, written_at, process = row
    try:
        raw = json.loads(body)
        record, ledger = read_lease(raw)
    except (ValueError, StoreError) as error:
        return StoreError(f"{what} cannot be read: {error}")
    return Stored(
        record,
        ledger,
        uid,
        version,
        served_at=datetime.fromtimestamp(SYSTEM_CLOCK.wall(), UTC),
        written_at=datetime.fromtimestamp(written_at, UTC),
        abandoned=bool(record.holder_identity) and is_gone(process),
        raw=raw,
    )
