"""Leases in this process's memory: for tests and for programs of one process."""

import asyncio
import json
import os
import uuid
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from ..concurrency.clock import SYSTEM_CLOCK, Clock
from ..concurrency.threads import new_lock
from ..errors import Conflict, StoreError
from ..names import lease_name
from .record import STEP_DOWN_ANNOTATION, LockRecord, Stored, annotated, merge_lease, read_lease
from .watching import Sight

__all__ = ["MemoryLock", "MemorySpace"]

Row = tuple[str, int, str, float]  # uid, version, text, written at


class MemorySpace:
    """A store of leases in memory; the URL ``memory:`` names the one space that each process has."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self.key = f"memory:{id(self):x}"
        self.clock = clock
        self.leases: dict[str, Row] = {}
        self.mutex = new_lock()
        self.watches: dict[str, set[_MemoryWatch]] = defaultdict(set)
        self._version = 0

    def next_version(self) -> int:
        """A version later than all given out before; call it with the mutex held."""
        self._version += 1
        return self._version

    def keep(self, lease: str, row: Row) -> None:
        """Store a row, and tell those who watch; call it with the mutex held."""
        self.leases[lease] = row
        for watch in self.watches[lease]:
            watch.tell(row)

    def lock(self, lease: str, identity: str) -> "MemoryLock":
        """The resource lock of one lease."""
        return MemoryLock(lease, identity, space=self)

    def describe(self) -> str:
        """The store's name, for people."""
        return "memory (this process only)"


SPACE = MemorySpace()


class MemoryLock:
    """One lease in a `MemorySpace`, by default the process's own."""

    def __init__(self, lease: str, identity: str, *, space: MemorySpace | None = None) -> None:
        self.lease = lease_name(lease)
        self._identity = identity
        self._space = space or SPACE

    @property
    def identity(self) -> str:
        """The identity that writes through this lock."""
        return self._identity

    def describe(self) -> str:
        """The lease's full name, for people."""
        return f"memory lease {self.lease}"

    async def get(self) -> Stored | None:
        """The newest version, or None."""
        with self._space.mutex:
            row = self._space.leases.get(self.lease)
        return row and self._stored(*row)

    async def create(self, record: LockRecord, *, ledger: str | None = None) -> Stored:
        """Store a first version; Conflict if the lease exists."""
        with self._space.mutex:
            if self.lease in self._space.leases:
                raise Conflict(f"{self.describe()} exists already")
            return self._put(str(uuid.uuid4()), json.dumps(merge_lease(None, record, ledger)))

    async def update(self, record: LockRecord, replaces: Stored, *, ledger: str | None = None) -> Stored:
        """Replace exactly ``replaces``; Conflict if anything else is stored."""
        with self._space.mutex:
            text = self._replaced(replaces)[2]
            return self._put(replaces.uid, json.dumps(merge_lease(json.loads(text), record, ledger)))

    async def request_step_down(self, replaces: Stored) -> Stored:
        """Ask the holder in ``replaces`` to let another lead; Conflict if anything else is stored."""
        new = annotated(replaces.raw or {}, {STEP_DOWN_ANNOTATION: replaces.record.holder_identity})
        with self._space.mutex:
            written_at = self._replaced(replaces)[3]  # the last write stays the holder's
            return self._put(replaces.uid, json.dumps(new), written_at)

    async def record_event(self, text: str) -> None:
        """Memory keeps no events."""

    def watch(self, tell: Callable[[Sight | None], None]) -> "_MemoryWatch":
        """Call ``tell`` on the running event loop at once after each change, first with how it is."""
        watch = _MemoryWatch(self._space, self.lease, partial(self._sight, tell))
        with self._space.mutex:
            self._space.watches[self.lease].add(watch)
            watch.tell(self._space.leases.get(self.lease))
        return watch

    def _sight(self, tell: Callable[[Sight | None], None], row: Row | None) -> None:
        try:
            stored = row and self._stored(*row)
        except StoreError:
            tell(None)
            return
        tell(Sight(stored, stored.version if stored else 0))

    def _replaced(self, replaces: Stored) -> Row:
        row = self._space.leases.get(self.lease)
        if row is None or (row[0], row[1]) != (replaces.uid, replaces.version):
            raise Conflict(f"{self.describe()} is not at version {replaces.version} any more")
        return row

    def _put(self, uid: str, text: str, written_at: float | None = None) -> Stored:
        row = (uid, self._space.next_version(), text, self._space.clock.wall() if written_at is None else written_at)
        self._space.keep(self.lease, row)
        return self._stored(*row)

    def _stored(self, uid: str, version: int, text: str, written_at: float) -> Stored:
        try:
            raw = json.loads(text)
        except ValueError as error:
            raise StoreError(f"{self.describe()} cannot be read: {error}") from error
        record, ledger = read_lease(raw)
        served = datetime.fromtimestamp(self._space.clock.wall(), UTC)
        return Stored(record, ledger, uid, version, served, datetime.fromtimestamp(written_at, UTC), raw=raw)


class _MemoryWatch:
    """Tells on the event loop that was running when it was made, whatever thread writes."""

    how = "told by memory"

    def __init__(self, space: MemorySpace, lease: str, tell: Callable[[Row | None], None]) -> None:
        self._space = space
        self._lease = lease
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()

    def tell(self, row: Row | None) -> None:
        """Soon, unless its loop is closed, or a forked child's parent's; what is told keeps its order."""
        if self._pid != os.getpid():
            return
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._pass_on, row)

    def doubt(self) -> None:
        """What memory tells is never late."""

    def ask(self) -> None:
        """It costs nothing to be told."""

    def know(self, version: int | None) -> None:
        """Nothing was kept back."""

    def end(self) -> None:
        """Tell nothing any more."""
        with self._space.mutex:
            self._space.watches[self._lease].discard(self)

    def _pass_on(self, row: Row | None) -> None:
        if self in self._space.watches[self._lease]:
            self._tell(row)
