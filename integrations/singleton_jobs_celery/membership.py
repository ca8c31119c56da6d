"""A beat's part in its leadership: it competes while it ticks, waits to lead, and gives the lease up."""

from __future__ import annotations

from singleton_jobs import Leadership
from singleton_jobs.concurrency.synchronization import run_blocking
from singleton_jobs.leading.core import EXIT_LIMIT
from singleton_jobs.leading.membership import Membership, members
from singleton_jobs.leading.participant import part_of

__all__ = ["BeatMembership"]


class BeatMembership(Membership):
    """From the first tick of a beat to its end. Raises ConfigError if there is no store to compete in."""

    def __init__(self, leadership: Leadership) -> None:
        super().__init__(leadership)
        self._clock = self.candidacy.clock
        self.progressed_at = self._clock.now()  # when the beat got on last

    def start(self) -> None:
        """Compete, as long as the beat gets on."""
        self.join()
        self.candidacy.only_while(self._ticks)
        self.leadership.start()

    def progress(self) -> None:
        """The beat gets on; a leader that does not, for as long as its lease, gives it up."""
        self.progressed_at = self._clock.now()
        if self.candidacy.unfit:
            self.candidacy.wake()

    def wait_to_lead(self) -> bool:
        """Whether this replica leads; waits for that up to one retry period, so that a take-over is noticed at once."""
        candidacy = self.candidacy

        def leads() -> bool:  # without a lock, since a signal's handler may end the wait and the candidacy
            return candidacy.term is not None and not candidacy.work.draining

        return self.wait(leads, self._clock.now() + candidacy.config.retry_period) and not self.ended

    def step_down(self) -> None:
        """Let another replica lead, once the tick under way has ended."""
        self.candidacy.work.drain(again=True, rest=self.candidacy.step_down_rest)

    def leave(self) -> None:
        """Give the lease back, by the renewal thread; the program's end may wait for that a little."""
        if self.end():
            part_of(self.leadership).begin_close()
            run_blocking(self.candidacy.work.wait_left(self._clock.now() + EXIT_LIMIT, block=True))

    def _ticks(self, now: float) -> bool:
        """Whether every beat of this process that shares the leadership gets on."""
        beats = [each for each in members(self.leadership) if isinstance(each, BeatMembership)]
        return all(now - beat.progressed_at <= self.candidacy.config.lease_duration for beat in beats)
