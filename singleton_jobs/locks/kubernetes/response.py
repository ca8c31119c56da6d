"""One HTTP/1.1 response (RFC 9112), however it is cut into pieces on its way. No I/O."""

import re

__all__ = ["Response"]

LONGEST_HEAD = 64 << 10  # bytes; servers send a few hundred
LONGEST_LINE = 1 << 10  # bytes, of what stands between the chunks of a body
BODILESS = (204, 304)
FRAMING = ("content-length", "transfer-encoding")  # that differ would be two ends of one body

STATUS = re.compile(r"HTTP/1\.([01]) ([1-5]\d\d)(?: .*)?")
SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?")


class Response:
    """``status`` is 0 until its head is there; names in ``headers`` are lower-case, and the first of each counts.

    ``bodiless``: whatever its head says, no body follows.
    """

    def __init__(self, *, bodiless: bool = False) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body: list[bytes] = []  # what was received of it, unless it is taken out
        self.complete = False
        self.is_last = False  # the connection is of no use after it
        self._bodiless = bodiless
        self._begun = b""  # of the head, or of a line
        self._left: int | None = None  # bytes to come of the body, or a chunk and its end; None: until the end
        self._chunked = False
        self._trailing = False  # the last chunk was there

    def feed(self, data: bytes) -> None:
        """Take what was received. Raises ValueError if that is no response."""
        if self._begun:
            data, self._begun = self._begun + data, b""
        while self.status < 200:
            head, found, rest = data.partition(b"\r\n\r\n")
            if not found:
                self._keep(data, LONGEST_HEAD)
                return
            self._read_head(head.decode("latin-1"))
            data = rest
        if self._chunked:
            self._read_chunks(data)
        elif self._left is None:
            self.body.append(data)
        else:
            self.body.append(data[: self._left] if len(data) > self._left else data)
            self._end(len(data) - self._left)

    def end(self) -> None:
        """The connection has ended. Raises ValueError if the response has not."""
        if self.status < 200 or self._chunked or self._left is not None:
            raise ValueError("the connection was closed before the whole answer was there")
        self.complete = True

    def _read_head(self, head: str) -> None:
        first, _, lines = head.partition("\r\n")
        version = STATUS.fullmatch(first)
        if version is None:
            raise ValueError(f"no HTTP response: {first!r:.80}")
        self.status = int(version[2])
        if self.status < 200:  # more is to come
            if self.status == 101:
                raise ValueError("the server speaks another protocol")
            return
        self._read_headers(lines)
        headers = self.headers
        connection = headers.get("connection", "").lower()
        self.is_last = "close" in connection or (version[1] == "0" and "keep-alive" not in connection)
        self._read_framing()

    def _read_headers(self, lines: str) -> None:
        if not lines:
            return
        headers = self.headers
        for line in lines.split("\r\n"):
            name, colon, value = line.partition(":")
            if not colon or not name or " " in name or not name.isprintable() or "\n" in value:
                raise ValueError(f"no HTTP header: {line!r:.80}")
            name, value = name.lower(), value.strip(" \t")
            if headers.setdefault(name, value) != value and name in FRAMING:
                raise ValueError(f"two headers {name}")

    def _read_framing(self) -> None:
        coding, length = self.headers.get("transfer-encoding"), self.headers.get("content-length")
        if self._bodiless or self.status in BODILESS:
            self._left = 0
        elif coding is not None:
            if coding.lower() != "chunked":
                raise ValueError(f"transfer encoding {coding!r:.80}")
            self._chunked, self._left = True, 0
        elif length is not None:
            if not (length.isascii() and length.isdigit()):
                raise ValueError(f"content length {length!r:.80}")
            self._left = int(length)
        else:
            self.is_last = True

    def _read_chunks(self, data: bytes) -> None:
        at = 0
        while True:
            if self._left:
                if self._left > 2:
                    piece = data[at : at + self._left - 2]
                    self.body.append(piece)
                    at += len(piece)
                    self._left -= len(piece)
                end = data[at : at + min(self._left, 2)]
                if not b"\r\n"[2 - self._left :].startswith(end):
                    raise ValueError("a chunk without an end")
                at += len(end)
                self._left -= len(end)
                if self._left:
                    return
            end_of_line = data.find(b"\r\n", at)
            if end_of_line < 0:
                self._keep(data[at:], LONGEST_LINE)
                return
            line, at = data[at:end_of_line], end_of_line + 2
            if not self._trailing:
                self._begin_chunk(line)
            elif not line:
                self._end(len(data) - at)
                return

    def _begin_chunk(self, line: bytes) -> None:
        size = SIZE.fullmatch(line)
        if size is None:
            raise ValueError(f"no size of a chunk: {line!r:.80}")
        length = int(size[1], 16)
        self._left = length and length + 2
        self._trailing = not length

    def _keep(self, data: bytes, longest: int) -> None:
        if len(data) > longest:
            raise ValueError(f"a line of more than {longest} bytes")
        self._begun = data

    def _end(self, surplus: int) -> None:
        """``surplus``: bytes received past the end of the body, or, negative, how many are missing."""
        self.complete = surplus >= 0
        self.is_last |= surplus > 0  # nobody has asked for more
        if not self._chunked:
            self._left = -surplus
