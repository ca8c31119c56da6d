"""Where leases are stored and compare-and-swapped: resource locks, and the stores that make them.

A store is a URL (``kubernetes:``, ``kubernetes:?context=dev``, ``sqlite:///path``, ``memory:``) or any object with
``.lock(lease, identity) -> ResourceLock``.
"""

from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from ..errors import ConfigError
from .record import LockRecord, ResourceLock, Stored, lease_spec_to_lock_record, lock_record_to_lease_spec

if TYPE_CHECKING:
    from .lease import KubernetesStore, LeaseLock
    from .memory import MemoryLock, MemorySpace
    from .sqlite import SQLiteLock, SQLiteStore

__all__ = [
    "KubernetesStore",
    "LeaseLock",
    "LockRecord",
    "MemoryLock",
    "MemorySpace",
    "ResourceLock",
    "SQLiteLock",
    "SQLiteStore",
    "Store",
    "Stored",
    "lease_spec_to_lock_record",
    "lock_record_to_lease_spec",
    "open_store",
]

_HOMES = {
    "KubernetesStore": "lease",
    "LeaseLock": "lease",
    "MemoryLock": "memory",
    "MemorySpace": "memory",
    "SQLiteLock": "sqlite",
    "SQLiteStore": "sqlite",
}


class Store(Protocol):
    """Makes resource locks. Optional: ``key`` (equal for stores of the same leases), ``describe()``, ``aclose()``."""

    def lock(self, lease: str, identity: str) -> ResourceLock:
        """The resource lock of one lease, written to as ``identity``."""


def open_store(url: str, namespace: str | None = None) -> Store:
    """The store that ``url`` names; ConfigError if none does. ``namespace`` is for Kubernetes only."""
    parts = urlsplit(url)
    match parts.scheme:
        case "memory" if url == "memory:":
            from .memory import SPACE

            return SPACE
        case "sqlite" if not parts.netloc and parts.path.strip("/") and not parts.query:
            from .sqlite import SQLiteStore

            return SQLiteStore(unquote(parts.path))
        case "kubernetes" if not parts.netloc and not parts.path:
            from .lease import KubernetesStore

            query = parse_qs(parts.query, keep_blank_values=True)
            contexts = query.pop("context", [None])
            if not query and len(contexts) == 1 and contexts[0] != "":
                return KubernetesStore(namespace=namespace, context=contexts[0])
    raise ConfigError(
        f"store {url!r} is not one of 'kubernetes:', 'kubernetes:?context=NAME', 'sqlite:///path/to/file', 'memory:'"
    )


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
