"""What a candidate has seen of the stored record, and from when on that may be taken."""

import math

from ..config import Config
from ..locks.record import Stored
from .pace import Pace

__all__ = ["Observer", "content", "duration_of", "is_dead"]


class Observer:
    """The last sight of a lease, since when it has looked like that, and what the candidate makes of it.

    Observations outlive one attempt to lock: the next goes on from them. ``ephemeral``: whoever gives the lease back
    deletes it, so that one that vanished is free.
    """

    def __init__(self, identity: str, config: Config, pace: Pace, *, ephemeral: bool = False) -> None:
        self.stored: Stored | None = None
        self.take_at: float | None = None  # the lease was seen free, and may be taken from then on
        self.unjudged = False  # nobody has decided yet whether what was seen last may be taken
        self.presumed = False  # it was not seen free, only nothing is known against it
        self.last_ledger: str | None = None  # of a lease that vanished
        self.identity = identity
        self._config = config
        self._pace = pace
        self._ephemeral = ephemeral
        self.received_at = -math.inf  # when ``stored`` was last received (boot time, seconds)
        self._freed_by_another = False  # a release was seen, so others saw it too
        self._unchanged_since = -math.inf  # when the present record was first received
        self._ghost_until = -math.inf  # a live record vanished, and its holder may not know yet

    @property
    def is_seen(self) -> bool:
        """Whether it was ever seen, or seen not to exist."""
        return self.received_at > -math.inf

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
        others = known is not None and known.record.holder_identity not in ("", self.identity)
        if stored is None:
            if known:
                self.last_ledger = None if self._ephemeral else known.ledger  # what counts is not deleted
                was_alive = held or self.received_at < self._unchanged_since + self.duration(known)
                if known.record.holder_identity and was_alive and not self._ephemeral:
                    self._ghost_until = at + self.duration(known)
            self._freed_by_another = others and self._ephemeral
        else:
            if known is None or content(known) != content(stored):
                self._unchanged_since = at
            self._freed_by_another = others and not stored.record.holder_identity
            self._ghost_until = -math.inf
        self.stored = stored
        self.received_at = at
        self.unjudged = True

    def lost_race(self, now: float) -> None:
        """Somebody has just written a record that was not seen: should it vanish, it is waited out all the same."""
        if not self._ephemeral:
            self._ghost_until = now + self._config.lease_duration

    def presume_free(self, now: float) -> None:
        """Have it taken at once, if nothing is known that speaks against it: the store refuses to create it twice."""
        if self._ephemeral and self.stored is None:
            self.take_at, self.presumed = now, True

    def judge(self, wall: float, *, ours: bool, shunned: bool) -> float | None:
        """May what was seen be taken? `take_at` says from when on, or else this answers when to look again.

        ``ours``: this process wrote it. ``shunned``: it is left to others.
        """
        self.unjudged = False
        at = self.received_at
        free_at = math.inf if shunned else self.free_at(wall, ours=ours)
        if free_at <= at:  # followers that saw the same release at the same time take it one after the other
            self.take_at = at + (self._pace.spread() if self._freed_by_another else 0.0)
            return None
        if self.take_at is not None:  # another was faster, and has spared us the attempt
            self._pace.raced(refused=False)
        self.take_at = None
        return min(at + self._pace.poll(), free_at)

    def dismiss(self) -> None:
        """Take nothing by what was seen before."""
        self.take_at = None
        self.unjudged = self.presumed = False

    def free_at(self, wall: float, *, ours: bool) -> float:
        """When what was seen last may be taken, if nothing changes; ``ours``: this process wrote it."""
        stored = self.stored
        if stored is None:
            return self._ghost_until
        if not stored.record.holder_identity or ours or is_dead(stored, self._config):
            return -math.inf
        if not self._config.use_observed_time and stored.record.renew_time:
            return self.received_at + stored.record.renew_time.timestamp() + self.duration(stored) - wall
        return self._unchanged_since + self.duration(stored)

    def duration(self, stored: Stored) -> float:
        """The record's own duration, or ours."""
        return duration_of(stored, self._config)


def duration_of(stored: Stored, config: Config) -> float:
    """The record's own duration; a foreign record without one gets ours rather than none."""
    return stored.record.lease_duration_seconds or config.lease_duration


def is_dead(stored: Stored, config: Config) -> bool:
    """Whether the store itself knows that the holder is gone, or its clock says that nobody has touched it for long."""
    return stored.abandoned or _is_stale(stored, config.stale_after, duration_of(stored, config))


def _is_stale(stored: Stored, stale_after: float | None, duration: float) -> bool:
    if stale_after is None or stored.served_at is None or stored.written_at is None:
        return False
    return (stored.served_at - stored.written_at).total_seconds() > duration + stale_after


def content(stored: Stored) -> tuple[object, ...]:
    """What a renewal changes. Not the version: anyone's annotation edit bumps that and proves no life."""
    return stored.uid, stored.record.hold, stored.record.renew_time
