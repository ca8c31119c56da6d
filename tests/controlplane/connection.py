"""One client's connection to the proxy, and its own connection onwards to the API server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Any

from .http1 import Request, Response, body_of, encode_response, read_head, read_request, read_response
from .rules import Rule

if TYPE_CHECKING:
    from .proxy import Proxy

NEVER_TOLD = ("forward_then_drop", "forward_late")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Cut(Exception):
    """The client's connection is to end now."""


class Connection:
    def __init__(self, proxy: Proxy, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._number = number
        self._reader = reader
        self._writer = writer
        self._onward: Streams | None = None
        self._dead = False  # swallowed something in a partition: a stream with a hole never works again

    def close(self) -> None:
        """Cut both sides, at once and without a TLS farewell."""
        self._writer.transport.abort()
        if self._onward is not None:
            self._onward[1].transport.abort()

    async def run(self) -> None:
        """Serve requests until either side goes away."""
        # The next request is awaited while one is served: that is how a client's leaving is noticed.
        upcoming = asyncio.ensure_future(read_request(self._reader))
        try:
            with contextlib.suppress(OSError, EOFError, Cut):
                while (request := await self._next(upcoming)) is not None:
                    upcoming = asyncio.ensure_future(read_request(self._reader))
                    await self._serve(request, upcoming)
        finally:
            upcoming.cancel()

    async def _next(self, upcoming: asyncio.Future[Request | None]) -> Request | None:
        if self._onward is not None:
            onward_end = asyncio.ensure_future(self._onward[0].read(1))
            both: set[asyncio.Future[Any]] = {upcoming, onward_end}
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                onward_end.cancel()
                await asyncio.wait({onward_end})
            if not upcoming.done() and not self._proxy.partitioned:
                raise Cut  # the API server ended its side, so the client's ends too
            self._dead = self._dead or not upcoming.done()
        return await upcoming

    async def _serve(self, request: Request, upcoming: asyncio.Future[Request | None]) -> None:
        exchange = asyncio.ensure_future(self._exchange(request))
        both: set[asyncio.Future[Any]] = {exchange, upcoming}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            client_left = upcoming.done() and upcoming.result() is None
            if not client_left:
                await asyncio.wait({exchange})
        finally:
            exchange.cancel()
            await asyncio.wait({exchange})
        if not exchange.cancelled():
            exchange.result()

    async def _exchange(self, request: Request) -> None:
        self._proxy.seen(request.method, request.path, self._number, request.body)
        await self._check_partition()
        rule = self._proxy.rules.take(request.method, request.path)
        if rule is None:
            await self._relay(request)
        else:
            await self._act(rule, request)

    async def _act(self, rule: Rule, request: Request) -> None:
        action = rule.action
        match action.kind:
            case "respond":
                await self._send(encode_response(action.status, action.headers, action.body))
            case "hang":
                await _forever()
            case "drop":
                raise Cut
            case "reset":
                self._reset()
                raise Cut
            case "forward_late":
                self._proxy.spawn(self._land(request, rule, action.seconds))
                if action.cut:
                    raise Cut
                await _forever()
            case "delay_request":
                await self._delay(request, rule)
                await self._relay(request, rule)
            case "forward_then_drop":
                await self._landed(request, rule)
                raise Cut
            case "forward_then_delay":
                response = await self._landed(request, rule)
                await asyncio.sleep(action.seconds)
                await self._send(response.head.data + response.body)
            case "drip":
                response = await self._landed(request, rule)
                await self._send(response.head.data)
                for byte in response.body:
                    await asyncio.sleep(action.seconds)
                    await self._send(bytes([byte]))

    async def _delay(self, request: Request, rule: Rule) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + rule.action.seconds
        try:
            await asyncio.sleep(rule.action.seconds)
        except asyncio.CancelledError:
            # The client gave up, but what it sent is on its way and arrives.
            self._proxy.spawn(self._land(request, rule, until - loop.time()))
            raise

    async def _landed(self, request: Request, rule: Rule) -> Response:
        return await asyncio.shield(self._proxy.spawn(self._land(request, rule)))

    async def _land(self, request: Request, rule: Rule, after: float = 0) -> Response:
        """Forward through a connection of its own, and take the whole answer."""
        await asyncio.sleep(after)
        reader, writer = await self._connect()
        try:
            writer.write(request.data)
            response = await read_response(reader, request.method)
        finally:
            writer.transport.abort()
        rule.landed(response.head.status)
        self._proxy.answered(request, response.head.status, told=rule.action.kind not in NEVER_TOLD)
        return response

    async def _relay(self, request: Request, rule: Rule | None = None) -> None:
        """Forward and pass the answer on as it arrives: watches are endless answers."""
        if self._onward is None:
            self._onward = await self._connect()
        reader, writer = self._onward
        writer.write(request.data)
        head = await read_head(reader)
        if rule is not None:
            rule.landed(head.status)
        self._proxy.answered(request, head.status, told=True)
        await self._send(head.data)
        if request.method != "HEAD":
            async for piece in body_of(reader, head):
                await self._send(piece)
        if head.headers.get("connection", "").lower() == "close":
            raise Cut

    async def _connect(self) -> Streams:
        server = self._proxy.upstream
        return await asyncio.open_connection(server.hostname, server.port, ssl=self._proxy.upstream_tls)

    async def _send(self, data: bytes) -> None:
        await self._check_partition()
        self._writer.write(data)
        await self._writer.drain()

    async def _check_partition(self) -> None:
        if self._proxy.partitioned or self._dead:
            self._dead = True
            await _forever()

    def _reset(self) -> None:
        client: socket.socket = self._writer.get_extra_info("socket")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


async def _forever() -> None:
    """Until cancelled, which happens when the client leaves or the proxy stops."""
    await asyncio.Event().wait()
