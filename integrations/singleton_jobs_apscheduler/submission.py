"""One submission of a due job: the claims for its runs, and what became of each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.job import Job

from singleton_jobs import Fire, LeadershipLost, Term
from singleton_jobs.concurrency.synchronization import run_blocking
from singleton_jobs.decisions.ledger import Claim

from .due_trigger import DueTrigger
from .runs import NOT_RUN, Run

FOR_EVER = timedelta(days=3650)

__all__ = ["Submission", "SubmittedId"]


class _Planned(NamedTuple):
    run_time: datetime
    claim: Claim | None  # None: the run is off schedule


class Submission:
    """Guarded work from the moment the scheduler submits it: a drain waits for it.

    `start` asks for its claims, `decide` waits for them and gives ``hand_over`` what may run.
    """

    def __init__(
        self,
        due: DueTrigger,
        job: Job,
        run_times: list[datetime],
        hand_over: Callable[[Submission, list[Run]], None],
    ) -> None:
        self.due = due
        self.job = job
        self.told = False  # whether listeners know of it
        self._run_times = run_times
        self._fires = due.fires
        self._candidacy = due.fires.candidacy
        self._hand_over = hand_over
        self._asked_at = self._candidacy.clock.now()
        self._decided_at: float | None = None
        self._planned: list[_Planned] = []
        self._term: Term | None = None

    def start(self) -> None:
        """Ask for the claims, in nominal order."""
        self._planned = [self._plan(run_time) for run_time in self._run_times]
        self._fires.submitted(self)
        self._term = self._candidacy.work.enter(self)
        if self._term:
            self._ask(self._term)

    @property
    def delay(self) -> timedelta:
        """How long the claims have taken; while they are undecided, however long that may be."""
        return FOR_EVER if self._decided_at is None else timedelta(seconds=self._decided_at - self._asked_at)

    def decide(self) -> None:
        """Wait for the claims, and hand over what was granted."""
        runs = self._granted(self._term) if self._term else []
        if self._term is None:
            for planned in self._planned:
                self._keep(planned)
        self._decided_at = self._candidacy.clock.now()
        self._fires.progressed(self, over=False)
        if not runs:
            self._leave()
        self._hand_over(self, runs)

    def ended(self, events: list[JobExecutionEvent]) -> tuple[list[JobExecutionEvent], list[Run]]:
        """The events to tell the scheduler's listeners, and the runs that must be handed over again."""
        not_run = {event.scheduled_run_time for event in events if event.retval is NOT_RUN}
        told = [event for event in events if event.retval is not NOT_RUN]
        for event in told:
            event.job_id = str(event.job_id)
        term = self._term
        left = [planned for planned in self._planned if planned.run_time in not_run]
        if left and term and term.is_valid:  # a pool's process had an outdated copy of the term, and did not start
            return told, [self._run(planned, term) for planned in left]
        for planned in left:
            self._keep(planned)
        codes = {event.scheduled_run_time: event.code for event in told}
        for planned in self._planned:
            claim, code = planned.claim, codes.get(planned.run_time)
            if claim and claim.outcome == "granted" and planned not in left:
                if code == EVENT_JOB_MISSED:
                    self._candidacy.fires.done(claim.job, claim.nonce)
                    self._candidacy.fires.missed(claim.job, claim.fire)
                else:
                    self._candidacy.fires.ended(claim.job, claim.fire, claim.nonce, ok=code != EVENT_JOB_ERROR)
        self._leave()
        return told, []

    def interrupted(self) -> None:
        """Claimed runs were cut short, or could not be started; nobody runs them again."""
        for _, claim in self._planned:
            if claim and claim.outcome == "granted":
                self._candidacy.fires.interrupted(claim)
        self._leave()

    def over(self) -> None:
        """APScheduler does not count its instance any more."""
        self._fires.progressed(self, over=True)

    def _plan(self, run_time: datetime) -> _Planned:
        fire = self.due.nominal(run_time)
        return _Planned(run_time, None if fire is None else self._fires.claim(self.due.job, self.due.key, fire))

    def _ask(self, term: Term) -> None:
        with suppress(LeadershipLost):  # the term is over: `decide` finds that nothing was granted
            self._fires.ask(term, [claim for _, claim in self._planned if claim])

    def _granted(self, term: Term) -> list[Run]:
        return [self._run(planned, term) for planned in self._planned if self._is_granted(planned, term)]

    def _is_granted(self, planned: _Planned, term: Term) -> bool:
        claim = planned.claim
        if claim is None:
            return True
        try:
            granted = run_blocking(self._candidacy.fires.decision(term, claim, block=True))
        except LeadershipLost:
            self._keep(planned)
            return False
        if not granted:
            self._candidacy.fires.skipped(claim.job, claim.fire, "refused")
        return granted

    def _run(self, planned: _Planned, term: Term) -> Run:
        claim = planned.claim
        return Run(planned.run_time, term, Fire(claim.job, claim.fire, term) if claim else None)

    def _keep(self, planned: _Planned) -> None:
        """The term has ended: if the claim landed, the fire may still run under the next term of this process."""
        claim = planned.claim
        if claim:
            self._fires.keep(claim)
        reason = "in-doubt" if claim and claim.carried and claim.outcome is None else "not-leader"
        self._candidacy.fires.skipped(self.due.key, claim.fire if claim else planned.run_time, reason)

    def _leave(self) -> None:
        if self._term:
            self._term._exit(self)


class SubmittedId(str):
    """A job's id that leads an executor's answer back to its submission."""

    __slots__ = ("submission",)

    submission: Submission

    def __new__(cls, submission: Submission) -> SubmittedId:
        made = super().__new__(cls, submission.job.id)
        made.submission = submission
        return made

    def __reduce__(self) -> tuple[object, ...]:
        return str, (str(self),)
