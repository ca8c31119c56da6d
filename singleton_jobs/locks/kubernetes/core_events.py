"""Events of core/v1 about a Lease, as ``kubectl describe`` shows them."""

from datetime import UTC, datetime
from typing import Any

__all__ = ["core_event"]


def core_event(lease: str, namespace: str, uid: str | None, message: str, reason: str, *, warning: bool) -> Any:
    """The Event to create; ``uid`` is the Lease's own, by which it is found."""
    now = datetime.now(UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"
    involved = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{lease[:200]}.", "namespace": namespace},
        "involvedObject": involved | {"name": lease, "namespace": namespace, "uid": uid or ""},
        "reason": reason,
        "message": message[:1024],
        "type": "Warning" if warning else "Normal",
        "source": {"component": "singleton-jobs"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
