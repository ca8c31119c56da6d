"""How connections to the API server are made: names are remembered, and no handshake is begun in vain."""

import asyncio
from functools import partial
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler

from ...concurrency.threads import Worker

__all__ = ["Connector", "RememberingResolver"]

CONNECTING = 10.0  # seconds that a connection may take which no request waits for any more


class Connector(aiohttp.TCPConnector):
    """Goes on connecting when a request has no time left, and keeps the connection for the next one.

    Otherwise, where a busy machine takes longer for a handshake than a request may, each try would throw away what the
    one before has paid for, and none would ever succeed.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._unfinished: set[asyncio.Task[ResponseHandler]] = set()

    async def close(self, **options: bool) -> None:
        """Close all connections, those that are being made too."""
        unfinished = tuple(self._unfinished)
        for making in unfinished:
            making.cancel()
        await super().close(**options)
        await asyncio.gather(*unfinished, return_exceptions=True)

    async def _create_connection(self, req: aiohttp.ClientRequest, *rest: Any) -> ResponseHandler:
        making = asyncio.create_task(super()._create_connection(req, *rest))
        try:
            await asyncio.wait((making,))
        except asyncio.CancelledError:
            if not self.closed and len(self._unfinished) < self.limit:
                self._unfinished.add(making)
                making.add_done_callback(partial(self._made, req.connection_key))
                asyncio.get_running_loop().call_later(CONNECTING, making.cancel)
            else:
                making.cancel()
            raise
        return making.result()

    def _made(self, key: Any, making: asyncio.Task[ResponseHandler]) -> None:
        self._unfinished.discard(making)
        if making.cancelled() or making.exception():  # the next request finds out for itself
            return
        connection = making.result()
        if self.closed or len(self._acquired) + len(self._conns.get(key, ())) >= self.limit:
            connection.close()
        else:
            self._release(key, connection)


class RememberingResolver(AbstractResolver):
    """Resolves off the loop's thread, and falls back on the last answer when there is none."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._known: dict[tuple[str, int, int], list[ResolveResult]] = {}

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        import socket

        def look_up() -> list[ResolveResult]:
            found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            return [
                ResolveResult(
                    hostname=host,
                    host=str(address[0]),
                    port=int(address[1]),
                    family=kind,
                    proto=proto,
                    flags=socket.AI_NUMERICHOST,
                )
                for kind, _, proto, _, address in found
            ]

        key = (host, port, family)
        try:
            self._known[key] = await self._worker.call(look_up)
        except OSError:
            if key not in self._known:
                raise
        return self._known[key]

    async def close(self) -> None:
        """Nothing is kept open."""
