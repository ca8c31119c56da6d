"""Leases as the API server tells them: alone, in a list, and in the events of a watch."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from ...errors import AccessDenied, StoreError
from ..record import Stored, read_lease
from ..watching import Sight
from .api import Answer

__all__ = [
    "MANAGED_BY",
    "MANAGER",
    "Change",
    "Expired",
    "leases_path",
    "peek",
    "read_event",
    "read_list",
    "read_stored",
    "refusal",
]

# How the API server begins an event: in the order of its fields, so that nothing a user wrote can stand before these.
BEGINNING = re.compile(
    rb'\{"type":"MODIFIED","object":\{"kind":"Lease","apiVersion":"coordination\.k8s\.io/v1","metadata":'
    rb'\{"name":"([a-z0-9.-]+)","namespace":"[a-z0-9-]+","uid":"[0-9a-f-]+","resourceVersion":"([0-9]+)"'
)
MANAGED_BY, MANAGER = "app.kubernetes.io/managed-by", "singleton-jobs"  # the label of the leases that are ours


class Expired(StoreError):
    """The server does not know any more what has changed since that version: only a list can tell."""


class Change(NamedTuple):
    """What an event tells: all up to ``version``, and the last of it of ``lease`` (None: of none that is asked for).

    ``sight`` None: it cannot be read.
    """

    version: int
    lease: str | None = None
    sight: Sight | None = None


def leases_path(namespace: str) -> str:
    """Where the Leases of a namespace are."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{quote(namespace)}/leases"


def read_stored(what: str, body: dict[str, Any], served_at: datetime | None) -> Stored:
    """The Lease in ``body``, which the server gave at ``served_at`` by its own clock; StoreError about ``what``."""
    record, ledger = read_lease(body)
    metadata = body["metadata"]
    try:
        uid, version = str(metadata["uid"]), int(metadata["resourceVersion"])
        # Field managers are the server's own business, and are not to be sent back: only their times are of use.
        fields = metadata.pop("managedFields", None) or ()
        written = max((str(f["time"]) for f in fields if "time" in f), default=None)
        written_at = datetime.fromisoformat(written) if written else None
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{what}: an answer that cannot be read: {error!r}") from error
    return Stored(record, ledger, uid, version, served_at, written_at, raw=body)


def read_list(namespace: str, answer: Answer) -> dict[str, Stored | StoreError]:
    """The Leases of a list by name, with an error for one that cannot be read."""
    found: dict[str, Stored | StoreError] = {}
    for item in answer.body.get("items") or ():
        name = str((item.get("metadata") or {}).get("name"))
        try:
            found[name] = read_stored(f"lease {namespace}/{name}", item, answer.served_at)
        except StoreError as error:
            found[name] = error
    return found


def peek(line: bytes) -> tuple[str, int] | None:
    """The lease, and its version, of an event that tells of a change; None if only `read_event` can say that."""
    begun = BEGINNING.match(line)
    return (begun[1].decode(), int(begun[2])) if begun else None


def read_event(line: bytes, is_news: Callable[[str, int], bool]) -> Change:
    """An event of a watch; if ``is_news(lease, version)`` says that it is none, no more of it is read than that.

    Raises Expired, or StoreError for an event after which the watch cannot be gone on with.
    """
    try:
        event = json.loads(line)
        kind, body = event["type"], event["object"]
        if kind == "ERROR":
            wish = (body.get("details") or {}).get("retryAfterSeconds")
            raise refusal(Answer(int(body["code"]), body, None, float(wish) if wish else None))
        version = int(body["metadata"]["resourceVersion"])
        if kind == "BOOKMARK":
            return Change(version)
        name = str(body["metadata"]["name"])
        if not is_news(name, version):
            return Change(version)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"an event that cannot be read: {error!r}") from error
    if kind == "DELETED":
        return Change(version, name, Sight(None, version))
    try:
        return Change(version, name, Sight(read_stored(f"lease {name}", body, None), version))
    except StoreError:
        return Change(version, name)


def refusal(answer: Answer) -> StoreError:
    """Why there is no list, or no watch."""
    if answer.status == 410:
        return Expired(answer.reason())
    if answer.status == 403:
        return AccessDenied(answer.reason())
    return StoreError(answer.reason(), retry_after=answer.retry_after)
