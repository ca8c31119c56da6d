"""How a list and the watch that goes on from it follow each other: from which version, and after how long. No I/O."""

from random import Random

__all__ = ["Progress"]

FIRST = 0.4  # seconds within which what broke is asked for again
GROWTH = 2.5  # the second time within 1 s, so that the replicas of a server that restarts do not come in step
LONGEST = 30.0  # seconds
BRIEF = 1.0  # seconds; a watch that was over sooner, and told nothing, was none
STEADY = 60.0  # seconds after which a watch that told nothing has worked all the same
DOUBTS = 5  # refusals in a row that are believed to one that was let in before: a restarted server refuses at first


class Progress:
    """Told what happened and when, in seconds; answers with the seconds to wait before the next request."""

    def __init__(self, rng: Random) -> None:
        self.version: int | None = None  # from which the watch goes on; None: a list comes first
        self._rng = rng
        self._newest = 0
        self._failures = 0
        self._let_in = False  # to a watch, ever
        self._opened_at: float | None = None  # when the watch under way began
        self._told = False  # something, since then

    def listed(self, version: int) -> bool:
        """Whether the store was set back: a list is never older than what was told before."""
        set_back = version < self._newest
        self.version = self._newest = version
        return set_back

    def opened(self, now: float) -> None:
        """The watch has begun."""
        self._let_in, self._opened_at, self._told = True, now, False

    def moved(self, version: int) -> None:
        """The watch has told all up to ``version``."""
        self._told, self._failures = True, 0
        self.version = self._newest = max(self._newest, version)

    def ended(self, now: float) -> float:
        """The server has ended the watch: it goes on from where it was, unless it has been none."""
        if not self._told and self._lasted(now) < BRIEF:
            return self.failed(now)
        self._opened_at = None
        return 0.0

    def expired(self) -> float:
        """The version is too old: the list is next, at once if this is nothing that happens all the time."""
        again = self._failures > 0
        delay = self._fail()
        return delay if again else 0.0

    def denied(self) -> float | None:
        """The account may not; None: that is to be believed."""
        if not self._let_in or self._failures >= DOUBTS:
            return None
        return self._fail()

    def failed(self, now: float, retry_after: float | None = None) -> float:
        """There was no answer, or no more of it: the list is next."""
        if self._lasted(now) >= STEADY:
            self._failures = 0
        return max(self._fail(), min(retry_after or 0.0, LONGEST))

    def _lasted(self, now: float) -> float:
        return 0.0 if self._opened_at is None else now - self._opened_at

    def _fail(self) -> float:
        self.version = self._opened_at = None
        self._failures += 1
        return self._rng.uniform(0, min(LONGEST, FIRST * GROWTH ** (self._failures - 1)))
