"""A proxy between clients and the API server that breaks things as tests ask it to.

It ends TLS on both sides, so it sees requests and not only bytes. It runs on a thread and loop of its own;
all public methods are synchronous and may be called from any thread.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

from .certs import write_server_certificate
from .connection import Connection
from .http1 import Request
from .process import free_ports
from .rules import Match, RuleBook
from .server import Endpoint

T = TypeVar("T")


class Seen(NamedTuple):
    """A request that arrived at the proxy, whatever became of it."""

    at: float  # time.monotonic()
    method: str
    path: str  # with the query
    connection: int  # 1, 2, … in the order of acceptance
    body: bytes


class Proxy:
    """Clients connect to `url` with `ca_file`; `on(…)` makes rules, `refuse`, `partition` … break it all."""

    def __init__(
        self, upstream: Endpoint, directory: Path, host: str = "127.0.0.1", *, identifiers: bool = True
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.ca_file, certificate, key = write_server_certificate(directory, identifiers=identifiers)
        self.rules = RuleBook()
        self.errors: list[BaseException] = []  # bugs of the proxy itself, not faults of the network
        self.connections = 0  # accepted so far
        self.partitioned = False
        self.listener: Callable[[Request, int, bool], object] = lambda request, status, told: None
        self.upstream = urlsplit(upstream.url)
        self.upstream_tls = ssl.create_default_context(cafile=str(upstream.ca_file))
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate, key)
        self._host = host
        self._seen: list[Seen] = []
        (self._port,) = free_ports(1)
        self._open: set[Connection] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._accepting: asyncio.Task[None] | None = None
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._report)
        self._healed = asyncio.Event()
        self._healed.set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"https://{host}:{self._port}"

    @property
    def requests(self) -> list[Seen]:
        """Every request seen so far."""
        return list(self._seen)

    def count(self, method: str | None = None, path: str = "") -> int:
        """How many requests of this method, with this in their path, were seen."""
        return sum(1 for seen in self.requests if method in (None, seen.method) and path in seen.path)

    def wait_for(self, count: int, method: str | None = None, path: str = "", timeout: float = 10) -> None:
        """Until so many such requests were seen."""
        self.rules.wait_for(lambda: self.count(method, path) >= count, timeout, f"{count} requests {method} {path!r}")

    def on(self, method: str | None = None, path: str = "", *, times: int | None = None) -> Match:
        """Name requests by method and a part of their path and query; `times=None` means always."""
        return Match(self.rules, method, path, times)

    def clear(self) -> None:
        """Forget all rules; requests that a rule already caught stay caught."""
        self.rules.clear()

    def start(self) -> Self:
        self._thread.start()
        self.accept()
        return self

    def stop(self) -> None:
        if not self._thread.is_alive():
            return
        self._call(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def refuse(self, *, cut: bool = True) -> None:
        """Stop listening: connections are refused. Open ones are cut, unless told otherwise."""
        self._call(self._refuse(cut))

    def accept(self) -> None:
        """Listen (again), on the same port."""
        self._call(self._accept())

    def cut(self) -> None:
        """Cut all open connections, idle ones too; new ones are accepted."""
        self._call(self._cut())

    def partition(self) -> None:
        """Swallow everything silently: no answer, no refusal, no handshake."""
        self._call(self._partition(True))

    def heal(self) -> None:
        """New connections and those that lost nothing work again; the others stay silent for ever."""
        self._call(self._partition(False))

    # From here on everything runs on the proxy's thread.

    def seen(self, method: str, path: str, connection: int, body: bytes) -> None:
        self.rules.change(lambda: self._seen.append(Seen(time.monotonic(), method, path, connection, body)))

    def answered(self, request: Request, status: int, *, told: bool) -> None:
        """The API server has answered; ``told``: the client is to hear of it."""
        self.listener(request, status, told)

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that goes on when the client's connection ends."""
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._report(self._loop, {"exception": error})

    def _report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None and not isinstance(error, (OSError, EOFError)):  # a proxy lives with those
            self.errors.append(error)

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _accept(self) -> None:
        if self._accepting is None:
            listener = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._port))
            listener.listen(128)
            listener.setblocking(False)
            self._accepting = self.spawn(self._accept_loop(listener))

    async def _accept_loop(self, listener: socket.socket) -> None:
        with listener:
            while True:
                client, _ = await self._loop.sock_accept(listener)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or each answer takes 40 ms
                self.connections += 1
                self.spawn(self._serve(client, self.connections))

    async def _serve(self, client: socket.socket, number: int) -> None:
        await self._healed.wait()  # before the handshake: a partition must not complete it
        reader = asyncio.StreamReader(loop=self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self._loop)
        transport, _ = await self._loop.connect_accepted_socket(lambda: protocol, client, ssl=self._tls)
        connection = Connection(self, number, reader, asyncio.StreamWriter(transport, protocol, reader, self._loop))
        self._open.add(connection)
        try:
            await connection.run()
        finally:
            connection.close()
            self._open.discard(connection)

    async def _refuse(self, cut: bool) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
            self._accepting = None
        if cut:
            await self._cut()

    async def _cut(self) -> None:
        for connection in list(self._open):
            connection.close()

    async def _partition(self, partitioned: bool) -> None:
        self.partitioned = partitioned
        if partitioned:
            self._healed.clear()
        else:
            self._healed.set()

    async def _shut(self) -> None:
        while self._tasks:  # a cancelled one may leave a last one behind
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
