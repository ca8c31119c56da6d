"""How a replica is, for liveness probes and status pages."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["Health", "LeaseHealth", "State"]


State = Literal["leading", "following", "draining", "starting", "access-denied", "store-unreachable"]


class LeaseHealth(NamedTuple):
    """One started candidacy: who holds, and how many seconds ago the store last answered or told (None: never).

    ``learns_by``: how it learns of changes, in a few words for people.
    """

    lease: str
    is_leader: bool
    holder: str | None
    last_contact: float | None
    error: str | None
    state: State
    learns_by: str = "polling"


class Health(NamedTuple):
    """``ok`` is False only if the renewal thread of a replica with started leases is stuck: restart the process then.

    A store that does not answer is no reason to restart: ``leases`` tells of it. Whether this replica leads is
    neither: readiness must not depend on it, or only one replica would ever be ready.
    """

    ok: bool
    identity: str
    store: str
    leases: tuple[LeaseHealth, ...]

    @property
    def last_success(self) -> float | None:
        """Seconds since the store last answered about any lease; None if it never did."""
        return min((lease.last_contact for lease in self.leases if lease.last_contact is not None), default=None)

    @property
    def states(self) -> dict[State, list[str]]:
        """The names of the leases by their state."""
        found: dict[State, list[str]] = {}
        for lease in self.leases:
            found.setdefault(lease.state, []).append(lease.lease)
        return found

    def __bool__(self) -> bool:
        return self.ok
