"""Leases of keys: what all those of one base share, and a lock's part in the one of a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..keys import key_text
from .bases import BasedLeases, BasedPart
from .locker_part import LockerPart

if TYPE_CHECKING:
    from threading import Lock

    from ..config import Config
    from ..renewal.candidacy import Candidacy
    from ..skipped import Reason
    from ..term import Term
    from .core import Core
    from .locker_part import Bidding

MOST_BUSY = 256

__all__ = ["NO_KEY", "KeyedLeases", "KeyedPart", "keyed_part"]


class _NoKey:
    """Not None: who has no key by mistake must not get the lock of a lease without keys."""

    def __repr__(self) -> str:
        return "<none>"


NO_KEY = _NoKey()


class KeyedLeases(BasedLeases):
    """The leases of all keys of a base. Nothing here grows with their number, but with that of keys that were found
    busy, up to 256.
    """

    role = LockerPart.role

    def __init__(self, core: Core, name: str, config: Config | None) -> None:
        super().__init__(core, name, config)
        self._busy: dict[str, KeyedPart] = {}  # found busy last, by key

    def note(self, part: KeyedPart, key: str, *, busy: bool) -> None:
        """What was seen of a key that somebody else holds outlives the call: the next goes on from it."""
        self._busy.pop(key, None)
        if busy:
            self._busy[key] = part
        while len(self._busy) > MOST_BUSY:
            self._busy.pop(next(iter(self._busy), key), None)


class KeyedPart(BasedPart, LockerPart):
    """For one ``key``: it lasts no longer than somebody uses it, or it was found busy last."""

    attempt = 3  # a creation without a look; if there is something, a read and a write
    _leases: KeyedLeases

    async def acquire(
        self,
        entry: Lock,
        wait: float | None,
        task: str | None = None,
        bidding: Bidding | None = None,
        *,
        block: bool,
    ) -> Term | Reason:
        taken = await super().acquire(entry, wait, task, bidding, block=block)
        self._leases.note(self, self._key, busy=taken == "busy")
        return taken

    def _declare(self) -> None:
        """The leases of all keys are declared."""

    def _make(self) -> Candidacy:
        wiring, timing, identity = self.core.wiring(), self.timing, self.core.locker_identity(None)
        self._sweep = wiring.sweep(self.base, timing)
        return wiring.of_base(self._leases, self._key, identity, timing, self.callbacks, self.jobs, lasting=False)

    def _opened_now(self) -> Candidacy:
        candidacy = super()._opened_now()
        self._sweep.used()
        return candidacy


def keyed_part(core: Core, name: str, key: object, config: Config | None) -> KeyedPart:
    """A part for one lock. Raises ConfigError for what can be no key."""
    text = key_text(name, key)
    return KeyedPart(KeyedLeases(core, name, config), text)
