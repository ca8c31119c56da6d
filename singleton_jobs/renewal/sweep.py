"""The sweep: leases of keys that nobody needs any more are listed now and then, and deleted."""

import logging
import math

from ..concurrency.clock import Clock
from ..concurrency.threads import new_owned_lock
from ..config import Config
from ..decisions.actions import Delete
from ..decisions.pace import Chance
from ..decisions.sweeping import Sweeping
from ..errors import AccessDenied, StoreError
from ..hooks.dispatcher import log
from ..locks.keyed import KeyedStore
from ..locks.record import Stored
from .driving import Driver
from .requests import send

__all__ = ["Sweep"]


class Sweep:
    """For the leases of one base in one store; driven as candidacies are, one list or deletion a step."""

    held_until = -math.inf  # it holds nothing

    def __init__(
        self, base: str, store: KeyedStore, identity: str, config: Config, clock: Clock, driver: Driver, rng: Chance
    ) -> None:
        self.lease = base
        self.lane = id(store)
        self.config = config
        self._store = store
        self._identity = identity
        self._clock = clock
        self._driver = driver
        self._rng = rng
        self._sweeping = Sweeping(config, rng)
        self._mutex = new_owned_lock()  # guards it, as keys are used on any thread, and by a signal's handler
        self._over: list[tuple[str, Stored]] = []  # to be deleted
        self._denied = False  # people were told

    def used(self) -> None:
        """A key of this base is used; from any thread."""
        with self._mutex:
            news = self._sweeping.used(self._clock.now())
        if news:
            self._driver.wake(self)

    def expire(self) -> None:
        """Nothing is held."""

    async def step(self) -> float:
        """List, or delete one lease; when the next step is due."""
        try:
            if self._over:
                await self._delete(*self._over.pop())
            elif self._clock.now() >= self._sweeping.due:
                await self._list()
        except StoreError as error:
            self._over.clear()
            self._fail(error)
        return -math.inf if self._over else self._sweeping.due

    async def _list(self) -> None:
        over: dict[str, Stored] = {}
        async for page in self._store.list_keyed(self.lease):
            over |= self._sweeping.see(page, self._clock.now(), self._clock.wall())
        self._denied = False
        # In no order: another process that deletes the same does not get in the way at each.
        self._over = sorted(over.items(), key=lambda _: self._rng.uniform(0, 1))
        with self._mutex:
            self._sweeping.end(self._clock.now())

    async def _delete(self, name: str, found: Stored) -> None:
        if found.key is None:
            return
        lock = self._store.keyed_lock(self.lease, found.key, self._identity)
        outcome = await send(Delete(found), lock, self.config.request_timeout)
        if (
            isinstance(outcome, StoreError) and outcome.outcome != "conflict"
        ):  # else it was taken, or deleted, meanwhile
            raise outcome

    def _fail(self, error: StoreError) -> None:
        with self._mutex:
            self._sweeping.failed(error, self._clock.now())
        if isinstance(error, AccessDenied) and not self._denied:
            self._denied = True
            log(logging.WARNING, "leases of keys of %s that nobody needs any more stay: %s", self.lease, error)
