"""As much of HTTP/1.1 as a proxy needs: heads are parsed, bodies are passed on as they came."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True)
class Head:
    """A request's or response's first line and headers (names in lower case), and its bytes."""

    line: str
    headers: Mapping[str, str]
    data: bytes

    @property
    def status(self) -> int:
        return int(self.line.split(" ", 2)[1])


@dataclass(frozen=True)
class Request:
    head: Head
    body: bytes
    at: float  # on CLOCK_BOOTTIME, when it had arrived

    @property
    def method(self) -> str:
        return self.head.line.split(" ", 2)[0]

    @property
    def path(self) -> str:
        """With the query."""
        return self.head.line.split(" ", 2)[1]

    @property
    def data(self) -> bytes:
        return self.head.data + self.body


@dataclass(frozen=True)
class Response:
    head: Head
    body: bytes


async def read_head(reader: asyncio.StreamReader) -> Head:
    data = await reader.readuntil(b"\r\n\r\n")
    line, *fields = data.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (field.partition(":") for field in fields)
    return Head(line, {name.strip().lower(): value.strip() for name, _, value in pairs}, data)


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next whole request; None when the client has gone."""
    try:
        head = await read_head(reader)
        body = b"".join([piece async for piece in body_of(reader, head, response=False)])
        return Request(head, body, time.clock_gettime(time.CLOCK_BOOTTIME))
    except (OSError, EOFError):
        return None


async def read_response(reader: asyncio.StreamReader, method: str) -> Response:
    head = await read_head(reader)
    bodyless = method == "HEAD"
    return Response(head, b"" if bodyless else b"".join([piece async for piece in body_of(reader, head)]))


async def body_of(reader: asyncio.StreamReader, head: Head, *, response: bool = True) -> AsyncIterator[bytes]:
    """The body's bytes as they arrive, framing included."""
    if "chunked" in head.headers.get("transfer-encoding", "").lower():
        while True:
            size_line = await reader.readuntil(b"\n")
            size = int(size_line.split(b";")[0], 16)
            yield size_line + await reader.readexactly(size + 2)  # no trailers: the API server sends none
            if size == 0:
                return
    elif "content-length" in head.headers:
        left = int(head.headers["content-length"])
        while left:
            piece = await reader.read(min(left, 1 << 16))
            if not piece:
                raise EOFError("the body is shorter than announced")
            left -= len(piece)
            yield piece
    elif response and head.status >= 200 and head.status not in (204, 304):
        while piece := await reader.read(1 << 16):
            yield piece


def encode_response(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        *(f"{name}: {value}" for name, value in fields.items()),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
