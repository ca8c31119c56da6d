"""Leases of keys, one each, which exist only while they are needed: how they are marked, made, listed and deleted."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol, cast, runtime_checkable

from ..errors import ConfigError, StoreError
from ..keys import base_label, keyed_name
from ..names import lease_name
from .record import KEY_ANNOTATION, LockRecord, ResourceLock, Stored

__all__ = [
    "KEYED_LABEL",
    "PAGE",
    "KeyedLock",
    "KeyedStore",
    "between",
    "is_of",
    "keyed_store",
    "marked",
    "named",
    "own_lock",
]

KEYED_LABEL = "singleton-jobs/keyed"  # the base, as `base_label` has it
PAGE = 500  # leases that are listed at once

Json = dict[str, Any]


class KeyedLock(ResourceLock, Protocol):
    """A resource lock whose lease can be deleted."""

    async def delete(self, replaces: Stored) -> None:
        """Delete exactly ``replaces``; Conflict if anything else is stored, or nothing."""


@runtime_checkable
class KeyedStore(Protocol):
    """A store that can keep leases of keys."""

    def keyed_lock(self, base: str, key: str, identity: str) -> KeyedLock:
        """The resource lock of the lease of ``base`` for one ``key`` (see `singleton_jobs.keys.key_text`)."""

    def list_keyed(self, base: str) -> AsyncIterator[Mapping[str, Stored | StoreError]]:
        """All leases of keys of ``base`` by name, in pages; an error for one that cannot be read.

        A lease may be told more than once, the last time as it is. Raises AccessDenied, or StoreError.
        """


def keyed_store(store: object) -> KeyedStore:
    """``store``, if it can keep leases of keys; else ConfigError."""
    if isinstance(store, KeyedStore):
        return store
    raise ConfigError(f"{store!r:.100} keeps no leases of keys: it has no keyed_lock() and list_keyed()")


class _Own:
    """``lock``, but for a lease of its name that is kept for anything else than ``key``: that stays as it is."""

    def __init__(self, lock: KeyedLock, key: str) -> None:
        self._lock = lock
        self._key = key

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lock, name)

    async def get(self) -> Stored | None:
        found = await self._lock.get()
        return found and self._own(found)

    async def update(self, record: LockRecord, replaces: Stored, *, ledger: str | None = None) -> Stored:
        return await self._lock.update(record, self._own(replaces), ledger=ledger)

    async def delete(self, replaces: Stored) -> None:
        await self._lock.delete(self._own(replaces))

    def _own(self, found: Stored) -> Stored:
        if found.key == self._key:
            return found
        kept = "is none of a key" if found.key is None else f"is kept for the key {found.key!r:.80} of another"
        raise StoreError(
            f"{self._lock.describe()} {kept}, and cannot be the one for the key {self._key!r:.80}: give one of them "
            "another name",
            outcome="not done",
        )


def own_lock(store: KeyedStore, base: str, key: str, identity: str) -> ResourceLock:
    """The resource lock of the lease of ``base`` for one ``key``, which touches no other lease that has its name.

    With StoreError where there is one: else an ordinary lease, and what was claimed in it, would be deleted.
    """
    return cast("ResourceLock", _Own(store.keyed_lock(base, key, identity), key))


def named(lease: str, key: str | None) -> tuple[str, Json]:
    """The name of ``lease``, or of that of its ``key``, and the labels and annotations by which that is known."""
    name = lease_name(lease)
    if key is None:
        return name, {}
    return keyed_name(name, key), {"labels": {KEYED_LABEL: base_label(name)}, "annotations": {KEY_ANNOTATION: key}}


def marked(lease: Json, marks: Json) -> Json:
    """``lease`` with the labels and annotations in ``marks``, but for those that it has with other values."""
    old: Json = lease.get("metadata") or {}
    return {**lease, "metadata": {**old, **{kind: {**new, **(old.get(kind) or {})} for kind, new in marks.items()}}}


def between(base: str) -> tuple[str, str]:
    """The names of all leases of keys of ``base`` come after the first and before the second."""
    return f"{base}.", f"{base}/"


def is_of(base: str, found: Stored | StoreError) -> bool:
    """Whether that, of such a name, is for a key of ``base``, as far as it can be read."""
    if isinstance(found, StoreError):
        return True
    labels = ((found.raw or {}).get("metadata") or {}).get("labels") or {}
    return bool(labels.get(KEYED_LABEL) == base_label(base))
