"""`singleton-jobs rbac`: what to apply so that replicas may hold their leases."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ConfigError
from ..keys import key_text, keyed_name
from ..locks.kubernetes.roles import admission_policy, manifests
from ..names import lease_name, namespace_name, store_url

__all__ = ["documents"]


def documents(
    leases: Sequence[str],
    keyed: Sequence[str],
    spread: Sequence[str],
    jobs: Sequence[str],
    namespace: str | None,
    app: str,
    *,
    events: bool,
    watch_all: bool,
    policy: bool,
    store: str | None,
) -> str:
    """The YAML documents. Raises ConfigError for names that cannot work."""
    names = list(dict.fromkeys(lease_name(lease) for lease in leases))
    bases = list(dict.fromkeys(lease_name(base) for base in keyed))
    spread_bases = list(dict.fromkeys(lease_name(base) for base in spread))
    for base in (*bases, *spread_bases):
        keyed_name(base, "key")  # raises if it is too long
    if jobs and len(spread_bases) != 1:
        raise ConfigError("--job names a job of one spread guard: give one --spread LEASE with it")
    if jobs:
        base = spread_bases.pop()
        names = list(dict.fromkeys([*names, *(keyed_name(base, key_text(base, job)) for job in jobs)]))
    _keep_apart(bases, names, spread_bases)
    namespace = namespace_name(namespace) if namespace is not None else None
    if store is not None and store_url(store)[0] != "kubernetes":
        raise ConfigError(f"store {store!r} knows no Roles: only Kubernetes does")
    if lease_name(app) != app:
        raise ConfigError(f"app {app!r} cannot be used: it must be in lower case")
    text = manifests(names, namespace, app, events=events, watch_all=watch_all, keyed=bases, spread=spread_bases)
    if not policy:
        return text
    if namespace is None:
        raise ConfigError("--admission-policy needs --namespace: a policy is the cluster's, and binds one namespace")
    return f"{text}---\n{admission_policy(names, namespace, app, bases, spread_bases)}"


def _keep_apart(keyed: Sequence[str], names: Sequence[str], spread: Sequence[str]) -> None:
    """ConfigError if a lease that must outlast its holders has a name like those of keys, which may be deleted."""
    for base in keyed:
        among = [name for name in names if name.startswith(f"{base}.")]
        among += [other for other in spread if _is_within(base, other) or _is_within(other, base)]
        if among:
            raise ConfigError(f"the leases of keys of {base!r} may be deleted, and {among[0]!r} must not: rename one")


def _is_within(outer: str, inner: str) -> bool:
    return f"{inner}.".startswith(f"{outer}.")
