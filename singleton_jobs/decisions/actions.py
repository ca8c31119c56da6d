"""What a candidate decides, and the hold it decides about: data only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ..locks.record import LockRecord, Stored

__all__ = ["Action", "Ended", "Hold", "Read", "Wait", "Write"]

# How a hold ends: given back, not renewed in time, found to be another's, found free or gone, or left to run out.
Ended = Literal["released", "expired", "taken", "freed", "deleted", "abandoned"]


@dataclass(frozen=True, slots=True)
class Read:
    """Get the lease."""


@dataclass(frozen=True, slots=True)
class Write:
    """Store ``record``: create if ``replaces`` is None, else swap exactly that version."""

    record: LockRecord
    replaces: Stored | None
    ledger: str | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to send before ``until``, or before somebody calls for something."""

    until: float


Action = Read | Write | Wait


@dataclass(slots=True, eq=False)
class Hold:
    """One unbroken hold; valid while ``now < until``. Ended holds have ``until == -inf`` for ever."""

    until: float
    token: int
    uid: str
    acquire_time: datetime | None
    transitions: int
    identity: str = ""
    taken_from: str = ""
    written_before: datetime | None = None  # the last write of whoever held the lease before
    ended_at: float | None = None
    ended: Ended | None = None
    reason: str = ""  # why it ended, for people

    def is_in(self, stored: Stored) -> bool:
        """Whether ``stored`` still records this hold."""
        record = stored.record
        return (
            stored.uid == self.uid
            and record.holder_identity == self.identity
            and record.acquire_time == self.acquire_time
            and record.lease_transitions == self.transitions
        )
