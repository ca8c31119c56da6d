"""Where leases are stored and compare-and-swapped: resource locks, and the stores that make them.

A store is a URL (``kubernetes:``, ``kubernetes:?context=dev``, ``sqlite:///path``, ``memory:``) or any object with
``.lock(lease, identity) -> ResourceLock``.
"""

from typing import TYPE_CHECKING, Any, Protocol

from ..names import store_url
from .keyed import KeyedLock, KeyedStore
from .record import LockRecord, ResourceLock, Stored, lease_spec_to_lock_record, lock_record_to_lease_spec

if TYPE_CHECKING:
    from .kubernetes.lease import KubernetesStore, LeaseLock
    from .memory import MemoryLock, MemorySpace
    from .sqlite import SQLiteLock, SQLiteStore

__all__ = [
    "KeyedLock",
    "KeyedStore",
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
    "KubernetesStore": "kubernetes.lease",
    "LeaseLock": "kubernetes.lease",
    "MemoryLock": "memory",
    "MemorySpace": "memory",
    "SQLiteLock": "sqlite",
    "SQLiteStore": "sqlite",
}


class Store(Protocol):
    """Makes resource locks.

    Optional: ``key`` (equal for stores of the same leases), ``describe()``, ``aclose()``, and, for leases of keys, what
    `KeyedStore` has.
    """

    def lock(self, lease: str, identity: str) -> ResourceLock:
        """The resource lock of one lease, written to as ``identity``."""


def open_store(url: str, namespace: str | None = None) -> Store:
    """The store that ``url`` names; ConfigError if none does. ``namespace`` is for Kubernetes only."""
    kind, detail = store_url(url)
    if kind == "memory":
        from .memory import SPACE

        return SPACE
    if kind == "sqlite":
        from .sqlite import SQLiteStore

        return SQLiteStore(detail or "")
    from .kubernetes.lease import KubernetesStore

    return KubernetesStore(namespace=namespace, context=detail)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
