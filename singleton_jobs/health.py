"""How a replica is, for liveness probes and status pages."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Health", "LeaseHealth"]


class LeaseHealth(NamedTuple):
    """One started candidacy: who holds, and how many seconds ago the store last answered (None: never)."""

    lease: str
    is_leader: bool
    holder: str | None
    last_contact: float | None
    error: str | None


class Health(NamedTuple):
    """``ok`` is False only if the renewal thread of a replica with started leases is stuck: restart the process then.

    A store that does not answer is no reason to restart: ``leases`` tells of it.
    """

    ok: bool
    identity: str
    store: str
    leases: tuple[LeaseHealth, ...]

    def __bool__(self) -> bool:
        return self.ok
