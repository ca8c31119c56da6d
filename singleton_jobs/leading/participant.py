"""Participants: one replica's part in one lease, behind the `Leadership` or `LeaseLocker` that people hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar

from ..concurrency.threads import new_lock

if TYPE_CHECKING:
    from ..config import Config
    from ..events import Event
    from ..renewal.candidacy import Candidacy
    from .core import Core

__all__ = ["Participant", "part_of"]

P_co = TypeVar("P_co", bound="Participant", covariant=True)


class Participant:
    """What guards, schedulers and the core itself know of a leadership or a locker, and people need not."""

    role: ClassVar[str]  # what a second user of the lease in another role is told that it is used by
    sticky: ClassVar[bool]  # it competes again by itself whenever it does not hold the lease
    base = ""  # of the lease of a key: what all leases of keys like it are called, as they are stored

    def __init__(self, core: Core, name: str, config: Config | None) -> None:
        self.core = core
        self.name = name  # the lease's, without the replica's prefix
        self.config = config  # as it was given; None: the replica's own
        self.candidacy: Candidacy | None = None  # from the first use on, until a fork
        self.callbacks: list[Callable[[Event], object]] = []
        self.jobs: set[str] = set()  # keys of the ledger whose marks are kept, however old they get
        self._mutex = new_lock()

    @property
    def lease(self) -> str:
        """The lease's name as it is stored."""
        return self.core.full_name(self.name)

    @property
    def use(self) -> str:
        """Equal for all participants in the same lease."""
        return self.name.lower()

    @property
    def timing(self) -> Config:
        """The lease's timing."""
        return self.core.timing(self)

    @property
    def holder(self) -> str | None:
        """Who was last seen to hold the lease; None if nobody was."""
        return self.candidacy.holder if self.candidacy else None

    def emit(self, event: Event) -> None:
        """Tell the log, hooks and subscribers, away from the calling thread."""
        self.core.emit(event, self.callbacks)

    def begin_close(self) -> None:
        """Refuse new work, and leave once what runs has ended; a held lock is work until it is unlocked."""
        if self.candidacy:
            self.candidacy.work.drain(again=False, release=self.candidacy.config.release_on_cancel)

    def after_fork(self) -> None:
        """Forget what belongs to the parent process."""
        self.candidacy = None
        self._mutex = new_lock()

    def _open(self) -> Candidacy:
        """The candidacy, made at the first use, without asking the store anything; the mutex is held.

        Raises ConfigError if there is no store.
        """
        if self.candidacy is None:
            candidacy = self._make()
            self._opened(candidacy)
            self.candidacy = candidacy
        return self.candidacy

    def _make(self) -> Candidacy:
        return self.core.open(self)

    def _opened(self, candidacy: Candidacy) -> None:
        """Note a new candidacy, before anybody else sees it."""


class _Face(Protocol[P_co]):
    @property
    def _part(self) -> P_co: ...


def part_of(face: _Face[P_co]) -> P_co:
    """What is behind a `Leadership` or a `LeaseLocker`."""
    return face._part  # noqa: SLF001 (the one door to it)
