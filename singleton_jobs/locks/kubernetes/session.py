"""What one event loop has of an API server: its connections, and requests as the credentials of now want them."""

import asyncio

from .connections import Connections
from .credentials import Access
from .request import Requests
from .resolver import Resolver

__all__ = ["Session"]

LINGERING = 10.0  # seconds that requests with the credentials of before may take


class Session:
    """To be made on its loop. Raises ValueError for credentials that no request can hold."""

    def __init__(self, access: Access, resolver: Resolver, limit: int) -> None:
        self.access = access
        self.requests = Requests(access)
        self.connections = Connections(access, resolver, limit)
        self._resolver = resolver
        self._limit = limit
        self._retired: set[Connections] = set()

    def follow(self, access: Access) -> None:
        """Go on with ``access``. Raises ValueError."""
        requests = Requests(access)
        before, self.access, self.requests = self.access, access, requests
        # A connection keeps the certificates that it was made with.
        if access._replace(authorization=None, headers=()) == before._replace(authorization=None, headers=()):
            self.connections.access = access
            return
        self.connections.retire()
        self._retired.add(self.connections)
        asyncio.get_running_loop().call_later(LINGERING, self._drop, self.connections)
        self.connections = Connections(access, self._resolver, self._limit)

    def _drop(self, connections: Connections) -> None:
        self._retired.discard(connections)
        connections.close()

    async def aclose(self) -> None:
        """Close all connections."""
        for connections in (self.connections, *self._retired):
            await connections.aclose()
