"""`singleton-jobs doctor`: would this process lead, and if not, why, and what cures it."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from ..concurrency.clock import SYSTEM_CLOCK
from ..config import Config
from ..decisions.actions import Read, Write
from ..decisions.candidate import Candidate
from ..decisions.ledger import AHEAD
from ..errors import AccessDenied, ConfigError, Conflict, StoreError
from ..hooks.log import printable
from ..identity import identity_and_source, new_identity, secure_random
from ..leading.settings import Settings
from ..locks import LockRecord, Stored
from ..locks.kubernetes.watcher import OWN_WATCHES
from ..names import lease_name
from .status import lease_status
from .target import ApiStore, Inspectable, closing

__all__ = ["Finding", "examine"]

VERBS = ("get", "create", "update")
ROUNDS = 5  # requests whose times are looked at
SLOW = 4  # round trips that should fit into one request's limit
CLOCK_NOISE = 5.0  # seconds that an answer's whole-second date may make a clock look off

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``fail``: it keeps this process from leading. ``cure``: what to do."""

    level: Level
    what: str
    detail: str
    cure: str | None = None


async def examine(settings: Settings, leases: Sequence[str]) -> AsyncGenerator[Finding, None]:
    """What there is to say, as it is found. Raises nothing that a store may raise."""
    try:
        names = [lease_name(lease, settings.resolve_prefix()) for lease in leases]
        config = settings.resolve_config()
        yield _mode(settings.resolve_mode())
        prefix, source = identity_and_source(settings.identity)
    except ConfigError as error:
        yield Finding("fail", "settings", str(error), "set it to a value that can work")
        return
    yield _timing(config)
    yield _identity(prefix, source)
    try:
        opened: Any = settings.resolve_store()[0]
    except ConfigError as error:
        yield Finding("fail", "store", str(error), "name a store that this process can use")
        return
    if not isinstance(opened, Inspectable):
        yield Finding("warn", "store", opened.describe(), "use it in tests only: no other process can see its leases")
        return
    async with closing(opened), aclosing(_examine_store(opened, names, config, prefix)) as findings:
        if isinstance(opened, ApiStore) and (proxy := opened.proxy):
            yield Finding("ok", "proxy", f"{proxy.url}, from {proxy.source}: it is asked for every connection")
        async for finding in findings:
            yield finding


async def _examine_store(
    store: Inspectable, names: Sequence[str], config: Config, prefix: str
) -> AsyncGenerator[Finding, None]:
    kubernetes = store if isinstance(store, ApiStore) else None
    identity = new_identity(prefix, secure_random())
    try:
        seconds, served_at = await _round_trips(store)
    except StoreError as error:
        yield _unreachable("store", error)
        return
    yield Finding("ok", "store", store.describe())
    yield _pace(seconds, config)
    if kubernetes:
        for lease in names:
            missing = [verb for verb in VERBS if not await kubernetes.rights(verb, lease)]
            if missing:
                yield Finding(
                    "fail",
                    "permissions",
                    f"this account may not {' nor '.join(missing)} lease {lease}",
                    _grant(kubernetes, lease),
                )
            else:
                yield Finding("ok", "permissions", f"this account may {', '.join(VERBS)} lease {lease}")
        if names:
            yield await _changes(kubernetes, names)
        else:
            yield Finding("ok", "permissions", "not looked at, as no lease was named")
    carries = not names
    for lease in names:
        try:
            stored = await store.lock(lease, identity).get()
        except StoreError as error:
            yield _unreachable(f"lease {lease}", error)
            continue
        carries = carries or (stored is not None and stored.ledger is not None)
        yield _prospect(lease, stored, identity, config)
        if kubernetes:
            yield await _rehearsal(kubernetes, lease, identity, config)
    if served_at:
        yield _clock(datetime.now(UTC).timestamp() - served_at.timestamp(), carries=carries)


async def _round_trips(store: Inspectable) -> tuple[float, datetime | None]:
    """The median time of some requests, in seconds, and the store's own time of the last."""
    times, served_at = [], None
    for _ in range(ROUNDS):
        sent_at = SYSTEM_CLOCK.now()
        if isinstance(store, ApiStore):
            served_at = await store.ping()
        else:
            await store.list_leases()
        times.append(SYSTEM_CLOCK.now() - sent_at)
    return statistics.median(times[1:]), served_at


async def _changes(store: ApiStore, names: Sequence[str]) -> Finding:
    """How a replica would learn of changes, by what this account may do."""
    if await _may_watch(store, ""):
        return Finding("ok", "changes", "told as they happen, by one watch of the namespace")
    polled = [lease for lease in names if not await _may_watch(store, lease)]
    if polled:
        detail = f"polled for, as this account may not list and watch {', '.join(polled)}: a hand-over takes seconds"
        return Finding("warn", "changes", detail, _grant(store, polled[0]))
    if len(names) > OWN_WATCHES:
        detail = f"told as they happen for {OWN_WATCHES} leases, each by a watch of its own, and polled for the others"
        return Finding("warn", "changes", detail, _grant(store, "LEASE...", "--watch-all"))
    return Finding("ok", "changes", "told as they happen, by a watch of each lease")


async def _may_watch(store: ApiStore, lease: str) -> bool:
    """The lease of that name; the empty one: all of the namespace."""
    return await store.rights("list", lease) and await store.rights("watch", lease)


def _grant(store: ApiStore, *what: str) -> str:
    return f"singleton-jobs rbac {' '.join(what)} --namespace {store.namespace} --app NAME | kubectl apply -f -"


async def _rehearsal(store: Any, lease: str, identity: str, config: Config) -> Finding:
    """A write of this process's, judged by the server and its admission policies, and not stored."""
    what, lock = f"lease {lease}", store.lock(lease, identity)
    now = datetime.now(UTC)
    record = LockRecord(identity, math.ceil(config.lease_duration), now, now, 1)
    try:
        for _ in range(ROUNDS):
            try:
                await lock.rehearse(record, await lock.get())
            except Conflict:  # the holder renewed the lease in between
                continue
            return Finding("ok", what, "the server would accept a write of this pod (tried without storing it)")
    except StoreError as error:
        return _unreachable(what, error)
    return Finding("warn", what, "a write could not be tried: somebody writes the lease all the time")


def _prospect(lease: str, stored: Stored | None, identity: str, config: Config) -> Finding:
    """What a replica that started now would do, by the very decisions that replicas take."""
    candidate = Candidate(identity, config, secure_random())
    now, wall = SYSTEM_CLOCK.now(), SYSTEM_CLOCK.wall()
    candidate.start(now)
    candidate.saw(stored, now)
    action = candidate.decide(now, wall)
    what, status = f"lease {lease}", lease_status(lease, stored)
    if isinstance(action, (Write, Read)) or stored is None or not stored.record.holder_identity:
        why = {"missing": "it does not exist yet", "free": "it is free"}.get(status.state, "its holder is gone")
        return Finding("ok", what, f"a replica that started now would lead at once: {why}")
    duration = stored.record.lease_duration_seconds or config.lease_duration
    holder = printable(stored.record.holder_identity, 100)
    detail = f"a replica that started now would follow {holder} ({status.state}), and lead {duration:g} s after its end"
    if status.state == "alive":
        return Finding("ok", what, detail)
    return Finding("warn", what, detail, "wait: a holder that is dead is taken over from by itself")


def _mode(mode: str) -> Finding:
    if mode == "never":
        return Finding("fail", "mode", "never: guarded functions do not run here", "unset SINGLETON_JOBS_MODE")
    if mode == "always":
        return Finding("warn", "mode", "always: every guard runs, and no lease is asked", "unset SINGLETON_JOBS_MODE")
    return Finding("ok", "mode", "auto: leases decide")


def _timing(config: Config) -> Finding:
    return Finding(
        "ok",
        "timing",
        f"renewed every {config.retry_period:.3g} s, lost {config.renew_deadline:.3g} s after the last renewal, "
        f"taken over after {config.lease_duration:.3g} s",
    )


def _identity(prefix: str, source: str) -> Finding:
    if source == "the host's name" and os.environ.get("KUBERNETES_SERVICE_HOST"):
        cure = "set POD_NAME from metadata.name, so that leases name their holder as people know it"
        return Finding("warn", "identity", f"{prefix}, from {source}", cure)
    return Finding("ok", "identity", f"{prefix}, from {source}")


def _pace(seconds: float, config: Config) -> Finding:
    detail = f"{seconds * 1000:.3g} ms a request, of {config.request_timeout:.3g} s that one may take"
    if seconds > config.request_timeout:
        return Finding("fail", "round trip", detail, "lengthen the lease_duration")
    if seconds * SLOW > config.request_timeout:
        return Finding("warn", "round trip", detail, "lengthen the lease_duration, or find out what is slow")
    return Finding("ok", "round trip", detail)


def _clock(off: float, *, carries: bool) -> Finding:
    side = "ahead of" if off > 0 else "behind"
    detail = f"this host is {abs(off):.0f} s {side} the store"
    if abs(off) > AHEAD.total_seconds():
        level: Level = "fail" if carries else "warn"
        return Finding(level, "clock", f"{detail}: it does not lead where fires are claimed", "set the clock (NTP)")
    if abs(off) > CLOCK_NOISE:
        return Finding("warn", "clock", f"{detail}; from {AHEAD.total_seconds():.0f} s on it does not lead", "use NTP")
    return Finding("ok", "clock", "agrees with the store's")


def _unreachable(what: str, error: StoreError) -> Finding:
    """With the cure that the error itself knows, if it does: all but its first line."""
    detail, _, cure = str(error).partition("\n")
    if not cure and isinstance(error, AccessDenied):
        cure = "apply the Role that `singleton-jobs rbac` prints, or renew the credentials"
    return Finding(
        "fail", what, printable(detail, 500), cure or "check the address, the network policy and the credentials"
    )
