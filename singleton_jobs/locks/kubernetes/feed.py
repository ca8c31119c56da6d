"""One list and one watch after the other, of one selection of leases."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Protocol

from ...concurrency.telling import log
from ...errors import AccessDenied, StoreError
from ..watching import Sight
from .api import Answer
from .board import Board
from .objects import Expired, leases_path, peek, read_event, read_list, refusal
from .progress import Progress

__all__ = ["Feed", "Server"]

LIST_TIMEOUT = 15.0  # seconds
PERIOD = (240.0, 480.0)  # seconds that a watch is asked for; each replica's own, so that they do not come in step
GRACE = 15.0  # seconds after which a server that has not ended it has gone
ABSENT = "the watch of the namespace does not show it"


class Server(Protocol):
    """What is asked: an `ApiServer`."""

    async def request(self, method: str, path: str, body: object = None, *, timeout: float, query: str = "") -> Answer:
        """One request."""

    async def watch(self, path: str, query: str, opened: Callable[[], None], see: Callable[[bytes], None]) -> Answer:
        """One watch, to its end."""

    async def aclose(self) -> None:
        """Close the running event loop's connections."""


class Feed:
    """Puts on the board what it hears of ``leases()``, those that ``selector`` selects on the server.

    ``settled`` is called when a watch begins. ``all_of_it``: a lease that is not in the list does not exist; else it
    may just not be selected.
    """

    def __init__(
        self,
        server: Server,
        namespace: str,
        selector: str,
        leases: Callable[[], Sequence[str]],
        board: Board,
        rng: Random,
        settled: Callable[[], None],
        *,
        all_of_it: bool,
    ) -> None:
        self._server = server
        self._namespace = namespace
        self._path = leases_path(namespace)
        self._selector = selector
        self._leases = leases
        self._board = board
        self._rng = rng
        self._settled = settled
        self._all_of_it = all_of_it
        self._progress = Progress(rng)
        self._limit: asyncio.Timeout | None = None  # of the watch under way

    async def run(self) -> None:
        """Until the server denies it."""
        now = asyncio.get_running_loop().time
        while True:
            why = "the API server ends the watch at once"
            try:
                if self._progress.version is None:
                    await self._list()
                await self._watch()
                delay = self._progress.ended(now())
            except AccessDenied as error:
                why, patience = str(error), self._progress.denied()
                if patience is None:
                    return
                delay = patience
            except Expired as error:
                why, delay = str(error), self._progress.expired()
            except StoreError as error:
                why, delay = str(error), self._progress.failed(now(), error.retry_after)
            except Exception as error:  # noqa: BLE001 (logged in full; others are told by the same watch)
                log(logging.ERROR, "a fault in the watch of leases in namespace %s", self._namespace, error=error)
                why, delay = repr(error), self._progress.failed(now())
            if delay:
                self._board.blank(self._leases(), why)
            await asyncio.sleep(delay)

    def doubt(self) -> None:
        """Have the watch made anew."""
        limit, self._limit = self._limit, None
        if limit and not limit.expired():
            limit.reschedule(0)

    async def _list(self) -> None:
        answer = await self._server.request("GET", self._path, timeout=LIST_TIMEOUT, query=f"&{self._selector}")
        if answer.status != 200:
            raise refusal(answer)
        try:
            version, found = int(answer.body["metadata"]["resourceVersion"]), read_list(self._namespace, answer)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StoreError(f"a list that cannot be read: {error!r}") from error
        leases = self._leases()
        if self._progress.listed(version):
            self._board.set_back(leases)
        for lease in leases:
            stored = found.get(lease)
            if isinstance(stored, StoreError):
                self._board.blank([lease], str(stored))
            elif stored:
                self._board.show(lease, Sight(stored, stored.version))
            elif self._all_of_it:
                self._board.show(lease, Sight(None, version))
            else:
                self._board.blank([lease], ABSENT)

    async def _watch(self) -> None:
        seconds = round(self._rng.uniform(*PERIOD))
        query = (
            f"watch=1&resourceVersion={self._progress.version}&allowWatchBookmarks=true"
            f"&timeoutSeconds={seconds}&{self._selector}"
        )
        try:
            async with asyncio.timeout(seconds + GRACE) as self._limit:
                answer = await self._server.watch(self._path, query, self._opened, self._see)
        except TimeoutError as error:
            raise StoreError("the watch did not tell in time what had changed") from error
        finally:
            self._limit = None
        if answer.status != 200:
            raise refusal(answer)

    def _opened(self) -> None:
        self._progress.opened(asyncio.get_running_loop().time())
        self._settled()

    def _see(self, line: bytes) -> None:
        seen, board = peek(line), self._board  # most tell of others' renewals, or of our own
        if seen and (not board.is_news(*seen) or board.keeps(*seen, partial(self._read_kept, seen[0], line))):
            self._progress.moved(seen[1])
        else:
            self._read(line)

    def _read_kept(self, lease: str, line: bytes) -> None:
        try:
            self._read(line)
        except StoreError as error:
            self._board.blank([lease], str(error))
            self.doubt()

    def _read(self, line: bytes) -> None:
        change = read_event(line, self._board.is_news)
        self._progress.moved(change.version)
        if change.lease is None:
            return
        if change.sight is None:
            self._board.blank([change.lease], "it cannot be read")
        elif change.sight.stored is None and not self._all_of_it:
            self._board.lose(change.lease, change.version, ABSENT)  # deleted, or only labelled otherwise
        else:
            self._board.show(change.lease, change.sight)
