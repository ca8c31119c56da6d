"""The lease of one job of a spread guard, as one replica sees and uses it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal, Protocol

from singleton_jobs.decisions.bids import Bid, PlannedBid, Scout
from singleton_jobs.decisions.ledger import Attempt, Mark
from singleton_jobs.leading.spread import SpreadPart

__all__ = ["JobLease"]

ERRANDS = 0.05  # seconds over which replicas spread that have all seen the same


class Attempted(Protocol):
    """What the lease is being taken for."""

    def settled(self) -> None:
        """The lease is taken, or not to be had; on the renewal thread, and more than once."""


class JobLease:
    """``key``: the job's name in the ledger. ``news`` is called, on the renewal thread, when it looks otherwise.

    It is taken for one thing at a time: to run the job, or for an errand, which only tells the ledger something.
    """

    def __init__(self, part: SpreadPart, key: str, news: Callable[[], None]) -> None:
        self.key = key
        self.planned_by: object = NEVER  # the mark that the schedule goes on from
        self.first: Mark | None = None  # where the job begins, until the ledger has a mark
        self._part = part
        self._news = news
        self._attempt: Attempted | None = None
        self._scouting = False
        self._looks: object = NEVER
        part.jobs.add(key)
        self.candidacy = part.open(self._listen)

    @property
    def is_busy(self) -> bool:
        """Whether it is being taken, used or given back here."""
        return self._attempt is not None or self.candidacy.candidate.releasing

    @property
    def is_known(self) -> bool:
        """Whether it is known how it looks, without asking."""
        with self.candidacy.mutex:
            return self.candidacy.pretending or self.candidacy.candidate.knows(self.candidacy.clock.now())

    @property
    def is_free(self) -> bool:
        """Whether it may be taken, by what was seen last."""
        with self.candidacy.mutex:
            return self.candidacy.pretending or self.candidacy.candidate.is_free(self.candidacy.clock.wall())

    @property
    def stored(self) -> Mark | None:
        """The job's mark in the ledger, as far as it was seen here."""
        return self.candidacy.fires.stored(self.key)

    @property
    def mark(self) -> Mark | None:
        """What its schedule is counted from."""
        return self.stored or self.first

    @property
    def is_planned(self) -> bool:
        """Whether the job's schedule goes on from its present mark."""
        stored = _plan_of(self.stored)
        is_first = self.planned_by is None and self.first is not None and stored == _plan_of(self.first)
        return is_first or self.planned_by == stored

    def planned(self) -> None:
        """The job's schedule goes on from its present mark."""
        self.planned_by = _plan_of(self.stored)

    def take(self, attempt: Attempted, bid: Bid) -> bool:
        """Try to take it; `release` ends that. False: the replica is closing."""
        self._scouting = False
        with self.candidacy.mutex:  # or the end of what was tried before would be taken for this one's
            self._attempt = attempt if self.candidacy.pretending or self._start(bid) else None
            return self._attempt is not None

    def release(self, attempt: Attempted) -> None:
        """``attempt`` is over: stop trying, or give the lease back, with the end of what has run."""
        if self._attempt is not attempt:
            return
        candidate = self.candidacy.candidate
        if not self.candidacy.pretending:
            self.candidacy.change(lambda now: candidate.stop(now) if candidate.hold or candidate.wanted else None)
        self._attempt = None
        self._news()

    def scout(self) -> None:
        """Look how it is, and again when it is free; `news` then."""
        if not (self.is_busy or self._scouting or self.candidacy.pretending):
            self._scouting = self._start(Scout())

    def settle(
        self, give_up: list[Attempt], first: Mark | None = None, then: Literal["skipped", "gave-up"] = "gave-up"
    ) -> None:
        """Have the ledger told that nobody runs ``give_up`` again, and where the job begins; and people of the first.

        Whoever takes the lease also tells of a run that was cut short, and nobody runs again.
        """
        if not (self.is_busy or self.candidacy.pretending):
            if first is not None:
                self.candidacy.fires.introduce({self.key: first.fire})
            errand = _Errand(self, give_up, then)
            self.take(errand, PlannedBid(self.key, self.stored, (), random.uniform(0, ERRANDS)))

    def forget(self) -> None:
        """The job is gone, or the scheduler ends: what runs goes on to its end."""
        self.candidacy.listener = None if self._attempt is None else self._listen
        self._part.forget()

    def close(self) -> None:
        """Give it back once what runs has ended."""
        self._part.begin_close()
        self.forget()

    def _start(self, bid: Bid) -> bool:
        return self.candidacy.start(unless=lambda: self._part.core.closed, bid=bid)

    def _listen(self) -> None:
        candidacy = self._part.candidacy  # which may tell before it is known here
        if candidacy is None:
            return
        candidate = candidacy.candidate
        with candidacy.mutex:
            attempt = self._attempt
            over = candidacy.term is not None or not candidate.wanted
        if attempt and over:
            attempt.settled()
        if self._scouting and not candidate.wanted:
            self._scouting = False
            self._looks = NEVER
        seen = candidate.seen
        looks = seen and (seen.record.holder_identity, seen.ledger)
        if looks != self._looks and candidate.is_seen:
            self._looks = looks
            self._news()


class _Errand:
    """The lease is taken only for what the taking write, and the giving back, tell its ledger."""

    def __init__(self, lease: JobLease, give_up: list[Attempt], then: Literal["skipped", "gave-up"]) -> None:
        self._lease = lease
        self._give_up = give_up
        self._then = then

    def settled(self) -> None:
        candidacy = self._lease.candidacy
        if candidacy.term:
            for attempt in self._give_up:
                candidacy.fires.give_up(self._lease.key, attempt, self._then)
            self._give_up = []
        self._lease.release(self)


class _Never:
    """What no mark and no record is."""


NEVER = _Never()


def _plan_of(mark: Mark | None) -> object:
    return mark and (mark.fire, mark.nonce)
