"""One Kubernetes API server, asked in JSON, on any number of event loops.

Nothing is ever sent twice on its own: a lock must know what became of each request. So the HTTP is our own, as little
of it as leases need, which also costs a fraction of what a library's does, in CPU and in memory.
"""

import asyncio
import json
import re
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from ...errors import StoreError
from .account import Account
from .connections import Unreachable
from .credentials import Access
from .lines import Lines
from .resolver import Resolver
from .response import Response
from .session import Session
from .tls import cure

__all__ = ["Answer", "ApiServer", "encode"]

CONNECTIONS = 16  # each costs 0.1 MiB; the more are answered together, the less each answer costs
OPENING = 10.0  # seconds until a watch is answered at all


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DATE = re.compile(r"[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII)

encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Answer:
    """What the API server said; ``text`` is its body as it was sent, if it was, to a request for ``path``."""

    __slots__ = ("_body", "path", "retry_after", "served_at", "status", "text")

    def __init__(
        self,
        status: int,
        body: dict[str, Any] | None,
        served_at: datetime | None,
        retry_after: float | None,
        text: str | None = None,
        path: str = "",
    ) -> None:
        self.status = status
        self.served_at = served_at
        self.retry_after = retry_after
        self.text = text
        self.path = path
        self._body = body

    @property
    def body(self) -> dict[str, Any]:
        """What that means. Raises StoreError if it cannot be read, and no error was to be told."""
        if self._body is None:
            self._body = self._read()
        return self._body

    def _read(self) -> dict[str, Any]:
        try:
            body = json.loads(self.text or "")
        except ValueError:
            body = None
        if isinstance(body, dict):
            return body
        if self.status < 300:
            raise StoreError(f"{self.path}: {self.status} with an unreadable body")
        return {"message": (self.text or "")[:200]}

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
        self._resolver = Resolver(account.worker)
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, Session] = WeakKeyDictionary()

    async def request(self, method: str, path: str, body: object = None, *, timeout: float, query: str = "") -> Answer:
        """One request, sent once, answered within ``timeout`` seconds in all; StoreError tells what is known."""
        try:
            async with asyncio.timeout(timeout):
                return await self.ask(method, path, body, told=timeout, query=query)
        except TimeoutError as error:
            raise StoreError(f"{method} {path}: no answer within {timeout:.2f} s") from error

    async def ask(self, method: str, path: str, body: object = None, *, told: float, query: str = "") -> Answer:
        """The same for whoever gives up by himself: the server is ``told`` after how many seconds.

        ``body``: what is to be sent in JSON, or such a text.
        """
        data = None if body is None else (body if isinstance(body, str) else encode(body)).encode()
        return _answer(path, await self._ask(method, f"{path}?timeout={told:.3f}s{query}", data))

    async def watch(self, path: str, query: str, opened: Callable[[], None], see: Callable[[bytes], None]) -> Answer:
        """Call ``opened`` once the server grants it, and ``see`` with each event's line, until the server ends it: 200.

        Raises StoreError if it breaks, and whatever ``see`` raises. It has a connection of its own as long as it lasts.
        """
        lines = Lines()
        try:
            async with asyncio.timeout(OPENING) as limit:

                def read(response: Response) -> None:
                    if response.status != 200:
                        return
                    if limit.when() is not None:
                        limit.reschedule(None)
                        opened()
                    pieces, response.body = response.body, []
                    for piece in pieces:
                        for line in lines.add(piece):
                            see(line)

                response = await self._ask("GET", f"{path}?{query}", see=read)
        except TimeoutError as error:
            raise StoreError(f"GET {path}: no answer within {OPENING:g} s") from error
        if response.status != 200:
            return _answer(path, response)
        lines.end()
        return Answer(200, {}, None, None)

    async def aclose(self) -> None:
        """Close the running event loop's connections."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session:
            await session.aclose()

    async def _ask(
        self, method: str, target: str, data: bytes | None = None, see: Callable[[Response], None] | None = None
    ) -> Response:
        access = await self._account.load()
        response = await self._ask_as(access, method, target, data, see)
        if response.status == 401:  # a 401 is certainly not done: asking again is no resend
            self._account.refused(access)
            response = await self._ask_as(await self._account.load(), method, target, data, see)
        return response

    async def _ask_as(
        self, access: Access, method: str, target: str, data: bytes | None, see: Callable[[Response], None] | None
    ) -> Response:
        session = self._session(access)
        connections = session.connections  # others may come while this request lasts
        try:
            connection = await connections.take()
        except Unreachable as error:  # nothing was sent
            cause = error.__cause__ or error
            if isinstance(cause, ssl.SSLError):
                self._account.refused(access)  # the cluster's authority may be a new one: its certificate is read again
            what = "\n".join(filter(None, [str(error), cure(cause)]))
            raise StoreError(f"{access.address} cannot be reached{_via(access)}: {what}", outcome="not done") from error
        try:
            return await connection.ask(session.requests.make(method, target, data), see)
        except (OSError, ValueError) as error:
            if isinstance(error, ssl.SSLError):  # TLS 1.3 tells that a client certificate is refused only now
                self._account.refused(access)
            path = target.partition("?")[0]
            raise StoreError(f"{method} {path}{_via(access)}: {type(error).__name__}: {error}") from error
        finally:
            connections.give_back(connection)

    def _session(self, access: Access) -> Session:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        try:
            if session is None:
                session = self._sessions[loop] = Session(access, self._resolver, self._limit)
            elif session.access is not access:
                session.follow(access)
        except ValueError as error:
            raise StoreError(f"{access.address} cannot be asked: {error}", outcome="not done") from error
        return session


def _via(access: Access) -> str:
    return f" through the proxy {access.proxy.url}" if access.proxy else ""


def _answer(path: str, response: Response) -> Answer:
    headers = response.headers
    date, wish = headers.get("date"), headers.get("retry-after")
    return Answer(
        response.status,
        None,
        _date(date) if date else None,
        _seconds(wish) if wish else None,
        b"".join(response.body).decode(errors="backslashreplace"),  # which makes no JSON of what is not UTF-8
        path,
    )


_last_date: tuple[str, datetime | None] = ("", None)


def _date(text: str) -> datetime | None:
    global _last_date
    if _last_date[0] != text:  # the header changes once a second only
        _last_date = text, _read_date(text)
    return _last_date[1]


def _read_date(text: str) -> datetime | None:
    """RFC 9110's only form that may still be sent; ``email`` reads others, too, and costs a MiB."""
    found = DATE.fullmatch(text)
    if found is None:
        return None
    day, month, *numbers = found.groups()
    year, hour, minute, second = map(int, numbers)
    try:
        return datetime(year, MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def _seconds(text: str) -> float | None:
    try:
        return max(0.0, float(text))
    except ValueError:
        return None
