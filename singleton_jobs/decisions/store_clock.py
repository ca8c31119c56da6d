"""The store's own time: from the dates of its answers and the boot time since."""

import math
from datetime import UTC, datetime

from ..locks.record import Stored

__all__ = ["StoreClock"]

CLOCK_STEP = 3.0  # seconds back that no slow answer explains: the store's clock was set


class StoreClock:
    """``skew``: seconds that the host's clock was ahead of the store's when they were last compared."""

    def __init__(self) -> None:
        self.skew = 0.0
        self.asked_at = -math.inf  # when the store last answered
        self._offset: float | None = None  # of the store's clock to ours, as far as answers tell
        self._doubted: float | None = None  # what the last answer said of it, if that is not believed yet
        self._tuned = False  # since the clocks were last compared

    @property
    def is_told(self) -> bool:
        """Whether `time` is the store's."""
        return self._offset is not None

    def time(self, now: float, wall: float) -> datetime:
        """The store's time at ``now``; the wall clock's if the store does not tell."""
        return datetime.fromtimestamp(wall if self._offset is None else now + self._offset, UTC)

    def compare(self, now: float, wall: float) -> None:
        """Find the host's `skew`, but only after an answer: while a machine sleeps, some count on one clock only."""
        if self._tuned and self._offset is not None:
            self._tuned = False
            self.skew = wall - (now + self._offset)

    def tune(self, stored: Stored | None, at: float) -> None:
        """An answer's date is late by its way here and cut to whole seconds: of many, the earliest is nearest."""
        self.asked_at = at
        if stored is None or stored.served_at is None:
            return
        offset = stored.served_at.timestamp() - at
        doubted, self._doubted = self._doubted, None
        if self._offset is None or offset > self._offset:
            self._offset = offset
        elif self._offset - offset > CLOCK_STEP:
            if doubted is None:  # one answer may be that late; two in a row say that the store's clock was set back
                self._doubted = offset
            else:
                self._offset = max(offset, doubted)
        self._tuned = self._doubted is None
