"""Which leases of keys are to be deleted, as nobody needs them any more; no I/O, clock, thread or chance of its own."""

import math
from collections.abc import Mapping

from ..config import JITTER, Config
from ..errors import AccessDenied, StoreError
from ..locks.record import Stored
from .ledger import kept_until
from .observer import content, duration_of, is_dead
from .pace import Chance

__all__ = ["Sweeping"]

PERIOD = 4 / 3  # lease durations from one list to the next, so that two of them show who has died
QUIET = 2  # lists in a row without anything to wait for, after which nothing more is listed
DENIED_REST = 600.0  # seconds for which nothing is listed after that was denied


class Sweeping:
    """What one process has seen of the leases of one base, and when it is to look again.

    A lease is to be deleted if no mark in it counts, and it is free or would be taken: its holder was seen unchanged
    for the record's own duration, or the store itself calls it dead. As exactly the version is deleted that
    was seen, nobody who has taken or renewed it meanwhile is harmed.
    """

    def __init__(self, config: Config, rng: Chance) -> None:
        self.due = math.inf  # when the leases are to be listed next
        self._config = config
        self._rng = rng
        self._quiet = 0
        self._denied_until = -math.inf
        self._known: dict[str, tuple[object, float]] = {}  # held ones by name, and since when they look like that
        self._listed: dict[str, tuple[object, float]] = {}  # the same, of the list under way
        self._busy = False  # that list has shown somebody who may die, or what is to be deleted
        self._kept = math.inf  # and marks, of which the first is over then

    def used(self, now: float) -> bool:
        """Somebody here uses a key; whether `due` has changed."""
        self._quiet = 0
        due = max(now + self._pause(), self._denied_until)
        if self.due <= due:
            return False
        self.due = due
        return True

    def see(self, page: Mapping[str, Stored | StoreError], at: float, wall: float) -> dict[str, Stored]:
        """What is to be deleted of a ``page``, received ``at``; ``wall`` is for a store that does not tell its time."""
        return {
            name: found
            for name, found in page.items()
            if not isinstance(found, StoreError) and self._is_over(name, found, at, wall)
        }

    def end(self, at: float) -> None:
        """The list is through."""
        self._known, self._listed = self._listed, {}
        busy, self._busy = self._busy, False
        kept, self._kept = self._kept, math.inf
        self._quiet = 0 if busy else self._quiet + 1
        if self._quiet < QUIET:
            self.due = at + self._pause()
        else:
            self.due = max(at, kept) + self._pause()  # perhaps never

    def failed(self, error: StoreError, at: float) -> None:
        """The list, or a deletion, ended with ``error``."""
        self._listed, self._busy, self._kept = {}, False, math.inf
        if isinstance(error, AccessDenied):
            self._denied_until, self.due = at + DENIED_REST, math.inf
        else:
            self.due = at + self._pause()

    def _is_over(self, name: str, found: Stored, at: float, wall: float) -> bool:
        kept = kept_until(found.ledger)
        left = kept.timestamp() - (found.served_at.timestamp() if found.served_at else wall) if kept else 0.0
        needed = self._is_held(name, found, at)
        if not needed and left > 0:
            self._kept = min(self._kept, at + left)
            return False
        self._busy = True
        return not needed

    def _is_held(self, name: str, found: Stored, at: float) -> bool:
        if not found.record.holder_identity or is_dead(found, self._config):
            return False
        looks = content(found)
        before, since = self._known.get(name, (None, at))
        self._listed[name] = looks, since if before == looks else at
        return at < self._listed[name][1] + duration_of(found, self._config)

    def _pause(self) -> float:
        return PERIOD * self._config.lease_duration * self._rng.uniform(1, JITTER)
