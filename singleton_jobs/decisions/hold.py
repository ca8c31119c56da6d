"""One unbroken hold of a lease: what it goes by, and what a record says of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ..locks.record import Stored

__all__ = ["Ended", "Hold"]

# How a hold ends: given back, not renewed in time, found to be another's, found free or gone, or left to run out.
Ended = Literal["released", "expired", "taken", "freed", "deleted", "abandoned"]


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

    @classmethod
    def begun(cls, stored: Stored, before: Stored | None, until: float) -> "Hold":
        """The hold that begins with ``stored``, our acquisition, which has replaced ``before``."""
        return cls(
            until=until,
            token=stored.version,
            uid=stored.uid,
            acquire_time=stored.record.acquire_time,
            transitions=stored.record.lease_transitions,
            identity=stored.record.holder_identity,
            taken_from=before.record.holder_identity if before else "",
            written_before=(before.written_at or before.record.renew_time) if before else None,
        )

    def is_in(self, stored: Stored) -> bool:
        """Whether ``stored`` still records this hold."""
        record = stored.record
        return (
            stored.uid == self.uid
            and record.holder_identity == self.identity
            and record.acquire_time == self.acquire_time
            and record.lease_transitions == self.transitions
        )

    def loss(self, stored: Stored | None) -> tuple[Ended, str] | None:
        """How and why this hold has ended if ``stored`` is what is there now; None if it goes on."""
        if stored is None:
            return "deleted", "the lease was deleted"
        if self.is_in(stored):
            return None
        if holder := stored.record.holder_identity:
            return "taken", f"the record now names {holder!r:.80}"
        return "freed", "the record was freed"
