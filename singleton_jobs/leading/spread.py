"""Leases of the jobs of a spread guard: one each, taken by whichever replica runs a fire of the job, for that run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..decisions.store_clock import StoreClock
from ..keys import key_text, keyed_name
from .lease_uses import ALL_KEYS
from .participant import Participant

if TYPE_CHECKING:
    from ..config import Config
    from ..events import Event
    from ..renewal.candidacy import Candidacy
    from .core import Core

__all__ = ["SpreadLeases", "SpreadPart"]


class SpreadLeases:
    """The leases of all jobs of the guard ``name``, as one replica uses them.

    Raises ConfigError for a name or timing that cannot work.
    """

    role = "a spread guard"

    def __init__(self, core: Core, name: str, config: Config | None) -> None:
        self.core = core
        self.name = name
        self.config = config
        self.callbacks: list[Callable[[Event], object]] = []
        self.store_clock = StoreClock()  # an answer about one job tells the time for all
        keyed_name(self.base, "key")
        core.declare(self, config)

    @property
    def use(self) -> str:
        """Equal for all users of leases of this base."""
        return f"{self.name.lower()}{ALL_KEYS}"

    @property
    def base(self) -> str:
        """What the names of the leases begin with, as they are stored."""
        return self.core.full_name(self.name)

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


class SpreadPart(Participant):
    """The part in the lease of one job."""

    role = SpreadLeases.role
    sticky = False

    def __init__(self, leases: SpreadLeases, key: str) -> None:
        super().__init__(leases.core, leases.name, leases.config)
        self._leases = leases
        self._key = key
        self.callbacks = leases.callbacks
        self.core.add_locker(self)

    @property
    def use(self) -> str:
        return self._leases.use

    @property
    def base(self) -> str:  # type: ignore[override]
        return self._leases.base

    @property
    def lease(self) -> str:
        return keyed_name(self._leases.base, self._key)

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
        return wiring.spread(
            leases.base, self._key, leases.identity, self.timing, self.callbacks, self.jobs, leases.store_clock
        )

    def _opened(self, candidacy: Candidacy) -> None:
        self.core.announce(candidacy)
