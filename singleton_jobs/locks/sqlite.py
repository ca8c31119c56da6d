"""Leases in a SQLite file: several processes of one machine, nothing to start.

Every write is one immediate transaction, synced to disk. A holder whose process is gone is known to be gone, so its
lease is free at once; this is only concluded for processes of the same boot and pid namespace.
"""

import asyncio
import json
import os
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from ..concurrency.clock import SYSTEM_CLOCK
from ..concurrency.forks import at_fork
from ..concurrency.threads import Worker, new_lock
from ..errors import ConfigError, Conflict, StoreError
from . import keyed
from .file_locks import require_file_locks
from .processes import this_process
from .record import STEP_DOWN_ANNOTATION, LockRecord, Stored, annotated, merge_lease
from .sqlite_rows import COLUMNS, SCHEMA, read_row
from .sqlite_watcher import SQLiteWatcher
from .watching import Sight, Watch

__all__ = ["SQLiteLock", "SQLiteStore"]

T = TypeVar("T")

# SQLite notes per process which file locks it holds: a child forked inside a transaction would believe it holds them.
_transactions = new_lock()


def _before_fork() -> None:
    _transactions.acquire()


def _after_fork_in_parent() -> None:
    _transactions.release()


def _after_fork_in_child() -> None:
    global _transactions
    _transactions = new_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent)
at_fork(_after_fork_in_child)

BUSY_TIMEOUT = 2.0  # seconds that one statement waits for another process's transaction


class _Connection(sqlite3.Connection):
    """Closed with the store that is forgotten; Python warns from 3.13 on of one that only vanishes."""

    def __del__(self) -> None:
        with suppress(sqlite3.ProgrammingError):  # its file could not be opened
            self.close()


class SQLiteStore:
    """A store of leases in the SQLite file ``path``, made if missing (its folder too)."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser().absolute()
        self.key = f"sqlite:{os.path.realpath(self.path)}"
        self._worker = Worker("singleton-jobs-sqlite")
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, SQLiteWatcher] = WeakKeyDictionary()
        self._inherited: list[sqlite3.Connection | None] = []

    def lock(self, lease: str, identity: str) -> "SQLiteLock":
        """The resource lock of one lease."""
        return SQLiteLock(lease, identity, store=self)

    def keyed_lock(self, base: str, key: str, identity: str) -> "SQLiteLock":
        """The resource lock of the lease of ``base`` for one key."""
        return SQLiteLock(base, identity, key=key, store=self)

    def describe(self) -> str:
        """The store's name, for people."""
        return f"SQLite file {self.path}"

    async def list_leases(self) -> dict[str, Stored | StoreError]:
        """Every lease by name; an error for one that cannot be read."""
        return await self._select("")

    async def list_keyed(self, base: str) -> AsyncIterator[dict[str, Stored | StoreError]]:
        """All leases of keys of ``base`` by name, in pages; an error for one that cannot be read."""
        after, before = keyed.between(base)
        while page := await self._select(
            "WHERE name > ? AND name < ? ORDER BY name LIMIT ?", after, before, keyed.PAGE
        ):
            yield {name: found for name, found in page.items() if keyed.is_of(base, found)}
            after = max(page)

    def watch(self, lease: str, tell: Callable[[Sight | None], None]) -> Watch:
        """Call ``tell`` on the running event loop soon after each change of that lease, first with how it is."""
        loop = asyncio.get_running_loop()
        if loop not in self._watchers:
            self._watchers[loop] = SQLiteWatcher(self.path, self.run)
        return self._watchers[loop].watch(lease, tell)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` on this process's connection, off the event loop's thread."""
        if self._pid != os.getpid():  # SQLite connections must not cross a fork, nor may the child close them
            self._inherited.append(self._connection)
            self._connection, self._pid = None, os.getpid()
        return await self._worker.call(lambda: self._guarded(work))

    async def _select(self, which: str, *arguments: object) -> dict[str, Stored | StoreError]:
        def work(connection: sqlite3.Connection) -> dict[str, Stored | StoreError]:
            rows = connection.execute(f"SELECT name, {COLUMNS} FROM lease {which}", arguments)  # noqa: S608 (constants)
            return {name: read_row(f"lease {name} in {self.path}", row) for name, *row in rows}

        return await self.run(work)

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        sent = False
        try:
            with _transactions:
                if self._connection is None:
                    self._connection = self._connect()
                sent = True
                return work(self._connection)
        except sqlite3.OperationalError as error:
            busy = getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            raise StoreError(
                f"{self.describe()}: {error}", outcome="unknown" if sent and not busy else "not done"
            ) from error
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{self.describe()}: {error}", outcome="unknown" if sent else "not done") from error

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        require_file_locks(self.path)
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, factory=_Connection
        )
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
        return connection


class SQLiteLock:
    """One lease in a SQLite file, named by ``path`` or by a store that other locks share.

    With ``key``, it is that of ``lease`` for this key.
    """

    def __init__(
        self,
        lease: str,
        identity: str,
        *,
        key: str | None = None,
        path: str | os.PathLike[str] | None = None,
        store: SQLiteStore | None = None,
    ) -> None:
        if (path is None) == (store is None):
            raise ConfigError("SQLiteLock needs a path or a store")
        self.lease, self._marks = keyed.named(lease, key)
        self._identity = identity
        self._store = store or SQLiteStore(path or "")

    @property
    def identity(self) -> str:
        """The identity that writes through this lock."""
        return self._identity

    def describe(self) -> str:
        """The lease's full name, for people."""
        return f"lease {self.lease} in {self._store.path}"

    async def get(self) -> Stored | None:
        """The newest version, or None."""
        return await self._store.run(self._get)

    async def create(self, record: LockRecord, *, ledger: str | None = None) -> Stored:
        """Store a first version; Conflict if the lease exists."""

        def work(connection: sqlite3.Connection) -> Stored:
            with _transaction(connection):
                if connection.execute("SELECT 1 FROM lease WHERE name = ?", (self.lease,)).fetchone():
                    raise Conflict(f"{self.describe()} exists already")
                return self._put(connection, str(uuid.uuid4()), self._merged(None, record, ledger))

        return await self._store.run(work)

    async def update(self, record: LockRecord, replaces: Stored, *, ledger: str | None = None) -> Stored:
        """Replace exactly ``replaces``; Conflict if anything else is stored."""

        def work(connection: sqlite3.Connection) -> Stored:
            with _transaction(connection):
                row = connection.execute(
                    "SELECT body FROM lease WHERE name = ? AND uid = ? AND version = ?",
                    (self.lease, replaces.uid, replaces.version),
                ).fetchone()
                if row is None:
                    raise self._another(replaces)
                return self._put(connection, replaces.uid, self._merged(json.loads(row[0]), record, ledger))

        return await self._store.run(work)

    async def delete(self, replaces: Stored) -> None:
        """Delete exactly ``replaces``; Conflict if anything else is stored, or nothing."""

        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.execute("UPDATE version SET newest = newest + 1")
                deleted = connection.execute(
                    "DELETE FROM lease WHERE name = ? AND uid = ? AND version = ?",
                    (self.lease, replaces.uid, replaces.version),
                )
                if not deleted.rowcount:
                    raise self._another(replaces)

        await self._store.run(work)

    async def request_step_down(self, replaces: Stored) -> Stored:
        """Ask the holder in ``replaces`` to let another lead; Conflict if anything else is stored."""

        def work(connection: sqlite3.Connection) -> Stored:
            new = annotated(replaces.raw or {}, {STEP_DOWN_ANNOTATION: replaces.record.holder_identity})
            with _transaction(connection):
                connection.execute("UPDATE version SET newest = newest + 1")
                changed = connection.execute(  # the last write, and the process that made it, stay the holder's
                    "UPDATE lease SET body = ?, version = (SELECT newest FROM version) "
                    "WHERE name = ? AND uid = ? AND version = ?",
                    (json.dumps(new), self.lease, replaces.uid, replaces.version),
                )
                stored = self._get(connection) if changed.rowcount else None
                if stored is None:
                    raise self._another(replaces)
                return stored

        return await self._store.run(work)

    def watch(self, tell: Callable[[Sight | None], None]) -> Watch:
        """Call ``tell`` on the running event loop soon after each change, first with how it is."""
        return self._store.watch(self.lease, tell)

    async def record_event(self, text: str) -> None:
        """A SQLite file keeps no events."""

    def _another(self, replaces: Stored) -> Conflict:
        return Conflict(f"{self.describe()} is not at version {replaces.version} any more")

    def _merged(self, raw: dict[str, Any] | None, record: LockRecord, ledger: str | None) -> str:
        return json.dumps(keyed.marked(merge_lease(raw, record, ledger), self._marks))

    def _put(self, connection: sqlite3.Connection, uid: str, body: str) -> Stored:
        connection.execute("UPDATE version SET newest = newest + 1")
        connection.execute(
            "INSERT OR REPLACE INTO lease SELECT ?, ?, newest, ?, ?, ? FROM version",
            (self.lease, uid, body, SYSTEM_CLOCK.wall(), this_process()),
        )
        stored = self._get(connection)
        if stored is None:
            raise StoreError(f"{self.describe()} vanished inside its own transaction")
        return stored

    def _get(self, connection: sqlite3.Connection) -> Stored | None:
        row = connection.execute(
            f"SELECT {COLUMNS} FROM lease WHERE name = ?",  # noqa: S608 (a constant)
            (self.lease,),
        ).fetchone()
        if row is None:
            return None
        found = read_row(self.describe(), row)
        if isinstance(found, StoreError):
            raise found
        return found


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
