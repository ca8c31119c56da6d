"""Leases in this process's memory: for tests and for programs of one process."""

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ..concurrency.clock import SYSTEM_CLOCK, Clock
from ..concurrency.threads import new_lock
from ..errors import Conflict, StoreError
from . import keyed
from .record import STEP_DOWN_ANNOTATION, LockRecord, Stored, annotated, merge_lease, read_lease
from .watching import Sight

__all__ = ["MemoryLock", "MemorySpace"]

Json = dict[str, Any]
Row = tuple[str, int, str, float]  # uid, version, text, written at


class MemorySpace:
    """A store of leases in memory; the URL ``memory:`` names the one space that each process has."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self.key = f"memory:{id(self):x}"
        self.clock = clock
        self.leases: dict[str, Row] = {}
        self.mutex = new_lock()
        self._watches: dict[str, set[_MemoryWatch]] = {}
        self._version = 0

    def next_version(self) -> int:
        """A version later than all given out before; call it with the mutex held."""
        self._version += 1
        return self._version

    def keep(self, lease: str, row: Row) -> None:
        """Store a row, and tell those who watch; call it with the mutex held."""
        self.leases[lease] = row
        self._tell(lease, row, row[1])

    def drop(self, lease: str) -> None:
        """Delete a row, and tell those who watch; call it with the mutex held."""
        del self.leases[lease]
        self._tell(lease, None, self.next_version())

    def begin(self, watch: "_MemoryWatch") -> None:
        """Tell ``watch`` how its lease is, and from now on of each change."""
        with self.mutex:
            self._watches.setdefault(watch.lease, set()).add(watch)
            watch.tell(self.leases.get(watch.lease), self._version)

    def end(self, watch: "_MemoryWatch") -> None:
        """Tell ``watch`` nothing any more."""
        with self.mutex:
            others = self._watches.get(watch.lease, set())
            others.discard(watch)
            if not others:
                self._watches.pop(watch.lease, None)

    def read(self, what: str, row: Row) -> Stored | StoreError:
        """The lease in ``row``, or an error about ``what``."""
        uid, version, text, written_at = row
        try:
            raw = json.loads(text)
            record, ledger = read_lease(raw)
        except (ValueError, StoreError) as error:
            return StoreError(f"{what} cannot be read: {error}")
        served = datetime.fromtimestamp(self.clock.wall(), UTC)
        return Stored(record, ledger, uid, version, served, datetime.fromtimestamp(written_at, UTC), raw=raw)

    def lock(self, lease: str, identity: str) -> "MemoryLock":
        """The resource lock of one lease."""
        return MemoryLock(lease, identity, space=self)

    def keyed_lock(self, base: str, key: str, identity: str) -> "MemoryLock":
        """The resource lock of the lease of ``base`` for one key."""
        return MemoryLock(base, identity, key=key, space=self)

    async def list_keyed(self, base: str) -> AsyncIterator[dict[str, Stored | StoreError]]:
        """All leases of keys of ``base`` by name, in pages; an error for one that cannot be read."""
        after, before = keyed.between(base)
        with self.mutex:
            rows = sorted((name, row) for name, row in self.leases.items() if after < name < before)
        for at in range(0, len(rows), keyed.PAGE):
            page = {name: self.read(f"memory lease {name}", row) for name, row in rows[at : at + keyed.PAGE]}
            yield {name: found for name, found in page.items() if keyed.is_of(base, found)}

    def describe(self) -> str:
        """The store's name, for people."""
        return "memory (this process only)"

    def _tell(self, lease: str, row: Row | None, version: int) -> None:
        for watch in self._watches.get(lease, ()):
            watch.tell(row, version)


SPACE = MemorySpace()


class MemoryLock:
    """One lease in a `MemorySpace`, by default the process's own; with ``key``, that of ``lease`` for this key."""

    def __init__(self, lease: str, identity: str, *, key: str | None = None, space: MemorySpace | None = None) -> None:
        self.lease, self._marks = keyed.named(lease, key)
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
        return row and self._read(row)

    async def create(self, record: LockRecord, *, ledger: str | None = None) -> Stored:
        """Store a first version; Conflict if the lease exists."""
        with self._space.mutex:
            if self.lease in self._space.leases:
                raise Conflict(f"{self.describe()} exists already")
            return self._put(str(uuid.uuid4()), self._merged(None, record, ledger))

    async def update(self, record: LockRecord, replaces: Stored, *, ledger: str | None = None) -> Stored:
        """Replace exactly ``replaces``; Conflict if anything else is stored."""
        with self._space.mutex:
            text = self._replaced(replaces)[2]
            return self._put(replaces.uid, self._merged(json.loads(text), record, ledger))

    async def delete(self, replaces: Stored) -> None:
        """Delete exactly ``replaces``; Conflict if anything else is stored, or nothing."""
        with self._space.mutex:
            self._replaced(replaces)
            self._space.drop(self.lease)

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
        self._space.begin(watch)
        return watch

    def _sight(self, tell: Callable[[Sight | None], None], row: Row | None, version: int) -> None:
        stored = row and self._space.read(self.describe(), row)
        tell(None if isinstance(stored, StoreError) else Sight(stored, version))

    def _merged(self, raw: Json | None, record: LockRecord, ledger: str | None) -> str:
        return json.dumps(keyed.marked(merge_lease(raw, record, ledger), self._marks))

    def _replaced(self, replaces: Stored) -> Row:
        row = self._space.leases.get(self.lease)
        if row is None or (row[0], row[1]) != (replaces.uid, replaces.version):
            raise Conflict(f"{self.describe()} is not at version {replaces.version} any more")
        return row

    def _put(self, uid: str, text: str, written_at: float | None = None) -> Stored:
        row = (uid, self._space.next_version(), text, self._space.clock.wall() if written_at is None else written_at)
        self._space.keep(self.lease, row)
        return self._read(row)

    def _read(self, row: Row) -> Stored:
        found = self._space.read(self.describe(), row)
        if isinstance(found, StoreError):
            raise found
        return found


class _MemoryWatch:
    """Tells on the event loop that was running when it was made, whatever thread writes."""

    how = "told by memory"

    def __init__(self, space: MemorySpace, lease: str, tell: Callable[[Row | None, int], None]) -> None:
        self.lease = lease
        self._space = space
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._ended = False

    def tell(self, row: Row | None, version: int) -> None:
        """Soon, unless its loop is closed, or a forked child's parent's; what is told keeps its order."""
        if self._pid != os.getpid():
            return
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._pass_on, row, version)

    def doubt(self) -> None:
        """What memory tells is never late."""

    def ask(self) -> None:
        """It costs nothing to be told."""

    def know(self, version: int | None) -> None:
        """Nothing was kept back."""

    def end(self) -> None:
        """Tell nothing any more."""
        self._ended = True
        self._space.end(self)

    def _pass_on(self, row: Row | None, version: int) -> None:
        if not self._ended:
            self._tell(row, version)
