"""A beat's part in its leadership: it competes while it ticks, waits to lead, and gives the lease up."""

from __future__ import annotations

from singleton_jobs import Leadership, Term
from singleton_jobs.concurrency.synchronization import run_blocking
from singleton_jobs.replica import EXIT_LIMIT

__all__ = ["Membership"]


class Membership:
    """From the first tick of a beat to its end. Raises ConfigError if there is no store to compete in."""

    def __init__(self, leadership: Leadership) -> None:
        self._leadership = leadership
        self._ended = False
        self.candidacy = leadership.prepare()
        self._clock = self.candidacy.clock
        self._progress = self._clock.now()
        self.candidacy.only_while(self._ticks)
        leadership.start()

    def progress(self) -> None:
        """The beat gets on; a leader that does not, for as long as its lease, gives it up."""
        self._progress = self._clock.now()
        if self.candidacy.unfit:
            self.candidacy.wake()

    def wait(self) -> bool:
        """Whether this replica leads; waits for that up to one retry period, so that a take-over is noticed at once."""
        candidacy = self.candidacy

        def settled() -> bool:  # without a lock, since a signal's handler may end the wait and the candidacy
            return self._ended or (candidacy.term is not None and not candidacy.draining)

        until = self._clock.now() + candidacy.config.retry_period
        return run_blocking(candidacy.changed.wait(settled, until, block=True)) and not self._ended

    def enter(self, entry: object) -> Term | None:
        """Begin a tick: the term it runs under, which does not end by the program's own wish before `exit`."""
        return self.candidacy.enter(entry)

    def exit(self, entry: object) -> None:
        """End a tick."""
        self.candidacy.exit(entry)

    def step_down(self) -> None:
        """Let another replica lead, once the tick under way has ended."""
        self.candidacy.drain(again=True, rest=self.candidacy.step_down_rest)

    def leave(self) -> None:
        """Give the lease back, by the renewal thread; the program's end may wait for that a little."""
        self._ended = True
        self._leadership.begin_close()
        run_blocking(self.candidacy.wait_left(self._clock.now() + EXIT_LIMIT, block=True))

    def _ticks(self, now: float) -> bool:
        return now - self._progress <= self.candidacy.config.lease_duration
