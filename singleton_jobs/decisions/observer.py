"""What a candidate has seen of the stored record, and from when on that may be taken."""

import math
from datetime import UTC, datetime

from ..config import Config
from ..locks.record import Stored

__all__ = ["Observer"]


CLOCK_STEP = 3.0  # seconds back that no slow answer explains: the store's clock was set


class Observer:
    """The last sight of a lease, and since when it has looked like that.

    Observations outlive one attempt to lock: the next goes on from them.
    """

    def __init__(self, identity: str, config: Config) -> None:
        self.stored: Stored | None = None
        self.received_at = -math.inf  # when ``stored`` was last received (boot time, seconds)
        self.freed_by_another = False  # a release was seen, so others saw it too
        self.last_ledger: str | None = None  # of a lease that vanished
        self.skew = 0.0  # seconds that the host's clock was ahead of the store's when they were last compared
        self._offset: float | None = None  # of the store's clock to ours, as far as answers tell
        self._doubted: float | None = None  # what the last answer said of it, if that is not believed yet
        self._tuned = False  # since the clocks were last compared
        self.identity = identity
        self._config = config
        self._unchanged_since = -math.inf  # when the present record was first received
        self._ghost_until = -math.inf  # a live record vanished, and its holder may not know yet

    @property
    def ledger(self) -> str | None:
        """The ledger that was last seen, also of a lease that has vanished since."""
        return self.stored.ledger if self.stored else self.last_ledger

    def is_outdated(self, stored: Stored | None) -> bool:
        """Whether ``stored`` is older than what was seen already: the answer of a lagging cache."""
        known = self.stored
        return stored is not None and known is not None and stored.uid == known.uid and stored.version < known.version

    def see(self, stored: Stored | None, at: float, *, held: bool) -> None:
        """Note a sight received ``at``; ``held``: the lease is held here at that moment."""
        known = self.stored
        if stored and stored.served_at:
            self._tune(stored.served_at.timestamp() - at)
        if stored is None:
            if known:
                self.last_ledger = known.ledger
                was_alive = held or self.received_at < self._unchanged_since + self.duration(known)
                if known.record.holder_identity and was_alive:
                    self._ghost_until = at + self.duration(known)
            self.freed_by_another = False
        else:
            if known is None or _content(known) != _content(stored):
                self._unchanged_since = at
            others = known is not None and known.record.holder_identity not in ("", self.identity)
            self.freed_by_another = others and not stored.record.holder_identity
            self._ghost_until = -math.inf
        self.stored = stored
        self.received_at = at

    def lost_race(self, now: float) -> None:
        """Somebody has just written a record that was not seen: should it vanish, it is waited out all the same."""
        self._ghost_until = now + self._config.lease_duration

    def free_at(self, wall: float, *, ours: bool) -> float:
        """When what was seen last may be taken, if nothing changes; ``ours``: this process wrote it."""
        stored = self.stored
        if stored is None:
            return self._ghost_until
        if not stored.record.holder_identity or ours or stored.abandoned or self._is_stale(stored):
            return -math.inf
        if not self._config.use_observed_time and stored.record.renew_time:
            return self.received_at + stored.record.renew_time.timestamp() + self.duration(stored) - wall
        return self._unchanged_since + self.duration(stored)

    def store_time(self, now: float, wall: float) -> datetime:
        """The store's own time at ``now``; the wall clock's if the store does not tell."""
        return datetime.fromtimestamp(wall if self._offset is None else now + self._offset, UTC)

    def compare_clocks(self, now: float, wall: float) -> None:
        """Find the host's `skew`, but only after an answer: while a machine sleeps, some count on one clock only."""
        if self._tuned and self._offset is not None:
            self._tuned = False
            self.skew = wall - (now + self._offset)

    def _tune(self, offset: float) -> None:
        """An answer's date is late by its way here and cut to whole seconds: of many, the earliest is nearest."""
        doubted, self._doubted = self._doubted, None
        if self._offset is None or offset > self._offset:
            self._offset = offset
        elif self._offset - offset > CLOCK_STEP:
            if doubted is None:  # one answer may be that late; two in a row say that the store's clock was set back
                self._doubted = offset
            else:
                self._offset = max(offset, doubted)
        self._tuned = self._doubted is None

    def duration(self, stored: Stored) -> float:
        """The record's own duration; a foreign record without one gets ours rather than none."""
        return stored.record.lease_duration_seconds or self._config.lease_duration

    def _is_stale(self, stored: Stored) -> bool:
        """Whether the store's own clock says that nobody has touched the record for long."""
        stale_after = self._config.stale_after
        if stale_after is None or stored.served_at is None or stored.written_at is None:
            return False
        return (stored.served_at - stored.written_at).total_seconds() > self.duration(stored) + stale_after


def _content(stored: Stored) -> tuple[object, ...]:
    """What a renewal changes. Not the version: anyone's annotation edit bumps that and proves no life."""
    r = stored.record
    return (stored.uid, r.holder_identity, r.lease_duration_seconds, r.acquire_time, r.renew_time, r.lease_transitions)
