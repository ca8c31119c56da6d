"""Leases whose names have a base in common: those of keys, and of the jobs of a spread guard."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..decisions.store_clock import StoreClock
from ..keys import keyed_name
from .lease_uses import ALL_KEYS
from .participant import Participant

if TYPE_CHECKING:
    from ..config import Config
    from .core import Core

__all__ = ["BasedLeases", "BasedPart"]


class BasedLeases:
    """All leases of the base ``name``, as one replica uses them.

    Raises ConfigError for a name or timing that cannot work.
    """

    role: ClassVar[str]

    def __init__(self, core: Core, name: str, config: Config | None) -> None:
        self.core = core
        self.name = name
        self.config = config
        self.store_clock = StoreClock()  # an answer about one of them tells the time for all
        core.declare(self, config)

    @property
    def use(self) -> str:
        """Equal for all users of leases of this base."""
        return f"{self.name.lower()}{ALL_KEYS}"

    @property
    def base(self) -> str:
        """What the names of the leases begin with, as they are stored."""
        return self.core.full_name(self.name)


class BasedPart(Participant):
    """The part in the one for ``key``."""

    def __init__(self, leases: BasedLeases, key: str) -> None:
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
