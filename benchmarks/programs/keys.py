"""Locks of keys, taken and given back as fast as it can, and bare writes: `python benchmarks/programs/keys.py`."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from itertools import count
from statistics import median

from singleton_jobs import LeaseLocker, Replica
from singleton_jobs.locks import KubernetesStore
from singleton_jobs.locks.kubernetes import credentials
from singleton_jobs.locks.kubernetes.objects import leases_path

from protocol import SERVICE_ACCOUNT, Timed, serve, timed  # pyright: ignore[reportImplicitRelativeImport]


def main() -> None:
    credentials.SERVICE_ACCOUNT = SERVICE_ACCOUNT
    replica = Replica("kubernetes:")
    keys = (f"{os.environ['POD_NAME']}-{number}" for number in count())

    async def puts(seconds: float) -> Timed:
        """Of one lease over and over, by our transport alone; each names the version that it replaces."""
        store, name, last = KubernetesStore(), next(keys), ""

        async def put() -> None:
            nonlocal last
            last = await _ask(
                store, "PUT", f"/{name}", _lease(store, name, **({"resourceVersion": last} if last else {}))
            )

        return await _repeated(store, seconds, put)

    async def pairs(seconds: float) -> Timed:
        """One lease after the other made and deleted, by our transport alone: nothing that deletes costs less."""
        store = KubernetesStore()

        async def pair() -> None:
            name = next(keys)
            await _ask(store, "POST", "", _lease(store, name))
            await _ask(store, "DELETE", f"/{name}", None)

        return await _repeated(store, seconds, pair)

    def uncontended(seconds: str) -> Timed:
        """Each of a key of its own."""
        return timed(float(seconds), lambda: LeaseLocker("keyed", key=next(keys), replica=replica))

    def contended(seconds: str) -> Timed:
        """All of the one key that others want, too."""
        locker = LeaseLocker("keyed", key="one", replica=replica)
        return timed(float(seconds), lambda: locker)

    serve(
        puts=lambda seconds: asyncio.run(puts(float(seconds))),
        pairs=lambda seconds: asyncio.run(pairs(float(seconds))),
        uncontended=uncontended,
        contended=contended,
    )


def _lease(store: KubernetesStore, name: str, **metadata: str) -> object:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": store.namespace, **metadata},
        "spec": {
            "holderIdentity": "bench",
            "leaseDurationSeconds": 15,
            "leaseTransitions": time.monotonic_ns() % 10**9,
        },
    }


async def _ask(store: KubernetesStore, method: str, path: str, body: object) -> str:
    """The version that is stored then."""
    answer = await store.server.request(method, f"{leases_path(store.namespace)}{path}", body, timeout=5)
    assert answer.status in (200, 201), answer.reason()
    return str(answer.body["metadata"].get("resourceVersion"))


async def _repeated(store: KubernetesStore, seconds: float, work: Callable[[], Awaitable[None]]) -> Timed:
    took: list[float] = []
    began = now = time.perf_counter()
    while now - began < seconds:
        await work()
        before, now = now, time.perf_counter()
        took.append(now - before)
    await store.aclose()
    return len(took), now - began, median(took)


if __name__ == "__main__":
    main()
