"""How a store answers one candidacy: its errors in a row, and when it was last heard of."""

from ..errors import StoreError
from ..events import StoreFailed, StoreRecovered
from ..locks.record import Stored
from .reporter import Reporter

__all__ = ["Contact"]


class Contact:
    """``at``: when the store last answered (seconds of boot time). ``error``: what it has done instead since."""

    def __init__(self, reporter: Reporter) -> None:
        self.at: float | None = None
        self.error: StoreError | None = None
        self._failures = 0  # in a row
        self._reporter = reporter

    def note(self, outcome: Stored | StoreError | None, now: float) -> None:
        """A request ended with ``outcome``; a conflict is an answer as good as any."""
        if isinstance(outcome, StoreError) and outcome.outcome != "conflict":
            self._failures += 1
            news = self.error is None or type(self.error) is not type(outcome)
            self.error = outcome
            if news:
                self._reporter.tell(StoreFailed, outcome)
            return
        self.at, self.error = now, None
        failures, self._failures = self._failures, 0
        if failures:
            self._reporter.tell(StoreRecovered, failures)
