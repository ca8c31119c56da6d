"""When a candidate sends its next request: renewals on a common grid, all else spread."""

from typing import Protocol

from ..config import JITTER, Config
from ..errors import AccessDenied, StoreError

__all__ = ["Chance", "Pace"]

HERD_SPREAD = 0.01  # seconds over which followers spread after a seen release: two or three of them
WIDEST_SPREAD = 0.16  # and where many have been in each other's way
DENIED_RETRY = 30.0  # seconds between tries while access is denied to a follower


class Chance(Protocol):
    """What is used of ``random.Random``."""

    def uniform(self, a: float, b: float, /) -> float:
        """A number between ``a`` and ``b``."""


class Pace:
    """``phase`` (seconds) aligns the renewals of many candidates, so that they share wake-ups."""

    def __init__(self, config: Config, rng: Chance, phase: float) -> None:
        self.told = False  # a watch tells of changes, so that reads are for the case that it does not
        self._config = config
        self._rng = rng
        self._phase = phase
        self._spread = HERD_SPREAD

    def next_renewal(self, sent_at: float) -> float:
        """The next point of the common grid: one renewal per retry period, in company."""
        period = self._config.retry_period
        ahead = period - (sent_at - self._phase) % period
        return sent_at + (ahead if ahead > period / 100 else ahead + period)  # sent just before a point counts as at it

    def poll(self) -> float:
        """Seconds from one look at another's record to the next."""
        return self._config.lease_duration / 2 if self.told else self._look()

    def spread(self) -> float:
        """Seconds from the sight of a release to the attempt to take the lease: others saw it, too."""
        return self._rng.uniform(0, self._spread)

    def raced(self, *, refused: bool) -> None:
        """Others were as fast after a release, and a write was ``refused``; or none was in the way."""
        self._spread = min(2 * self._spread, WIDEST_SPREAD) if refused else max(self._spread / 2, HERD_SPREAD)

    def retry(self, error: StoreError, left: float | None) -> float:
        """Seconds from ``error`` to the next try; a holder has ``left`` seconds of its hold, a follower None."""
        wish = error.retry_after or 0.0
        if left is None:
            # A holder goes on trying: a server that has just started denies everything before it knows its roles.
            return DENIED_RETRY if isinstance(error, AccessDenied) else max(self._look(), min(wish, DENIED_RETRY))
        backoff = self._config.retry_period / 2 * self._rng.uniform(1, JITTER)
        # A holder heeds the store's wish only while that leaves it time for one more request.
        return max(backoff, wish) if wish <= left - self._config.request_timeout else backoff

    def _look(self) -> float:
        return self._config.retry_period * self._rng.uniform(1, JITTER)
