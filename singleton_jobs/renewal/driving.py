"""What is driven, and by whom."""

from typing import Protocol

from ..config import Config

__all__ = ["Driven", "Driver"]


class Driven(Protocol):
    """A candidacy, or whatever else takes one step after the other."""

    @property
    def lease(self) -> str:
        """What it is about, for people."""

    @property
    def lane(self) -> object:
        """Equal for those that share the connections of one store."""

    @property
    def config(self) -> Config:
        """Its timing."""

    @property
    def held_until(self) -> float:
        """When it is to `expire` if nothing else happens; minus infinity if it holds nothing."""

    def __hash__(self) -> int: ...

    def expire(self) -> None:
        """Latch a loss that the clock has brought."""

    async def step(self) -> float:
        """Do what is due. The time (boot time, seconds) of the next step; now or earlier: at once."""


class Driver(Protocol):
    """Whoever calls `Driven.step` when something is to do."""

    def wake(self, driven: Driven, /) -> None:
        """Have `Driven.step` called soon; from any thread."""

    def unanswered(self) -> float:
        """Seconds that a sign of life has been waited for."""
