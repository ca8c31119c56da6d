"""HTTP/1.1 requests (RFC 9112) as bytes; what is the same in all of them is made once."""

from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from .credentials import Access
from .proxies import PORTS

__all__ = ["Place", "Requests", "tunnel"]

IN_PATHS = "/%:@!$&'()*+,;=~"  # what may stand in a path as it is


class Place:
    """The scheme, host and port of a URL; IDNA names as the network knows them."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.scheme = parts.scheme
        self.host = (parts.hostname or "").encode("idna").decode()
        self.port = parts.port or PORTS.get(parts.scheme, 0)
        bracketed = f"[{self.host}]" if ":" in self.host else self.host
        self.name = bracketed if self.port == PORTS.get(parts.scheme) else f"{bracketed}:{self.port}"
        self.with_port = f"{bracketed}:{self.port}"


class Requests:
    """To the server of ``access``, with its credentials. Raises ValueError for what no header may hold."""

    def __init__(self, access: Access) -> None:
        server = Place(access.address)
        path = quote(urlsplit(access.address).path, safe=IN_PATHS)
        untunnelled = access.proxy and server.scheme == "http"  # such a proxy wants the whole address
        self._before = f"http://{server.name}{path}" if untunnelled else path
        headers = [("Host", server.name), ("User-Agent", "singleton-jobs"), ("Accept", "application/json")]
        if access.authorization:
            headers.append(("Authorization", access.authorization))
        self._headers = _lines([*headers, *access.headers])

    def make(self, method: str, target: str, body: bytes | None = None) -> bytes:
        """For ``target``, a path and a query, both percent-encoded; ``body`` is JSON."""
        head = f"{method} {self._before}{target} HTTP/1.1\r\n{self._headers}"
        if body is None:
            return f"{head}\r\n".encode()
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def tunnel(to: Place, headers: Iterable[tuple[str, str]]) -> bytes:
    """What a proxy is asked for, so that it leads ``to`` the server. Raises ValueError."""
    lines = _lines([("Host", to.with_port), ("User-Agent", "singleton-jobs"), *headers])
    return f"CONNECT {to.with_port} HTTP/1.1\r\n{lines}\r\n".encode()


def _lines(headers: Iterable[tuple[str, str]]) -> str:
    for name, value in headers:
        if any(sign in f"{name}{value}" for sign in "\r\n\0"):
            raise ValueError(f"the header {name!r} would be more than one line")
    return "".join(f"{name}: {value}\r\n" for name, value in headers)
