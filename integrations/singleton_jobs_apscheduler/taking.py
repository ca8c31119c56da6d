"""Runs of a due job for which its own lease is taken: the write that takes it claims them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from apscheduler.job import Job

from singleton_jobs import Term
from singleton_jobs.decisions.bids import PlannedBid

from .due_trigger import StandIn
from .runs import Run
from .spread_fires import SpreadFires, worker
from .submission import Planned, Submission

__all__ = ["Taking"]

logger = logging.getLogger("singleton_jobs")


class Taking(Submission):
    """Guarded work from the grant to the end of the last run; until then, others may be faster."""

    _fires: SpreadFires

    def __init__(
        self,
        due: StandIn,
        job: Job,
        run_times: list[datetime],
        hand_over: Callable[[Submission, list[Run]], None],
    ) -> None:
        super().__init__(due, job, run_times, hand_over)
        self._lease = self._fires.lease_of(due.job.id)
        self._settled = False
        self._before: Term | None = None  # the last term before this one's

    def start(self) -> None:
        """Bid for the lease: `decide` is called once it is known what came of that."""
        self._plan()
        claims = tuple(claim for _, claim in self._planned if claim)
        for claim in claims:
            claim.asked_at = self._asked_at
        if self._candidacy.pretending:
            for claim in claims:
                claim.outcome = "granted"
        self._fires.undecided.add(self)
        fire = f"{self.due.key} {self._run_times[-1].timestamp():.3f}"
        turn = self._fires.turns.delay(self._fires.identity, fire, self._asked_at)
        self._before = self._candidacy.last_term
        bid = PlannedBid(self.due.key, self.due.mark, claims, turn)
        if not self._lease.take(self, bid) or self._candidacy.pretending:
            self.settled()

    def settled(self) -> None:
        """The lease is taken, or not to be had: it is decided soon, once."""
        with self._candidacy.mutex:  # a shutdown may come at the same moment, on another thread
            is_first, self._settled = not self._settled, True
        if is_first:
            self._term = self._candidacy.work.enter(self)  # before anybody can find that nothing runs
            worker.submit(self._try_to_decide)

    def give_up(self) -> None:
        """The scheduler ends: what is not granted by now is left to others."""
        if self._candidacy.term is None:
            self._lease.release(self)
        self.settled()

    def decide(self) -> None:
        """Hand over what was granted, if the lease was taken."""
        term = self._term
        if term and self._is_current():
            self._granted = [planned for planned in self._planned if self._is_granted(planned, term)]
        elif self._candidacy.last_term is not self._before:  # it was lost, or is of no use, before anything began
            for _, claim in self._planned:
                if claim and claim.outcome == "granted":
                    self._cut(claim)
        self._decided_at = self._candidacy.clock.now()
        self._fires.turns.raced(refused=self._candidacy.candidate.raced)
        self._fires.undecided.discard(self)
        self._fires.decided[self.job.id] = bool(self._granted)
        if self._granted:
            self._fires.granted(self.job.id)
        runs = self._next()
        self._fires.progressed(self, over=False)
        self._hand_over(self, runs)

    @property
    def _is_last(self) -> bool:
        return not self._granted

    def _try_to_decide(self) -> None:
        try:
            self.decide()
        except Exception:  # others wait behind this one
            logger.exception("Error while job %s was started", self.job.id)

    def _is_current(self) -> bool:
        """A run off schedule has no claim: another replica may have run it, and moved the job's row, meanwhile."""
        return all(claim for _, claim in self._planned) or self._fires.is_current(self.due.job)

    def _keep(self, planned: Planned) -> None:
        if planned.claim:
            self._cut(planned.claim)

    def _leave(self) -> None:
        super()._leave()
        self._lease.release(self)
