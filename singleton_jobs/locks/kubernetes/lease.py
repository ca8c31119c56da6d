"""Leases where they belong: ``coordination.k8s.io/v1`` on the Kubernetes API server."""

import math
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import quote

from ...config import Seconds, seconds
from ...errors import AccessDenied, Conflict, StoreError
from ...identity import secure_random
from ...names import namespace_name
from .. import keyed
from ..record import REQUEST_TIMEOUT, STEP_DOWN_ANNOTATION, LockRecord, Stored, annotated, merge_lease
from ..watching import Sight, Watch
from .account import Account
from .api import Answer, ApiServer, encode
from .core_events import core_event
from .credentials import find_credentials
from .form import Routine
from .listing import list_all, list_keyed
from .objects import MANAGED_BY, MANAGER, leases_path, read_stored
from .refusals import is_namespace, refused
from .roles import role
from .tls import strictness
from .watcher import OWN_WATCHES, Watching

__all__ = ["KubernetesStore", "LeaseLock"]

DEFAULT_TIMEOUT = 5.0  # seconds for one request


class KubernetesStore:
    """The Leases of one namespace.

    Uses the pod's service account when the process runs in a cluster and no ``context`` is named, else the
    kubeconfig. ``namespace`` defaults to ``SINGLETON_JOBS_NAMESPACE``, the service account's, the kubeconfig
    context's, then ``default``. ``strict_tls``: whether certificates are verified as strictly as Python 3.13 does by
    default, which those of older clusters do not pass; by default ``SINGLETON_JOBS_STRICT_TLS``, then Python's default.
    """

    def __init__(
        self, *, namespace: str | None = None, context: str | None = None, strict_tls: bool | None = None
    ) -> None:
        credentials = find_credentials(context, strictness(strict_tls))
        self.namespace = namespace_name(
            namespace or os.environ.get("SINGLETON_JOBS_NAMESPACE") or credentials.namespace or "default"
        )
        self.address = credentials.address
        self.proxy = credentials.proxy
        self.key = f"{self.address}/namespaces/{self.namespace}"
        account = Account(credentials)
        self.server = ApiServer(account)
        self.watching = Watching(ApiServer(account, OWN_WATCHES), self.namespace, secure_random())

    def lock(self, lease: str, identity: str) -> "LeaseLock":
        """The resource lock of one lease."""
        return LeaseLock(lease, identity, store=self)

    def keyed_lock(self, base: str, key: str, identity: str) -> "LeaseLock":
        """The resource lock of the lease of ``base`` for one key."""
        return LeaseLock(base, identity, key=key, store=self)

    def describe(self) -> str:
        """The store's name, for people."""
        via = f" through the proxy {self.proxy.url}" if self.proxy else ""
        return f"Kubernetes namespace {self.namespace} at {self.address}{via}"

    async def list_leases(self) -> dict[str, Stored | StoreError]:
        """Every Lease of the namespace by name, from one request; an error for one that cannot be read.

        Raises AccessDenied without the verb ``list`` on all Leases, StoreError if there is no answer.
        """
        return await list_all(self.server, self.namespace)

    def list_keyed(self, base: str) -> AsyncIterator[dict[str, Stored | StoreError]]:
        """All leases of keys of ``base`` by name, in pages; an error for one that cannot be read.

        A lease may be told more than once, the last time as it is. Raises AccessDenied without the verb ``list`` on
        all Leases, StoreError if there is no answer.
        """
        return list_keyed(self.server, self.namespace, base)

    async def ping(self) -> datetime | None:
        """Ask the server for its version: its own time of the answer. Raises AccessDenied, or StoreError."""
        answer = await self.server.request("GET", "/version", timeout=DEFAULT_TIMEOUT)
        if answer.status != 200:
            kind = AccessDenied if answer.status in (401, 403) else StoreError
            raise kind(f"{self.address}: {answer.reason()}")
        return answer.served_at

    async def rights(self, verb: str, lease: str) -> bool:
        """Whether this account may do that to the Lease of that name, or to all (``""``), as the server itself says."""
        attributes = {"group": "coordination.k8s.io", "resource": "leases", "verb": verb}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes | {"namespace": self.namespace, "name": lease}},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = await self.server.request("POST", path, review, timeout=DEFAULT_TIMEOUT)
        return bool((answer.body.get("status") or {}).get("allowed"))

    async def aclose(self) -> None:
        """End the watches and close the connections of the running event loop."""
        await self.watching.aclose()
        await self.server.aclose()


class LeaseLock:
    """One Lease, read and swapped with raw JSON.

    Every write names resourceVersion and uid; creation is a PUT without a version, so that a Role can limit it by
    name. With ``key``, it is the Lease of ``lease`` for this key, and created by a POST. ``request_timeout``: the limit
    of one request, in seconds. `aclose` closes the connections of a lock used on its own; ``async with`` does it too.
    """

    def __init__(
        self,
        lease: str,
        identity: str,
        *,
        key: str | None = None,
        namespace: str | None = None,
        store: KubernetesStore | None = None,
        request_timeout: Seconds = DEFAULT_TIMEOUT,
    ) -> None:
        self.lease, marks = keyed.named(lease, key)
        # By this label one watch sees all leases that are ours; those of keys come and go, and may be thousands.
        self._marks = marks or {"labels": {MANAGED_BY: MANAGER}}
        self._base = None if key is None else lease
        self._identity = identity
        self._timeout = seconds("request_timeout", request_timeout)
        self._store = store or KubernetesStore(namespace=namespace)
        self.namespace = self._store.namespace
        self._routine: Routine | None = None
        self._path = f"{leases_path(self.namespace)}/{quote(self.lease)}"

    @property
    def identity(self) -> str:
        """The identity that writes through this lock."""
        return self._identity

    def describe(self) -> str:
        """The lease's full name, for people."""
        return f"lease {self.namespace}/{self.lease}"

    async def __aenter__(self) -> "LeaseLock":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the running event loop's connections."""
        await self._store.aclose()

    async def get(self) -> Stored | None:
        """The newest version, or None if there is no such Lease."""
        answer = await self._request("GET")
        # A namespace that is missing is an error: whoever took its leases for free would try to create them for ever.
        if answer.status == 404 and not is_namespace(answer):
            return None
        return self._stored(answer)

    def watch(self, tell: Callable[[Sight | None], None]) -> Watch:
        """Tell of changes as they happen: see `singleton_jobs.locks.watching.Watchable`."""
        return self._store.watching.begin(self.lease, tell, alone=self._base is not None)

    async def create(self, record: LockRecord, *, ledger: str | None = None) -> Stored:
        """Store a first version; Conflict if the Lease exists."""
        lease = self._merged(self._new(), record, ledger)
        if self._base is None:
            return await self._put(lease)
        # No Role can name the Leases of keys, so that a PUT would win nothing, and it costs the server a look more.
        return self._stored(await self._change("POST", lease, path=leases_path(self.namespace)))

    async def update(self, record: LockRecord, replaces: Stored, *, ledger: str | None = None) -> Stored:
        """Replace exactly ``replaces``; Conflict if anything else is stored."""

        def make() -> str:
            return encode(self._merged(self._over(replaces), record, ledger))

        routine, renewed = self._routine, record.renew_time
        if routine and renewed and routine.serves(record, replaces, ledger):
            answer = await self._swap(routine.text(renewed, make))
            known = routine.read(answer.text, renewed, answer.served_at)
            if known:
                return known
        else:
            answer = await self._swap(make())
        stored = self._stored(answer)
        self._routine = Routine.after(stored, answer.text)
        return stored

    async def delete(self, replaces: Stored) -> None:
        """Delete exactly ``replaces``; Conflict if anything else is stored, or nothing. Needs the verb ``delete``."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": _exactly(replaces)}
        await self._change("DELETE", options)

    async def request_step_down(self, replaces: Stored) -> Stored:
        """Ask the holder in ``replaces`` to let another lead; Conflict if anything else is stored.

        The annotation ``singleton-jobs/step-down`` names it; the spec stays as it is.
        """
        return await self._put(annotated(self._over(replaces), {STEP_DOWN_ANNOTATION: replaces.record.holder_identity}))

    async def rehearse(self, record: LockRecord, replaces: Stored | None) -> None:
        """Have the server judge a write of ``record``, admission policies and all, without storing it."""
        lease = self._new() if replaces is None else self._over(replaces)
        await self._swap(self._merged(lease, record, None), "&dryRun=All")

    async def record_event(self, text: str) -> None:
        """`tell`, best effort: an event is for people, and losing one changes nothing."""
        with suppress(StoreError):
            await self.tell(text)

    async def tell(
        self, text: str, *, reason: str = "LeaderElection", warning: bool = False, uid: str | None = None
    ) -> None:
        """Create a core/v1 Event about the Lease; ``uid`` is its own, by which ``kubectl describe`` finds it.

        Needs the verb ``create`` on ``events``. Raises AccessDenied without it, StoreError for any other refusal.
        """
        message = f"{self._identity} {text}"
        event = core_event(self.lease, self.namespace, uid, message, reason, warning=warning)
        path = f"/api/v1/namespaces/{quote(self.namespace)}/events"
        answer = await self._store.server.request("POST", path, event, timeout=self._timeout)
        if answer.status >= 400:
            kind = AccessDenied if answer.status in (401, 403) else StoreError
            raise kind(f"an event about {self.describe()}: {answer.reason()}")

    def _new(self) -> dict[str, Any]:
        metadata = {"name": self.lease, "namespace": self.namespace}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}

    def _over(self, replaces: Stored) -> dict[str, Any]:
        """What ``replaces`` holds, labels and annotations of others included, to be swapped with exactly it."""
        new, old = self._new(), replaces.raw or {}
        return {**new, **old, "metadata": {**(old.get("metadata") or {}), **new["metadata"], **_exactly(replaces)}}

    def _merged(self, lease: dict[str, Any], record: LockRecord, ledger: str | None) -> dict[str, Any]:
        """With our marks, unless it says that it is somebody else's."""
        return keyed.marked(merge_lease(lease, record, ledger), self._marks)

    async def _put(self, lease: dict[str, Any]) -> Stored:
        return self._stored(await self._swap(lease))

    async def _swap(self, lease: dict[str, Any] | str, query: str = "") -> Answer:
        return await self._change("PUT", lease, query)

    async def _change(self, method: str, body: dict[str, Any] | str, query: str = "", path: str = "") -> Answer:
        answer = await self._request(method, body, query, path)
        # A PUT without a version creates; where the Lease exists, the server misses the version to replace.
        exists = answer.status == 422 and answer.mentions("metadata.resourceVersion")
        gone = answer.status == 404 and not is_namespace(answer)
        if answer.status == 409 or exists or gone:
            raise Conflict(f"{self.describe()}: {answer.reason()}")
        if answer.status not in (200, 201):
            raise self._refusal(answer)
        return answer

    async def _request(self, method: str, body: object = None, query: str = "", path: str = "") -> Answer:
        limit, path = REQUEST_TIMEOUT.get() or math.inf, path or self._path
        if limit <= self._timeout:  # whoever has set it gives up by himself then
            return await self._store.server.ask(method, path, body, told=limit, query=query)
        return await self._store.server.request(method, path, body, timeout=self._timeout, query=query)

    def _stored(self, answer: Answer) -> Stored:
        if answer.status not in (200, 201):
            raise self._refusal(answer)
        return read_stored(self.describe(), answer.body, answer.served_at)

    def _refusal(self, answer: Answer) -> StoreError:
        names, bases = ([self.lease], []) if self._base is None else ([], [self._base])
        return refused(self.describe(), self.namespace, role(names, self.namespace, keyed=bases), answer)


def _exactly(replaces: Stored) -> dict[str, str]:
    return {"uid": replaces.uid, "resourceVersion": str(replaces.version)}
