"""TLS over whatever carries bytes: one layer of a connection. No I/O."""

import ssl
from contextlib import suppress

__all__ = ["Secured"]

RECORD = 16384  # bytes that one record of TLS holds at most


class Secured:
    """The client's side. asyncio's own, in pure Python, takes as long as all else that a request costs."""

    def __init__(self, context: ssl.SSLContext, server_hostname: str) -> None:
        self.ready = False  # hands were shaken
        self.ended = False  # the peer will send no more
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_hostname=server_hostname)
        self._shake()

    @property
    def pending(self) -> bool:
        """Whether it has something to send of itself."""
        return self._to_send.pending > 0

    def open(self, data: bytes | memoryview) -> bytes:
        """What ``data`` that was received says in clear. Raises ssl.SSLError, or another OSError."""
        self._received.write(data)
        if not self.ready:
            self._shake()
        pieces = []
        try:
            while self.ready and self._received.pending:
                piece = self._tls.read(RECORD)
                if not piece:
                    self.ended = True
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:  # the rest of a record is to come
            pass
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def seal(self, data: bytes) -> bytes:
        """What is to be sent, so that the peer reads ``data``."""
        left = memoryview(data)
        while left:
            left = left[self._tls.write(left) :]
        return self._to_send.read()

    def farewell(self) -> bytes:
        """What is to be sent at the end."""
        with suppress(ssl.SSLError, ValueError):  # the peer's is not waited for; or hands were never shaken
            self._tls.unwrap()
        return self._to_send.read()

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        self.ready = True
