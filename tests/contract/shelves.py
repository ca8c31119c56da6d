"""One shelf per kind of store: makes its locks, and reaches past them as only an outsider could."""

import asyncio
import json
import sqlite3
import uuid
from pathlib import Path
from typing import Any, Protocol

from controlplane.admin import Admin, lease_path
from controlplane.proxy import Proxy
from singleton_jobs.locks import KeyedLock, KeyedStore, KubernetesStore, MemorySpace, SQLiteStore
from singleton_jobs.locks.record import ResourceLock

Json = dict[str, Any]


class Shelf(Protocol):
    def lock(self, lease: str = "nightly", identity: str = "me_1") -> ResourceLock: ...

    def keyed_lock(self, key: str, identity: str = "me_1", base: str = "sync") -> KeyedLock: ...

    def store(self) -> KeyedStore: ...

    def raw(self, lease: str = "nightly") -> Json:
        """What is stored, in the form of a Lease."""

    def edit(self, lease: str = "nightly", **metadata: Json) -> None:
        """Put labels or annotations on a lease, as kubectl would."""

    def add_unknown_fields(self, lease: str = "nightly") -> None:
        """From now on it is read with fields that nobody knows."""

    def spoil(self, lease: str = "nightly") -> None:
        """From now on it cannot be read."""

    def misspell(self, lease: str) -> None:
        """From now on this one of several cannot be read."""

    def delete(self, lease: str = "nightly") -> None: ...

    async def aclose(self) -> None: ...


class MemoryShelf:
    def __init__(self) -> None:
        self.space = MemorySpace()

    def lock(self, lease: str = "nightly", identity: str = "me_1") -> ResourceLock:
        return self.space.lock(lease, identity)

    def keyed_lock(self, key: str, identity: str = "me_1", base: str = "sync") -> KeyedLock:
        return self.space.keyed_lock(base, key, identity)

    def store(self) -> KeyedStore:
        return self.space

    def raw(self, lease: str = "nightly") -> Json:
        return json.loads(self.space.leases[lease][2])

    def edit(self, lease: str = "nightly", **metadata: Json) -> None:
        self._put(lease, json.dumps(_edited(self.raw(lease), metadata)))

    def add_unknown_fields(self, lease: str = "nightly") -> None:
        self._put(lease, json.dumps(_with_unknown_fields(self.raw(lease))))

    def spoil(self, lease: str = "nightly") -> None:
        self._put(lease, "no JSON")

    def misspell(self, lease: str) -> None:
        self.spoil(lease)

    def delete(self, lease: str = "nightly") -> None:
        del self.space.leases[lease]

    async def aclose(self) -> None:
        pass

    def _put(self, lease: str, text: str) -> None:
        uid, _, _, written_at = self.space.leases[lease]
        self.space.keep(lease, (uid, self.space.next_version(), text, written_at))


class SQLiteShelf:
    """A store of its own for each lock, as if each were in another process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stores: list[SQLiteStore] = []

    def lock(self, lease: str = "nightly", identity: str = "me_1") -> ResourceLock:
        return self.store().lock(lease, identity)

    def keyed_lock(self, key: str, identity: str = "me_1", base: str = "sync") -> KeyedLock:
        return self.store().keyed_lock(base, key, identity)

    def store(self) -> SQLiteStore:
        self.stores.append(SQLiteStore(self.path))
        return self.stores[-1]

    def raw(self, lease: str = "nightly") -> Json:
        return json.loads(self._run("SELECT body FROM lease WHERE name = ?", lease)[0][0])

    def edit(self, lease: str = "nightly", **metadata: Json) -> None:
        self._put(lease, json.dumps(_edited(self.raw(lease), metadata)))

    def add_unknown_fields(self, lease: str = "nightly") -> None:
        self._put(lease, json.dumps(_with_unknown_fields(self.raw(lease))))

    def spoil(self, lease: str = "nightly") -> None:
        self._put(lease, "no JSON")

    def misspell(self, lease: str) -> None:
        self.spoil(lease)

    def delete(self, lease: str = "nightly") -> None:
        self._run("DELETE FROM lease WHERE name = ?", lease)

    async def aclose(self) -> None:
        pass

    def close(self) -> None:
        async def close() -> None:
            for store in self.stores:
                await store.run(sqlite3.Connection.close)

        asyncio.run(close())

    def _put(self, lease: str, body: str) -> None:
        self._run("UPDATE version SET newest = newest + 1")
        self._run("UPDATE lease SET body = ?, version = (SELECT newest FROM version) WHERE name = ?", body, lease)

    def _run(self, statement: str, *arguments: str) -> list[Any]:
        connection = sqlite3.connect(self.path)
        try:
            with connection:
                return connection.execute(statement, arguments).fetchall()
        finally:
            connection.close()


class LeaseShelf:
    """A pod's locks on the real API server, behind a proxy that can spoil answers."""

    def __init__(self, admin: Admin, namespace: str, proxy: Proxy) -> None:
        self.admin = admin
        self.namespace = namespace
        self.proxy = proxy
        self.kubernetes = KubernetesStore(namespace=namespace, strict_tls=False)

    def lock(self, lease: str = "nightly", identity: str = "me_1") -> ResourceLock:
        return self.kubernetes.lock(lease, identity)

    def keyed_lock(self, key: str, identity: str = "me_1", base: str = "sync") -> KeyedLock:
        return self.kubernetes.keyed_lock(base, key, identity)

    def store(self) -> KubernetesStore:
        return self.kubernetes

    def raw(self, lease: str = "nightly") -> Json:
        found = self.admin.get_lease(self.namespace, lease)
        assert found is not None
        return found

    def edit(self, lease: str = "nightly", **metadata: Json) -> None:
        self.admin.patch_lease(self.namespace, lease, {"metadata": metadata})

    def add_unknown_fields(self, lease: str = "nightly") -> None:
        self.proxy.on("GET", lease_path(self.namespace, lease)).respond(200, body=_with_unknown_fields(self.raw(lease)))

    def spoil(self, lease: str = "nightly") -> None:
        self.proxy.on("GET", "/leases").respond(200, body=b"no JSON")  # alone, in a list, and in the events of a watch
        self.proxy.cut()

    def misspell(self, lease: str) -> None:
        _, found = self.admin.request("GET", lease_path(self.namespace, "").rstrip("/"))
        for item in found["items"]:
            if item["metadata"]["name"] == lease:
                item["spec"]["renewTime"] = "once"
        self.proxy.on("GET", "/leases?").respond(200, body=found)

    def delete(self, lease: str = "nightly") -> None:
        self.admin.delete_lease(self.namespace, lease)

    async def aclose(self) -> None:
        await self.kubernetes.aclose()
        self.proxy.cut()
        transports = asyncio.get_running_loop()._transports
        async with asyncio.timeout(2):
            while any(transport._sock for transport in transports.values()):  # TLS takes some turns of the loop
                await asyncio.sleep(0.001)


def _edited(raw: Json, metadata: dict[str, Json]) -> Json:
    kept = raw.get("metadata") or {}
    return {**raw, "metadata": kept | {key: (kept.get(key) or {}) | value for key, value in metadata.items()}}


def _with_unknown_fields(raw: Json) -> Json:
    return {**raw, "spec": {**raw["spec"], "preferredHolder": "x", "since2031": [1]}, "status": {"a": uuid.uuid4().hex}}
