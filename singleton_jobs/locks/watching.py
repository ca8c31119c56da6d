"""What a resource lock may offer besides: to tell of changes as they happen, instead of being asked."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

from .record import Stored

__all__ = ["Sight", "Watch", "Watchable"]


class Sight(NamedTuple):
    """The lease as it looked at ``version`` of the store; ``stored`` None: there was no such lease.

    Versions order all sights of one store, whatever lease they are of, so that what comes late or twice is known.
    """

    stored: Stored | None
    version: int


class Watch(Protocol):
    """A watch of one lease that somebody asked for."""

    @property
    def how(self) -> str:
        """How changes are learnt of just now, in a few words for people."""

    def doubt(self) -> None:
        """A read has found what the watch should have told before: make it anew."""

    def ask(self) -> None:
        """Whoever is told makes a request: until `know` he may be left untold."""

    def know(self, version: int | None) -> None:
        """It has ended; he wrote ``version`` by it, and need not be told of that."""

    def end(self) -> None:
        """Tell nothing any more. Idempotent."""


@runtime_checkable
class Watchable(Protocol):
    """A resource lock that can be watched."""

    def watch(self, tell: Callable[[Sight | None], None]) -> Watch:
        """From now on call ``tell`` on the running event loop, soon after each change, first with how it is.

        None: nothing can be told for now, as before the first sight, so that whoever wants to know has to ask.
        Nothing depends on a sight for its safety, nor for more than some delay if one is late or never comes.
        """
