"""The demo on Kubernetes: which cluster it uses, and the one Lease that it makes and deletes there."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from ...errors import ConfigError, StoreError

if TYPE_CHECKING:
    from ...locks.kubernetes.lease import KubernetesStore

__all__ = ["Cluster", "find_cluster"]

ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
LIMIT = 10.0  # seconds for one request


@dataclass(frozen=True, slots=True)
class Cluster:
    """A kubeconfig's context, named so that replicas started later use the same one."""

    context: str
    namespace: str
    address: str
    lease: str

    @property
    def url(self) -> str:
        """The store, for the replicas."""
        return f"kubernetes:?context={quote(self.context, safe='')}"

    def __str__(self) -> str:
        return f"context {self.context}, namespace {self.namespace}, lease {self.lease}"

    @contextmanager
    def session(self) -> Iterator[None]:
        """Make sure that the cluster answers and lets us in; at the end, delete the lease."""
        asyncio.run(self._look())
        try:
            yield
        finally:
            asyncio.run(self._delete())

    async def _look(self) -> None:
        store = self._store()
        try:
            async with store.lock(self.lease, "demo") as lock:
                await lock.get()
        except StoreError as error:
            raise ConfigError(f"context {self.context}: {str(error).splitlines()[0]}") from error

    async def _delete(self) -> None:
        store = self._store()
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/{self.lease}"
        try:
            await store.server.request("DELETE", path, timeout=LIMIT)
        except StoreError:
            pass  # the last replica released it, so nothing waits for it
        finally:
            await store.aclose()

    def _store(self) -> "KubernetesStore":
        return _open(self.context, self.namespace)


def find_cluster() -> Cluster:
    """The kubeconfig's current context, and a lease name of our own; ConfigError says what to set."""
    from ...locks.kubernetes.kubeconfig_files import choose, kubeconfig_paths

    try:
        context = choose(kubeconfig_paths(), None).name
        store = _open(context)
    except ConfigError as error:
        raise ConfigError(
            f"--kubernetes needs a kubeconfig with a current context: set KUBECONFIG to its path, or see "
            f"`kubectl config use-context` ({error})"
        ) from error
    lease = f"singleton-jobs-demo-{''.join(random.SystemRandom().choices(ALPHABET, k=6))}"
    return Cluster(context, store.namespace, store.address, lease)


def _open(context: str, namespace: str | None = None) -> "KubernetesStore":
    # Not imported with the demo: each replica of one in a file would import the HTTP client, and need it never.
    from ...locks.kubernetes.lease import KubernetesStore

    return KubernetesStore(namespace=namespace, context=context)
