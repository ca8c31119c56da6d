"""Leases of the jobs of a spread guard: one each, taken by whichever replica runs a fire of the job, for that run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..keys import key_text, keyed_name
from .bases import BasedLeases, BasedPart

if TYPE_CHECKING:
    from ..config import Config
    from ..events import Event
    from ..renewal.candidacy import Candidacy
    from .core import Core

__all__ = ["SpreadLeases", "SpreadPart"]


class SpreadLeases(BasedLeases):
    """The leases of all jobs of a guard."""

    role = "a spread guard"

    def __init__(self, core: Core, name: str, config: Config | None) -> None:
        super().__init__(core, name, config)
        self.callbacks: list[Callable[[Event], object]] = []
        keyed_name(self.base, "key")  # raises if it leaves no room

    @property
    def timing(self) -> Config:
        """The timing of each lease."""
        return self.core.timing(self)

    @property
    def identity(self) -> str:
        """Who holds leases here."""
        return self.core.wiring().identity

    def prepare(self) -> None:
        """Raises ConfigError if there is no store."""
        if self.core.mode == "auto":
            self.core.wiring().store()

    def part(self, key: str) -> SpreadPart:
        """A part in the lease of the job that goes by ``key``. Raises ConfigError for what can be no key."""
        return SpreadPart(self, key_text(self.name, key))


class SpreadPart(BasedPart):
    """The part in the lease of one job."""

    role = SpreadLeases.role
    sticky = False
    _leases: SpreadLeases

    def __init__(self, leases: SpreadLeases, key: str) -> None:
        super().__init__(leases, key)
        self.callbacks = leases.callbacks
        self.core.add_locker(self)

    def open(self, listener: Callable[[], None]) -> Candidacy:
        """The candidacy, which is told of its lease from now on; ``listener``: see `Candidacy`.

        Raises ConfigError if there is no store.
        """
        with self._mutex:
            candidacy = self._open()
        candidacy.listener = listener
        if not candidacy.pretending:
            candidacy.wake()
        return candidacy

    def begin_close(self) -> None:
        """As any other; a job store that has shut down keeps none of its parts."""
        self.core.keep(self)
        super().begin_close()

    def forget(self) -> None:
        """The job is gone: nothing need be told of its lease any more."""
        if self.candidacy:
            self.candidacy.standing = False
            self.candidacy.wake()

    def _make(self) -> Candidacy:
        leases, wiring = self._leases, self.core.wiring()
        if self.core.mode != "auto":  # no store is asked, so none has to be there
            made = wiring.storeless(self.lease, self.timing, self.callbacks)
            if self.core.mode == "always":
                made.pretend()
            return made
        return wiring.of_base(leases, self._key, leases.identity, self.timing, self.callbacks, self.jobs, lasting=True)

    def _opened(self, candidacy: Candidacy) -> None:
        self.core.announce(candidacy)
