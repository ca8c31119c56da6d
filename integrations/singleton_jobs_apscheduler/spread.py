"""What `guard` gives for a spread scheduler: to look at, and to subscribe to."""

from __future__ import annotations

from collections.abc import Callable

from singleton_jobs.events import Event
from singleton_jobs.leading.spread import SpreadLeases

__all__ = ["Spread"]


class Spread:
    """The jobs of one guard, each of which runs on whichever replica takes the lease of that job for the run."""

    def __init__(self, leases: SpreadLeases) -> None:
        self._leases = leases

    def __repr__(self) -> str:
        return f"<Spread under {self.lease!r}>"

    @property
    def lease(self) -> str:
        """What the names of all jobs' leases begin with, as they are stored."""
        return self._leases.base

    @property
    def identity(self) -> str:
        """Whom the leases name as their holder while a job runs here."""
        return self._leases.identity

    def subscribe(self, callback: Callable[[Event], object]) -> Callable[[], None]:
        """Call ``callback(event)`` for each event of these leases, in order, on the thread that hooks are called on.

        The result takes it back.
        """
        callbacks = self._leases.callbacks
        callbacks.append(callback)

        def unsubscribe() -> None:
            if callback in callbacks:
                callbacks.remove(callback)

        return unsubscribe
