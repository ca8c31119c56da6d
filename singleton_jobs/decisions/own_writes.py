"""What a candidate writes, and which of its writes may be stored."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ..config import Config
from ..locks.record import LockRecord, Stored
from .actions import Write
from .hold import Hold

__all__ = ["OwnWrites"]

MICROSECOND, SECOND = timedelta(microseconds=1), timedelta(seconds=1)
REMEMBERED = 64  # writes without an answer; an older one that lands after all is taken for a stranger's


class _Sent(NamedTuple):
    """A write of ours that may have landed, or may yet."""

    uid: str | None
    over: int | None  # the version that it is to replace; None: it is to create the lease
    holder: str
    acquire_time: datetime | None
    renew_time: datetime | None

    def is_in(self, stored: Stored) -> bool:
        record = stored.record
        return (
            self.uid in (None, stored.uid)
            and self.holder == record.holder_identity
            and self.acquire_time == record.acquire_time
            and self.renew_time == record.renew_time
        )

    def may_land_on(self, stored: Stored) -> bool:
        return self.uid == stored.uid and self.over is not None and self.over >= stored.version


def _sent(uid: str | None, over: int | None, record: LockRecord) -> _Sent:
    return _Sent(uid, over, record.holder_identity, record.acquire_time, record.renew_time)


class OwnWrites:
    """Makes records unlike any before, so that each is proof of life and can be told from all others."""

    def __init__(self, identity: str, config: Config) -> None:
        self.identity = identity
        self._duration = math.ceil(config.lease_duration)
        self._last: tuple[datetime, float] | None = None  # the last renew time written, and the boot time of that
        self._sent: list[_Sent] = []  # oldest first

    @property
    def may_be_stored(self) -> bool:
        """Whether the stored record may be one of ours."""
        return bool(self._sent)

    def acquisition(self, over: Stored | None, ledger: str | None, now: float, wall: float) -> Write:
        """Take the lease; every acquisition is a transition."""
        time = self._new_time(over, now, wall)
        transitions = (over.record.lease_transitions if over else 0) + 1
        return self._write(LockRecord(self.identity, self._duration, time, time, transitions), over, ledger)

    def renewal(self, hold: Hold, over: Stored | None, ledger: str | None, now: float, wall: float) -> Write:
        """Keep the lease, and advance its ledger unless None."""
        time = self._new_time(over, now, wall)
        record = LockRecord(self.identity, self._duration, hold.acquire_time, time, hold.transitions)
        return self._write(record, over, ledger)

    def release(self, over: Stored, ledger: str | None, now: float, wall: float) -> Write:
        """Hand the lease back, and bring its ledger up to date unless None."""
        time = self._new_time(over, now, wall)
        record = replace(over.record, holder_identity="", lease_duration_seconds=1, renew_time=time)
        return self._write(record, over, ledger)

    def is_ours(self, stored: Stored) -> bool:
        """Whether ``stored`` is exactly one of our writes."""
        return any(sent.is_in(stored) for sent in self._sent)

    def acknowledged(self, stored: Stored) -> None:
        """``stored`` is our last write: none before it can land any more."""
        self._sent = [_sent(stored.uid, stored.version, stored.record)]

    def forget_superseded(self, stored: Stored) -> None:
        """Forget the writes that can land no more, now that ``stored`` is there."""
        self._sent = [sent for sent in self._sent if sent.is_in(stored) or sent.may_land_on(stored)]

    def forget(self) -> None:
        """Regard whatever is stored as a stranger's."""
        self._sent.clear()

    def _write(self, record: LockRecord, over: Stored | None, ledger: str | None = None) -> Write:
        uid, version = (over.uid, over.version) if over else (None, None)
        self._sent = [*self._sent[1 - REMEMBERED :], _sent(uid, version, record)]
        return Write(record, over, ledger)

    def _new_time(self, over: Stored | None, now: float, wall: float) -> datetime:
        """The wall clock's time, pushed on if that stands still or was set back: we must not look dead."""
        time = datetime.fromtimestamp(wall, UTC)
        last = self._last[0] if self._last else None
        if self._last:
            time = max(time, self._last[0] + max(timedelta(seconds=now - self._last[1]), MICROSECOND))
        replaced = over.record.renew_time if over else None
        if replaced and replaced != last and abs(time - replaced) < SECOND:  # others may compare whole seconds
            time = replaced + SECOND
        self._last = (time, now)
        return time
