"""One Kubernetes API server, and one HTTP session per event loop.

Requests are raw JSON over aiohttp, at a quarter of the CPU that the official client's generated models cost. Nothing
is ever sent twice on its own: a lock must know what became of each request.
"""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import aiohttp

from ...errors import StoreError
from .account import Account
from .connections import Connector, RememberingResolver
from .credentials import Access
from .lines import Lines
from .tls import cure

__all__ = ["Answer", "ApiServer"]

CONNECTIONS = 6  # each costs a quarter MiB of TLS buffers, and more of them save little
KEEPALIVE = 60.0  # seconds; the API server closes idle connections after 90
OPENING = 10.0  # seconds until a watch is answered at all
LINGERING = 10.0  # seconds that requests with the credentials of before may take


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server said."""

    status: int
    body: dict[str, Any]
    served_at: datetime | None
    retry_after: float | None

    def reason(self) -> str:
        """Its own words, safe to print."""
        text = str(self.body.get("message") or self.body.get("reason") or "no message")
        return f"{self.status}: {text.encode('unicode_escape').decode()[:500]}"

    def mentions(self, field: str) -> bool:
        """Whether a cause of the refusal names ``field``."""
        details = self.body.get("details") or {}
        return any(cause.get("field") == field for cause in details.get("causes") or ())


class ApiServer:
    """Sends requests as ``account``, over at most ``connections`` at a time to each event loop."""

    def __init__(self, account: Account, connections: int = CONNECTIONS) -> None:
        self._account = account
        self._limit = connections
        self._retired: dict[asyncio.Task[None], aiohttp.ClientSession] = {}
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, _Session] = WeakKeyDictionary()

    async def request(self, method: str, path: str, body: object = None, *, timeout: float, query: str = "") -> Answer:
        """One request, sent once, answered within ``timeout`` seconds in all; StoreError tells what is known."""
        target = f"{path}?timeout={timeout:.3f}s{query}"
        try:
            async with asyncio.timeout(timeout):
                return await self._let_in(partial(self._send, method, target, body))
        except TimeoutError as error:
            raise StoreError(f"{method} {path}: no answer within {timeout:.2f} s") from error

    async def watch(self, path: str, query: str, opened: Callable[[], None], see: Callable[[Any], None]) -> Answer:
        """Call ``opened`` once the server grants it, and ``see`` with each event, until the server ends it: 200.

        Raises StoreError if it breaks, and whatever ``see`` raises. It has a connection of its own as long as it lasts.
        """
        return await self._let_in(partial(self._receive, f"{path}?{query}", opened, see))

    async def aclose(self) -> None:
        """Close the running event loop's session."""
        loop = asyncio.get_running_loop()
        for task, session in tuple(self._retired.items()):
            if task.get_loop() is loop:
                task.cancel()
                await session.close()
        kept = self._sessions.pop(loop, None)
        if kept:
            await kept.session.close()

    async def _let_in(self, send: Callable[[Access], Awaitable[Answer]]) -> Answer:
        access = await self._account.load()
        answer = await send(access)
        if answer.status == 401:  # a 401 is certainly not done: asking again is no resend
            self._account.refused(access)
            answer = await send(await self._account.load())
        return answer

    async def _send(self, method: str, target: str, body: object, access: Access) -> Answer:
        with self._explaining(method, target, access):
            async with self._ask(access, method, target, body) as response:
                return _answer(response, await response.read())

    async def _receive(
        self, target: str, opened: Callable[[], None], see: Callable[[Any], None], access: Access
    ) -> Answer:
        with self._explaining("GET", target, access):
            async with asyncio.timeout(OPENING) as limit, self._ask(access, "GET", target) as response:
                limit.reschedule(None)
                if response.status != 200:
                    return _answer(response, await response.read())
                opened()
                lines = Lines()  # aiohttp's own end where its buffer does
                async for data in response.content.iter_any():
                    for line in lines.add(data):
                        see(json.loads(line.decode()))
                lines.end()
                return Answer(200, {}, None, None)

    def _ask(
        self, access: Access, method: str, target: str, body: object = None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        headers = [("Accept", "application/json"), *access.headers]
        if access.authorization:
            headers.append(("Authorization", access.authorization))
        data = None
        if body is not None:
            data = json.dumps(body, separators=(",", ":")).encode()
            headers.append(("Content-Type", "application/json"))
        return self._session(access).request(
            method,
            f"{access.address}{target}",
            data=data,
            headers=headers,
            proxy=access.proxy and access.proxy.url,
            proxy_headers=access.proxy_headers,
            server_hostname=access.server_hostname,
            allow_redirects=False,
        )

    @contextmanager
    def _explaining(self, method: str, target: str, access: Access) -> Iterator[None]:
        """Whatever goes wrong inside is a StoreError."""
        via = f" through the proxy {access.proxy.url}" if access.proxy else ""
        try:
            yield
        except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError) as error:  # no connection: nothing was sent
            if isinstance(error, (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError)):
                self._account.refused(access)  # the cluster's authority may be a new one: its certificate is read again
            what = "\n".join(filter(None, [str(error), cure(error)]))
            raise StoreError(f"{access.address} cannot be reached{via}: {what}", outcome="not done") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            path = target.partition("?")[0]
            raise StoreError(f"{method} {path}{via}: {type(error).__name__}: {error}") from error

    def _retire(self, session: aiohttp.ClientSession) -> None:
        """Leave the session to the requests that are still using it, and close it when they have ended."""
        task = asyncio.get_running_loop().create_task(_close_later(session))
        self._retired[task] = session
        task.add_done_callback(self._retired.pop)

    def _session(self, access: Access) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        kept = self._sessions.pop(loop, None)
        if kept and kept.tls is not access.tls:  # a connection keeps the certificates that it was made with
            self._retire(kept.session)
            kept = None
        if kept is None or kept.session.closed:
            connector = Connector(
                limit=self._limit,
                ssl=_tls(access),
                keepalive_timeout=KEEPALIVE,
                resolver=RememberingResolver(self._account.worker),
                use_dns_cache=False,
            )
            session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                skip_auto_headers=("Accept-Encoding",),
                headers={"User-Agent": "singleton-jobs"},
            )
            # aiohttp resends PUTs on a dropped keep-alive connection, even one that had landed.
            session._retry_connection = False  # noqa: SLF001 (it has no public switch)
            kept = _Session(access.tls, session)
        self._sessions[loop] = kept
        return kept.session


class _Session(NamedTuple):
    tls: object
    session: aiohttp.ClientSession


def _tls(access: Access) -> ssl.SSLContext:
    try:
        return access.tls()
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{access.address} cannot be reached: its certificates, or ours, cannot be used: {error}",
            outcome="not done",
        ) from error


async def _close_later(session: aiohttp.ClientSession) -> None:
    await asyncio.sleep(LINGERING)
    await session.close()


def _answer(response: aiohttp.ClientResponse, data: bytes) -> Answer:
    try:
        body = json.loads(data)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        if response.status < 300:
            raise StoreError(f"{response.method} {response.url.path}: {response.status} with an unreadable body")
        body = {"message": data[:200].decode(errors="replace")}
    date = response.headers.get("Date")
    return Answer(response.status, body, _date(date) if date else None, _retry_after(response))


_last_date: tuple[str, datetime | None] = ("", None)


def _date(text: str) -> datetime | None:
    global _last_date
    if _last_date[0] != text:  # the header changes once a second only, and parsing it is what costs
        try:
            _last_date = text, parsedate_to_datetime(text).astimezone(UTC)
        except ValueError:
            _last_date = text, None
    return _last_date[1]


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None
