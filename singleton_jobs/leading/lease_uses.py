"""Who uses which lease in this process: one lease has one role and one Config, whatever replica it goes through."""

from __future__ import annotations

from typing import NamedTuple, Protocol
from weakref import WeakKeyDictionary

from ..concurrency.threads import new_lock
from ..config import Config
from ..errors import ConfigError

__all__ = ["ALL_KEYS", "LeaseUses", "User"]

ALL_KEYS = ".*"  # after a base: the leases of all its keys


class User(Protocol):
    """Whoever is to use a lease, or those of all keys of a base."""

    @property
    def role(self) -> str:
        """What a second user in another role is told that the lease is used by."""

    @property
    def name(self) -> str:
        """The lease's, or the base's, without the replica's prefix."""

    @property
    def config(self) -> Config | None:
        """The timing, if it names one."""

    @property
    def use(self) -> str:
        """Equal for those that use the same."""


class _Use(NamedTuple):
    role: str
    owners: WeakKeyDictionary[object, Config | None]

    @property
    def config(self) -> Config | None:
        """The timing that an owner has named, which counts for all."""
        return next((config for config in self.owners.values() if config is not None), None)


class LeaseUses:
    """Uses by lease; a use lasts as long as one of its owners does, or until it is given up."""

    def __init__(self) -> None:
        self._uses: dict[object, _Use] = {}
        self._mutex = new_lock()

    def use(self, key: object, lease: str, role: str, config: Config | None, owner: object) -> None:
        """Note that ``owner`` uses the lease; ConfigError if others use it in another role or with another timing."""
        with self._mutex:
            use = self._uses.get(key)
            if use is None or not use.owners or set(use.owners) == {owner}:
                use = self._uses[key] = _Use(role, WeakKeyDictionary())
            if use.role != role:
                raise ConfigError(
                    f"lease {lease!r} is used by {use.role} in this process and cannot be used by {role} too: "
                    "each would wait for the other; give them different leases"
                )
            if None not in (use.config, config) and use.config != config:
                raise ConfigError(
                    f"lease {lease!r} is used in this process with another Config: {use.config}, {config}"
                )
            use.owners[owner] = config

    def config(self, key: object) -> Config | None:
        """The timing that somebody has named for the lease."""
        with self._mutex:
            use = self._uses.get(key)
            return use.config if use else None

    def give_up(self, *owners: object) -> None:
        """Forget every use of ``owners``."""
        gone = set(owners)
        with self._mutex:
            for use in self._uses.values():
                for owner in gone.intersection(use.owners):
                    use.owners.pop(owner, None)

    def leases(self) -> list[object]:
        """The leases in use."""
        with self._mutex:
            return [key for key, use in self._uses.items() if use.owners]

    def after_fork(self) -> None:
        """Another thread of the parent may have held the mutex."""
        self._mutex = new_lock()
