"""The connections to one API server: so many at a time, kept for the next request, and none begun in vain."""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable

from aiohappyeyeballs import start_connection

from .connection import Connection
from .credentials import Access
from .request import Place, tunnel
from .resolver import Resolver

__all__ = ["Connections", "Unreachable"]

CONNECTING = 10.0  # seconds that making one may take, whether or not a request still waits for it
KEEPALIVE = 60.0  # seconds; the API server closes idle connections after 90
NEXT_ADDRESS = 0.25  # seconds until another address of the same name is tried, too (RFC 8305)

Turn = asyncio.Future[Connection]


class Unreachable(Exception):
    """There is no connection, so nothing was sent."""


class Connections:
    """At most ``limit`` to the server of ``access``, for one event loop.

    A connection goes on being made when a request has no time left, and is kept for the next one. Otherwise, where a
    busy machine takes longer for a handshake than a request may, each try would throw away what the one before has
    paid for, and none would ever succeed.
    """

    def __init__(self, access: Access, resolver: Resolver, limit: int) -> None:
        self.access = access
        self._resolver = resolver
        self._limit = limit
        self._tls: ssl.SSLContext | None = None
        self._idle: list[Connection] = []  # the one used last is used next
        self._open: set[Connection] = set()  # idle ones, too
        self._making: set[asyncio.Task[None]] = set()
        self._waiting: deque[Turn] = deque()
        self._retired = False  # others have taken its place
        self._closed = False

    async def take(self) -> Connection:
        """One that nobody else uses, to be given back. Raises Unreachable."""
        loop = asyncio.get_running_loop()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and loop.time() - connection.idle_since < KEEPALIVE:
                return connection
            connection.close()
        turn: Turn = loop.create_future()
        self._waiting.append(turn)
        self._make()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.give_back(turn.result())
            raise

    def give_back(self, connection: Connection) -> None:
        """Nobody uses it any more."""
        if not connection.is_open or self._settle(lambda turn: turn.set_result(connection)):
            return
        if self._retired:
            connection.close()
        else:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)

    def retire(self) -> None:
        """Close those that are idle, and others once nobody waits for one."""
        self._retired = True
        while self._idle:
            self._idle.pop().close()

    def close(self) -> None:
        """Close all, those that are being made, too."""
        self.retire()
        self._closed = True
        for task in self._making:
            task.cancel()
        while self._settle(lambda turn: turn.set_exception(Unreachable("its connections were closed"))):
            pass
        for connection in self._open:  # idle ones have said farewell
            connection.abort()

    async def aclose(self) -> None:
        """The same, and wait until they are."""
        self.close()
        await asyncio.gather(*self._making, *(connection.closed for connection in self._open), return_exceptions=True)

    def _settle(self, settle: Callable[[Turn], None]) -> bool:
        """Settle the turn of whoever has waited longest, if anybody waits."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                settle(turn)
                return True
        return False

    def _make(self) -> None:
        """Make one more if somebody waits who is not provided for, and there may be one more."""
        waiting = sum(not turn.done() for turn in self._waiting)
        if waiting > len(self._making) and len(self._making) + len(self._open) < self._limit and not self._closed:
            task = asyncio.get_running_loop().create_task(self._make_one())
            self._making.add(task)
            task.add_done_callback(self._made)

    def _made(self, task: asyncio.Task[None]) -> None:
        self._making.discard(task)
        self._make()

    async def _make_one(self) -> None:
        try:
            async with asyncio.timeout(CONNECTING):
                connection = await self._connect()
        except Exception as error:  # noqa: BLE001 (handed to whoever waits, or the next request finds out for itself)
            unreachable = Unreachable(str(error) or f"no connection within {CONNECTING:g} s")
            unreachable.__cause__ = error
            self._settle(lambda turn: turn.set_exception(unreachable))
            return
        self._open.add(connection)
        self.give_back(connection)

    async def _connect(self) -> Connection:
        access = self.access
        server = Place(access.address)
        first = Place(access.proxy.url) if access.proxy else server
        places = await self._resolver.resolve(first.host, first.port)
        socket = await start_connection(places, happy_eyeballs_delay=NEXT_ADDRESS)
        _, connection = await asyncio.get_running_loop().create_connection(lambda: Connection(self._lost), sock=socket)
        try:
            if access.proxy and first.scheme == "https":
                await connection.secure(self._context(), first.host)
            if access.proxy and server.scheme == "https":
                await connection.pass_through(tunnel(server, (access.proxy_headers or {}).items()))
            if server.scheme == "https":
                await connection.secure(self._context(), access.server_hostname or server.host)
        except BaseException:
            connection.abort()
            raise
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            try:
                self._tls = self.access.tls()
            except (OSError, ValueError) as error:
                raise Unreachable(f"its certificates, or ours, cannot be used: {error}") from error
        return self._tls

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._make()
