"""What replicas under test stand on: a store that can fail on demand, and a clock that can be pushed on."""

import asyncio
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from singleton_jobs import Config
from singleton_jobs.concurrency.clock import SYSTEM_CLOCK, Clock
from singleton_jobs.errors import AccessDenied, StoreError
from singleton_jobs.locks import LockRecord, MemoryLock, MemorySpace, Stored
from singleton_jobs.locks.keyed import marked, named
from singleton_jobs.locks.record import merge_lease
from singleton_jobs.renewal.renewer import RenewerThread

QUICK = Config(lease_duration=6, retry_period=0.2)
LIMIT = 5.0


class PushedClock:
    """The system's clock, and what it was pushed on by."""

    def __init__(self) -> None:
        self.pushed = 0.0
        self.clock = Clock(now=lambda: SYSTEM_CLOCK.now() + self.pushed, wall=SYSTEM_CLOCK.wall)

    def push(self, seconds: float) -> None:
        self.pushed += seconds


class Space(MemorySpace):
    """Leases in memory; ``fault`` is None, "silent", "denied" or "down"."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: str | None = None
        self.requests = 0
        self.lists = 0

    def lock(self, lease: str, identity: str) -> "SpaceLock":
        return SpaceLock(lease, identity, space=self)

    def keyed_lock(self, base: str, key: str, identity: str) -> "SpaceLock":
        return SpaceLock(base, identity, key=key, space=self)

    async def list_keyed(self, base: str):
        self.lists += 1
        await self.reach()
        async for page in super().list_keyed(base):
            yield page

    async def reach(self) -> None:
        self.requests += 1
        if self.fault == "silent":
            await asyncio.get_running_loop().create_future()
        if self.fault == "denied":
            raise AccessDenied("403: apply this Role")
        if self.fault == "down":
            raise StoreError("the store is down", outcome="not done")

    def put(self, lease: str, holder: str, duration: float = 6, *, key: str | None = None) -> None:
        """Somebody else's record, of this moment; with ``key``, the last part of its name, that of a lease with keys."""
        now = datetime.now(UTC)
        record = merge_lease(None, LockRecord(holder, duration, now, now, 7), None)
        base = lease if key is None else lease.removesuffix(f".{key}")
        body = json.dumps(marked(record, named(base, key)[1]))
        with self.mutex:
            uid = self.leases[lease][0] if lease in self.leases else "uid-of-somebody-else"
            self.keep(lease, (uid, self.next_version(), body, SYSTEM_CLOCK.wall()))

    def holder(self, lease: str) -> str:
        return json.loads(self.leases[lease][2])["spec"]["holderIdentity"]

    def annotations(self, lease: str = "nightly") -> dict[str, str]:
        return json.loads(self.leases[lease][2])["metadata"].get("annotations", {})

    def annotate(self, key: str, value: str, lease: str = "nightly") -> None:
        with self.mutex:
            uid, _, body, at = self.leases[lease]
            whole = json.loads(body)
            whole["metadata"].setdefault("annotations", {})[key] = value
            self.keep(lease, (uid, self.next_version(), json.dumps(whole), at))


class SpaceLock(MemoryLock):
    _space: Space

    async def get(self) -> Stored | None:
        await self._space.reach()
        return await super().get()

    async def create(self, record: LockRecord, *, ledger: str | None = None) -> Stored:
        await self._space.reach()
        return await super().create(record, ledger=ledger)

    async def update(self, record: LockRecord, replaces: Stored, *, ledger: str | None = None) -> Stored:
        await self._space.reach()
        return await super().update(record, replaces, ledger=ledger)

    async def delete(self, replaces: Stored) -> None:
        await self._space.reach()
        await super().delete(replaces)


class ClaimedSpace(Space):
    """What ``landing`` does happens when a claim has been stored and its answer is on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.landing: Callable[[], object] = lambda: None

    def lock(self, lease: str, identity: str) -> "ClaimedLock":
        return ClaimedLock(lease, identity, space=self)


class ClaimedLock(SpaceLock):
    _space: ClaimedSpace

    async def update(self, record: LockRecord, replaces: Stored, *, ledger: str | None = None) -> Stored:
        stored = await super().update(record, replaces, ledger=ledger)
        if ledger is not None:
            landing, self._space.landing = self._space.landing, lambda: None
            landing()
        return stored


class Heard:
    """A hook that keeps what it is told, and can be waited for."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self._changed = threading.Condition()

    def __call__(self, event: Any) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait_for(self, kind: type, **fields: Any) -> Any:
        def found() -> Any:
            return next(
                (e for e in self.events if isinstance(e, kind) and all(getattr(e, k) == v for k, v in fields.items())),
                None,
            )

        with self._changed:
            assert self._changed.wait_for(found, LIMIT), (kind, fields, self.events)
            return found()


def in_thread(target: Callable[[], Any]) -> Callable[[], Any]:
    """Start ``target`` on a thread; the result joins it and gives its result, or raises what it raised."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((target(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def join() -> Any:
        thread.join(LIMIT)
        assert outcome, "it has not ended"
        result, error = outcome[0]
        if error is not None:
            raise error
        return result

    return join


def until(condition: Callable[[], Any]) -> None:
    """Wait for what nobody tells of."""
    end = SYSTEM_CLOCK.now() + LIMIT
    while not condition():
        assert SYSTEM_CLOCK.now() < end, "it did not come true"
        threading.Event().wait(0.001)


def seen_by(candidacy: Any, condition: Callable[[], bool]) -> None:
    """Wait until a change of a candidacy has made the condition true."""
    from singleton_jobs.concurrency.synchronization import run_blocking

    assert run_blocking(candidacy.changed.wait(condition, candidacy.clock.now() + LIMIT, block=True))


PUSHED = PushedClock()
DRIVER = RenewerThread(PUSHED.clock)
