"""One connection to a server: an HTTP/1.1 request at a time, through as many layers of TLS as it takes."""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from .response import Response
from .secured import Secured

__all__ = ["Connection"]

BUFFER = 16 << 10  # bytes received at a time

Receive = Callable[[bytes], bool]


class Connection(asyncio.BufferedProtocol):
    """``lost`` is called once, when it has ended."""

    def __init__(self, lost: Callable[["Connection"], None]) -> None:
        self.idle_since = 0.0  # for whoever keeps it
        self._lost = lost
        self._buffer = memoryview(bytearray(BUFFER))
        self._layers: list[Secured] = []  # outermost first
        self._transport: asyncio.Transport | None = None
        self._receive: Receive | None = None  # takes what is received, and says whether that was all
        self._received: asyncio.Future[None] | None = None
        self._response: Response | None = None  # that is awaited
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # settled at its end

    @property
    def is_open(self) -> bool:
        """Whether a request may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def secure(self, context: ssl.SSLContext, server_hostname: str) -> None:
        """Have all that follows in TLS. Raises OSError, of which ssl.SSLError is one."""
        layer = Secured(context, server_hostname)
        self._layers.append(layer)
        await self._exchange(b"", lambda _: layer.ready)

    async def pass_through(self, request: bytes) -> None:
        """Have a proxy connect us, as ``request`` asks it. Raises OSError or ValueError."""
        response = await self.ask(request, bodiless=True)
        if response.status != 200:
            raise ConnectionRefusedError(f"the proxy answers {response.status}")

    async def ask(
        self, request: bytes, see: Callable[[Response], None] | None = None, *, bodiless: bool = False
    ) -> Response:
        """Send ``request`` once, and read the response; ``see`` is called with it whenever there is more of it.

        Raises OSError or ValueError if the connection fails, and whatever ``see`` raises. It is closed then, and if
        nobody waits for the response any more.
        """
        response = self._response = Response(bodiless=bodiless)

        def receive(data: bytes) -> bool:
            response.feed(data)
            if see and response.status >= 200:
                see(response)
            return response.complete

        try:
            await self._exchange(request, receive)
        finally:
            self._response = None
        if response.is_last:
            self.close()
        return response

    def close(self) -> None:
        """Send no more; whoever waits for a response gets none."""
        transport = self._transport
        if transport and not transport.is_closing():
            if self._layers:
                transport.write(self._sealed(self._layers[-1].farewell(), self._layers[:-1]))
            transport.close()
            if transport.get_write_buffer_size():  # nobody reads, so that it would never be through
                transport.abort()

    def abort(self) -> None:
        """The same at once, whatever is yet to be sent."""
        if self._transport:
            self._transport.abort()

    async def _exchange(self, data: bytes, receive: Receive) -> None:
        if not self.is_open:
            raise ConnectionResetError("the connection was closed")
        self._receive, self._received = receive, asyncio.get_running_loop().create_future()
        try:
            self._send(data)
            await self._received
        except BaseException:
            self.abort()
            raise
        finally:
            self._receive = self._received = None

    def _send(self, data: bytes) -> None:
        cast("asyncio.Transport", self._transport).write(self._sealed(data, self._layers))

    def _sealed(self, data: bytes, layers: list[Secured]) -> bytes:
        for layer in reversed(layers):
            data = layer.seal(data)
        return data

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        try:
            self._take(self._buffer[:nbytes])
        except Exception as error:  # noqa: BLE001 (handed to whoever asked)
            self._fail(error)
            self.abort()

    def _take(self, received: memoryview) -> None:
        data: bytes | memoryview = received
        ended = False
        for layer in self._layers:
            data = layer.open(data)
            ended = ended or layer.ended
            if layer.pending:
                self._send(b"")
        if self._receive is None or self._received is None:
            if data:  # nobody has asked
                self.abort()
        elif self._receive(bytes(data)) and not self._received.done():
            self._receive = None
            self._received.set_result(None)
        if ended:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        try:
            if exc is None and self._response and self._received and not self._received.done():
                self._response.end()
                self._received.set_result(None)
        except ValueError as error:
            exc = error
        self._fail(exc or ConnectionResetError("the connection was closed"))
        self._transport = None
        if not self.closed.done():
            self.closed.set_result(None)
        self._lost(self)

    def _fail(self, error: Exception) -> None:
        if self._received and not self._received.done():
            self._received.set_exception(error)
