"""Where the API server is: names are resolved off the loop's thread, and remembered."""

import socket
from collections.abc import Sequence

from aiohappyeyeballs import AddrInfoType

from ...concurrency.threads import Worker

__all__ = ["Resolver"]


class Resolver:
    """Falls back on the last answer where there is none."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._known: dict[tuple[str, int], Sequence[AddrInfoType]] = {}

    async def resolve(self, host: str, port: int) -> Sequence[AddrInfoType]:
        """All its addresses, in the order in which they should be tried. Raises OSError."""

        def look_up() -> Sequence[AddrInfoType]:
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)

        try:
            self._known[host, port] = await self._worker.call(look_up)
        except OSError:
            if (host, port) not in self._known:
                raise
        return self._known[host, port]
