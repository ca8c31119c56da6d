"""Leases of keys: what all those of one base share, and a lock's part in the one of a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..decisions.store_clock import StoreClock
from ..keys import key_text, keyed_name
from .lease_uses import ALL_KEYS
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


class KeyedLeases:
    """The leases of all keys of the base ``name``, as one replica uses them. Nothing here grows with their number,
    but with that of keys that were found busy, up to 256.

    Raises ConfigError for a name or timing that cannot work.
    """

    role = LockerPart.role

    def __init__(self, core: Core, name: str, config: Config | None) -> None:
        self.core = core
        self.name = name
        self.config = config
        core.declare(self, config)
        self.store_clock = StoreClock()  # an answer about one key tells the time for all
        self._busy: dict[str, KeyedPart] = {}  # found busy last, by key

    def note(self, part: KeyedPart, key: str, *, busy: bool) -> None:
        """What was seen of a key that somebody else holds outlives the call: the next goes on from it."""
        self._busy.pop(key, None)
        if busy:
            self._busy[key] = part
        while len(self._busy) > MOST_BUSY:
            self._busy.pop(next(iter(self._busy), key), None)

    @property
    def use(self) -> str:
        """Equal for all users of keys of this base."""
        return f"{self.name.lower()}{ALL_KEYS}"

    @property
    def base(self) -> str:
        """What the names of the leases begin with, as they are stored."""
        return self.core.full_name(self.name)


class KeyedPart(LockerPart):
    """For one ``key``: it lasts no longer than somebody uses it, or it was found busy last."""

    attempt = 3  # a creation without a look; if there is something, a read and a write

    def __init__(self, leases: KeyedLeases, key: str) -> None:
        self._leases = leases
        self._key = key
        super().__init__(leases.core, leases.name, leases.config)

    @property
    def use(self) -> str:
        return self._leases.use

    @property
    def base(self) -> str:  # type: ignore[override]
        return self._leases.base

    @property
    def lease(self) -> str:
        return keyed_name(self._leases.base, self._key)

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
        wiring, base, timing = self.core.wiring(), self.base, self.timing
        self._sweep = wiring.sweep(base, timing)
        return wiring.keyed(
            base,
            self._key,
            self.core.locker_identity(None),
            timing,
            self.callbacks,
            self.jobs,
            self._leases.store_clock,
        )

    def _opened_now(self) -> Candidacy:
        candidacy = super()._opened_now()
        self._sweep.used()
        return candidacy


def keyed_part(core: Core, name: str, key: object, config: Config | None) -> KeyedPart:
    """A part for one lock. Raises ConfigError for what can be no key."""
    text = key_text(name, key)
    return KeyedPart(KeyedLeases(core, name, config), text)
