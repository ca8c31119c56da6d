"""The process's own replica, which the module-level functions and decorators use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .config import Config
from .errors import ConfigError
from .leading.settings import Mode, Settings
from .replica import Replica

if TYPE_CHECKING:
    from .events import Hook

__all__ = ["configure", "default_replica"]

_default: Replica | None = None


def default_replica() -> Replica:
    """The process's own replica."""
    global _default
    if _default is None:
        _default = Replica()
    return _default


def configure(
    store: str | Any | None = None,
    namespace: str | None = None,
    identity: str | None = None,
    prefix: str = "",
    config: Config | None = None,
    hooks: Sequence[Hook] = (),
    mode: Mode = "auto",
) -> Replica:
    """Set up the process's default replica; parameters as for `Replica`.

    To be called before anything was guarded, locked or asked; ConfigError afterwards, and for bad values.
    """
    replica = default_replica()
    if not replica.configure(Settings(store, namespace, identity, prefix, config, tuple(hooks), mode)):
        raise ConfigError("configure() must be called before the first use of a guard, a leadership or a locker")
    return replica
