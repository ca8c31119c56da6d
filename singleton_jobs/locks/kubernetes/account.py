"""What lets us in: credentials, loaded on a thread of their own, for all sessions with one API server."""

import asyncio
from functools import partial

from ...concurrency.clock import SYSTEM_CLOCK
from ...concurrency.threads import Worker
from ...errors import StoreError
from .credentials import Access, Credentials

__all__ = ["Account"]

TOKEN_REFRESH = 60.0  # seconds; kubelet rotates token files long before they expire
CREDENTIALS_TIMEOUT = 10.0  # seconds; an exec plugin may hang


class Account:
    """Credentials that are kept while they are good; ``worker`` is the thread that loads them."""

    def __init__(self, credentials: Credentials) -> None:
        self.worker = Worker("singleton-jobs-credentials")
        self._credentials = credentials
        self._access: Access | None = None
        self._refused = False
        self._fresh_until = 0.0

    def refused(self, access: Access) -> None:
        """The server refused ``access``: what comes after it is read anew."""
        if access is self._access:
            self._refused = True

    async def load(self) -> Access:
        """What to ask with now. Raises StoreError."""
        now = SYSTEM_CLOCK.now()
        if self._access is not None and not self._refused and now < self._fresh_until:
            return self._access
        self._fresh_until = now + TOKEN_REFRESH  # other requests go on with the old credentials meanwhile
        try:
            async with asyncio.timeout(CREDENTIALS_TIMEOUT):
                return await self.worker.call(partial(self._load_now, self._access))
        except Exception as error:
            self._fresh_until = 0.0
            why = f"no answer within {CREDENTIALS_TIMEOUT:g} s" if isinstance(error, TimeoutError) else str(error)
            raise StoreError(f"cannot get Kubernetes credentials: {why}", outcome="not done") from error

    def _load_now(self, instead_of: Access | None) -> Access:
        """On the worker, one after the other: who comes later, or gave up waiting, finds what was loaded before."""
        if self._access is None or self._access is instead_of:
            anew, self._refused = self._refused, False
            try:
                self._access = self._credentials.load(anew=anew)
            except BaseException:
                self._refused = anew
                raise
        return self._access
