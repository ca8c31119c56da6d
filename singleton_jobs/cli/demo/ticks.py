"""The one clock that all replicas of the demo share, and how they name its seconds."""

from dataclasses import dataclass

from ...concurrency.clock import SYSTEM_CLOCK

__all__ = ["Ticks"]


@dataclass(frozen=True, slots=True)
class Ticks:
    """Unix time that nobody sets: boot time plus what the wall clock was ahead of it at the demo's start.

    A tick is named by its whole second. All processes of one machine that are given the same ``offset`` agree on it.
    """

    offset: float

    @classmethod
    def begin(cls) -> "Ticks":
        """A clock that shows the wall clock's time of now."""
        return cls(SYSTEM_CLOCK.wall() - SYSTEM_CLOCK.now())

    def now(self) -> float:
        """The time, in seconds."""
        return SYSTEM_CLOCK.now() + self.offset
