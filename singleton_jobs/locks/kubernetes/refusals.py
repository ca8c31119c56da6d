"""What an answer that is none of those hoped for says: whether the request was done, and what helps."""

from ...errors import AccessDenied, StoreError
from .api import Answer
from .roles import ANOTHER_NAME, to_apply

__all__ = ["is_namespace", "refused"]


def refused(what: str, namespace: str, grant: str, answer: Answer) -> StoreError:
    """The error about ``what``; ``grant`` is the Role that would allow it."""
    what = f"{what}: {answer.reason()}"
    if answer.status == 404:
        return StoreError(f"{what} (create the namespace {namespace!r})", outcome="not done")
    # A namespace that is being deleted forbids creation whatever the Role says: no grant would help.
    if answer.status == 403 and (answer.body.get("details") or {}).get("causes") and "terminat" in what.lower():
        return StoreError(what, outcome="not done")
    if answer.status == 403 and "ValidatingAdmissionPolicy" in what:
        cure = "Set POD_NAME to the pod's own name, and no other identity"
        if ANOTHER_NAME in what:
            cure = "Print the policy anew, with all names: singleton-jobs rbac LEASE... --keyed LEASE"
        return AccessDenied(f"{what}\n{cure}")
    if answer.status == 403:
        return AccessDenied(f"{what}{to_apply(grant)}")
    if answer.status == 401:
        return AccessDenied(f"{what}: the API server does not accept these credentials")
    # A server that refuses a request has not done it; after 408 and 5xx nobody knows.
    certain = 400 <= answer.status < 500 and answer.status != 408
    return StoreError(what, outcome="not done" if certain else "unknown", retry_after=answer.retry_after)


def is_namespace(answer: Answer) -> bool:
    """Whether what was not found is the namespace, not the Lease."""
    return (answer.body.get("details") or {}).get("kind") == "namespaces"
