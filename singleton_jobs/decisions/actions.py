"""What a candidate decides: data only."""

from dataclasses import dataclass
from typing import NamedTuple

from ..locks.record import LockRecord, Stored

__all__ = ["Action", "Delete", "Read", "Wait", "Write"]


@dataclass(frozen=True, slots=True)
class Read:
    """Get the lease."""


class Write(NamedTuple):
    """Store ``record``: create if ``replaces`` is None, else swap exactly that version."""

    record: LockRecord
    replaces: Stored | None
    ledger: str | None = None


class Delete(NamedTuple):
    """Delete exactly the version ``replaces``."""

    replaces: Stored


class Wait(NamedTuple):
    """Nothing to send before ``until``, or before somebody calls for something."""

    until: float


Action = Read | Write | Delete | Wait
