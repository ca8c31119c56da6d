"""An HTTP proxy as companies put between their networks and a cluster: it opens tunnels, and tells what it was asked."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from .http1 import encode_response, read_head


class Tunnel:
    """Answers CONNECT alone, and leads to ``upstream`` whatever it is asked for; `asked` has each request's line.

    With ``login`` ("user:password") it answers 407 to everybody else, with ``tls`` (chain and key) it is an https proxy.
    """

    def __init__(self, upstream: str, *, login: str | None = None, tls: tuple[Path, Path] | None = None) -> None:
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._upstream = urlsplit(upstream)
        self._login = f"Basic {base64.b64encode(login.encode()).decode()}" if login else None
        self._scheme, self._tls = "http", None
        if tls:
            self._scheme, self._tls = "https", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*tls)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tunnel", daemon=True)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self.address}"

    def __enter__(self) -> Self:
        self._thread.start()
        start = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result(10)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer.transport), contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            head = await read_head(reader)
            self.asked.append(head.line)
            self.headers.append(dict(head.headers))
            if self._login not in (None, head.headers.get("proxy-authorization")):
                writer.write(encode_response(407, {"Proxy-Authenticate": "Basic"}, b""))
                await writer.drain()
                return
            there, onward = await asyncio.open_connection(self._upstream.hostname, self._upstream.port)
            with contextlib.closing(onward.transport):
                if head.line.startswith("CONNECT "):
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:  # a request for a server without TLS
                    onward.write(head.data)
                await asyncio.wait(
                    [asyncio.ensure_future(_pump(reader, onward)), asyncio.ensure_future(_pump(there, writer))],
                    return_when=asyncio.FIRST_COMPLETED,
                )


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, EOFError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
