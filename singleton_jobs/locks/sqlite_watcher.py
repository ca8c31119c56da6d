"""Looks into a SQLite file at short intervals, for all leases that are watched on one event loop."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from ..concurrency.clock import SYSTEM_CLOCK
from ..concurrency.telling import log
from ..errors import StoreError
from .processes import is_gone
from .record import Stored
from .sqlite_rows import COLUMNS, read_row
from .watching import Sight

__all__ = ["SQLiteWatcher"]

T = TypeVar("T")
Tell = Callable[[Sight | None], None]

LOOK = 0.02  # seconds from one look to the next
FAILED_LOOK = 0.5  # seconds to the next after one that failed
PROCESSES_EACH = 10  # looks; to find out whether a process has ended costs more than the rest
RECENT = 50e6  # nanoseconds; file systems keep times of change to 10 ms and better, but for FAT


class Runner(Protocol):
    """`SQLiteStore.run`."""

    def __call__(self, work: Callable[[sqlite3.Connection], T], /) -> Awaitable[T]: ...


class SQLiteWatcher:
    """Watches any number of leases: a look is at the file's time of change, and a query if that is news.

    Nothing is written when a holder's process ends, so those of the holders that were seen are looked at, too.
    """

    def __init__(self, path: Path, run: Runner) -> None:
        self._path = path
        self._run = run
        self._watches: dict[str, list[_Watch]] = {}
        self._unseen: set[str] = set()  # watched, and not told of yet
        self._newest = 0  # the version up to which all is told
        self._looks = 0
        self._changed_at = -1  # the file's time of change before the last query; -1: it has to be asked
        self._processes: dict[str, str] = {}  # of the holders that were seen alive
        self._keyed: set[str] = set()  # those that were there, and will be deleted once they are not needed
        self._task: asyncio.Task[None] | None = None

    def watch(self, lease: str, tell: Tell) -> "_Watch":
        """Call ``tell`` on the running event loop, from now on."""
        watch = _Watch(self, lease, tell)
        self._watches.setdefault(lease, []).append(watch)
        self._unseen.add(lease)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._look_on())
        return watch

    def leave(self, watch: "_Watch") -> None:
        """Tell this one nothing any more."""
        others = self._watches.get(watch.lease, [])
        if watch in others:
            others.remove(watch)
        if not others:
            self._watches.pop(watch.lease, None)
            self._processes.pop(watch.lease, None)
            self._unseen.discard(watch.lease)
            self._keyed.discard(watch.lease)
        if not self._watches and self._task:
            self._task.cancel()
            self._task = None

    async def _look_on(self) -> None:
        while True:
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 (logged in full; others are told by the same looks)
                if not isinstance(error, StoreError):
                    log(logging.ERROR, "a fault in looking into %s", self._path, error=error)
                self._changed_at = -1
                self._unseen.update(self._watches)
                for lease in tuple(self._watches):
                    self._tell(lease, None)
                await asyncio.sleep(FAILED_LOOK)
            await asyncio.sleep(LOOK)

    async def _look(self) -> None:
        changed_at, now = self._time_of_change(), SYSTEM_CLOCK.wall() * 1e9
        gone = []
        self._looks += 1
        if self._looks % PROCESSES_EACH == 0:
            gone = [lease for lease, process in self._processes.items() if is_gone(process)]
        if not (gone or self._unseen or changed_at != self._changed_at or changed_at < 0):
            return
        unseen, self._unseen = self._unseen, set()
        keyed = tuple(self._keyed)
        found = await self._run(lambda connection: _find(connection, self._newest, [*unseen, *gone], keyed))
        # The time of a change is exact to some milliseconds only: another may follow within them.
        self._changed_at = changed_at if not 0 <= now - changed_at < RECENT else -1
        self._newest = found.newest
        self._keyed.difference_update(found.deleted)
        for lease in (unseen - found.rows.keys()).union(found.deleted):
            self._tell(lease, Sight(None, found.newest))
        for lease, (stored, process) in found.rows.items():
            self._processes.pop(lease, None)
            if isinstance(stored, StoreError):
                self._tell(lease, None)
                continue
            if lease in self._watches and stored.key is not None:
                self._keyed.add(lease)
            if lease in self._watches and stored.record.holder_identity and not stored.abandoned:
                self._processes[lease] = process
            self._tell(lease, Sight(stored, stored.version))

    def _time_of_change(self) -> int:
        try:
            return self._path.stat().st_mtime_ns
        except OSError:  # the query says what is wrong
            return -1

    def _tell(self, lease: str, sight: Sight | None) -> None:
        for watch in tuple(self._watches.get(lease, ())):
            watch.tell(sight)


class _Watch:
    """One watch of one lease."""

    how = "told of changes to the file"

    def __init__(self, watcher: SQLiteWatcher, lease: str, tell: Tell) -> None:
        self.lease = lease
        self.tell = tell
        self._watcher = watcher

    def doubt(self) -> None:
        """The next look is due anyway."""

    def ask(self) -> None:
        """It costs little to be told."""

    def know(self, version: int | None) -> None:
        """Nothing was kept back."""

    def end(self) -> None:
        """Tell nothing any more."""
        self._watcher.leave(self)


class _Found(NamedTuple):
    newest: int
    rows: dict[str, tuple[Stored | StoreError, str]]
    deleted: Sequence[str]


def _find(connection: sqlite3.Connection, since: int, names: Sequence[str], there: Sequence[str]) -> _Found:
    """What is newer than ``since``, the leases called ``names``, and which of those that were ``there`` are not."""
    newest: int = connection.execute("SELECT newest FROM version").fetchone()[0]
    if newest == since and not names:
        return _Found(newest, {}, ())
    marks = ", ".join("?" * len(names))
    rows = connection.execute(
        f"SELECT name, {COLUMNS} FROM lease WHERE version > ? OR name IN ({marks})",  # noqa: S608 (only marks)
        (since, *names),
    )
    found = {name: (read_row(f"lease {name}", row), row[-1]) for name, *row in rows}
    one = "SELECT 1 FROM lease WHERE name = ?"
    deleted = [name for name in there if name not in found and not connection.execute(one, (name,)).fetchone()]
    return _Found(newest, found, deleted)
