"""One submission of a due job: the claims for its runs, and what became of each."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.job import Job

from singleton_jobs import Fire, LeadershipLost, Term
from singleton_jobs.concurrency.synchronization import run_blocking
from singleton_jobs.decisions.ledger import Attempt, Claim
from singleton_jobs.reruns import was_cut

from .due_trigger import StandIn
from .runs import NOT_RUN, Run

FOR_EVER = timedelta(days=3650)

__all__ = ["Planned", "Submission", "SubmittedId"]


class Planned(NamedTuple):
    """A run, and the claim for its fire."""

    run_time: datetime
    claim: Claim | None  # None: the run is off schedule


class Submission:
    """Guarded work from the moment the scheduler submits it: a drain waits for it.

    `start` asks for its claims, `decide` waits for them and gives ``hand_over`` what may run.
    """

    def __init__(
        self,
        due: StandIn,
        job: Job,
        run_times: list[datetime],
        hand_over: Callable[[Submission, list[Run]], None],
    ) -> None:
        self.due = due
        self.job = job
        self.told: set[datetime] = set()  # the runs that listeners know of
        self.is_cut = False
        self._run_times = run_times
        self._fires = due.fires
        self._candidacy = due.fires.candidacy_of(due.job.id)
        self._hand_over = hand_over
        self._late = max(timedelta(0), datetime.now(UTC) - run_times[0])
        self._asked_at = self._candidacy.clock.now()
        self._decided_at: float | None = None
        self._planned: list[Planned] = []
        self._granted: list[Planned] = []  # and not handed over
        self._handed: list[Planned] = []  # over, and not ended
        self._term: Term | None = None

    def start(self) -> None:
        """Ask for the claims, in nominal order."""
        self._plan()
        self._term = self._candidacy.work.enter(self)
        if self._term:
            self._ask(self._term)

    @property
    def after(self) -> Attempt | None:
        """The attempt that the run follows."""
        return self.due.after

    @property
    def lateness(self) -> timedelta:
        """How late the runs were handed over; while the claims are undecided, however late that may be."""
        return (
            FOR_EVER if self._decided_at is None else self._late + timedelta(seconds=self._decided_at - self._asked_at)
        )

    def decide(self) -> None:
        """Wait for the claims, and hand over what was granted."""
        term = self._term
        if term:
            self._granted = [planned for planned in self._planned if self._is_granted(planned, term)]
        else:
            for planned in self._planned:
                self._keep(planned)
        self._decided_at = self._candidacy.clock.now()
        self._fires.progressed(self, over=False)
        self._hand_over(self, self._next())

    def ended(self, events: list[JobExecutionEvent]) -> tuple[list[JobExecutionEvent], list[Run]]:
        """The events to tell the scheduler's listeners, and the runs to hand over next."""
        told = {event.scheduled_run_time: event for event in events if event.retval is not NOT_RUN}
        not_run = {event.scheduled_run_time for event in events} - told.keys()
        for event in told.values():
            event.job_id = str(event.job_id)
        term = self._term
        left = [planned for planned in self._handed if planned.run_time in not_run]
        for planned in self._handed:
            if planned.claim and planned not in left:
                self._note(planned.claim, told.get(planned.run_time))
        self._handed = left
        if left and term and term.is_valid:  # a pool's process had an outdated copy of the term, and did not start
            return list(told.values()), [self._run(planned, term) for planned in left]
        for planned in left:
            self._keep(planned)
        return list(told.values()), self._next()

    def failed(self, error: BaseException) -> None:
        """``error`` has kept the executor from running what it was given, or from telling how that has ended.

        It was cut short if its pool or process has ended. Else it would not fare better again.
        """
        if self._term and not isinstance(error, BrokenExecutor) and not was_cut(error, self._term):
            for planned in tuple(self._handed):
                claim = planned.claim
                if claim and claim.repeats:
                    self._candidacy.fires.ended(claim.job, claim.fire, claim.nonce, ok=False)
                    self._handed.remove(planned)
        self.interrupted()

    def interrupted(self) -> None:
        """Claimed runs were cut short, or could not be started."""
        for planned in self._handed + self._granted:
            if planned.claim:
                self._cut(planned.claim)
        self._leave()

    def over(self) -> None:
        """APScheduler does not count its instance any more."""
        self._fires.progressed(self, over=True)

    def _plan(self) -> None:
        self._planned = [Planned(run_time, self.due.claim(run_time)) for run_time in self._run_times]
        self._fires.submitted(self)

    @property
    def _is_last(self) -> bool:
        """Whether the term ends with the run that has ended, so that its end need not be told before."""
        return False

    def _ask(self, term: Term) -> None:
        with suppress(LeadershipLost):  # the term is over: `decide` finds that nothing was granted
            self._fires.ask(term, [claim for _, claim in self._planned if claim])

    def _is_granted(self, planned: Planned, term: Term) -> bool:
        claim = planned.claim
        if claim is None:
            return True
        try:
            granted = run_blocking(self._candidacy.fires.decision(term, claim, block=True))
        except LeadershipLost:
            self._keep(planned)
            return False
        if not granted:
            fires = self._candidacy.fires
            fires.skipped(claim.job, claim.fire, "refused")
            if claim.after and claim.after in fires.cut().get(claim.job, ()):  # the ledger is full
                fires.give_up(claim.job, claim.after)
        return granted

    def _next(self) -> list[Run]:
        """The granted runs to hand over now: those that may run again one by one, so that each end is told in time."""
        term = self._term
        repeats = any(claim and claim.repeats for _, claim in self._granted)
        number = 1 if repeats else len(self._granted)
        self._handed, self._granted = self._granted[:number], self._granted[number:]
        if term is None or not self._handed:
            self._leave()
            return []
        return [self._run(planned, term) for planned in self._handed]

    def _run(self, planned: Planned, term: Term) -> Run:
        claim = planned.claim
        fire = Fire(claim.job, claim.fire, term, claim.attempt.number) if claim else None
        return Run(planned.run_time, term, fire)

    def _note(self, claim: Claim, event: JobExecutionEvent | None) -> None:
        """How the run of ``claim`` has ended, by what is told of it."""
        fires = self._candidacy.fires
        if event and event.code == EVENT_JOB_MISSED:
            fires.done(claim.job, claim.nonce, soon=not self._is_last)
            fires.missed(claim.job, claim.fire)
        elif event and claim.repeats and self._term and was_cut(event.exception, self._term):
            self._cut(claim)
        else:
            ok = event is None or event.code != EVENT_JOB_ERROR
            fires.ended(claim.job, claim.fire, claim.nonce, ok=ok, soon=not self._is_last)

    def _cut(self, claim: Claim) -> None:
        self.is_cut = claim.repeats
        self._candidacy.fires.interrupted(claim)

    def _keep(self, planned: Planned) -> None:
        """The term has ended: if the claim landed, the fire may still run under another, and first of all here."""
        claim = planned.claim
        reason = "in-doubt" if claim and claim.carried and claim.outcome is None else "not-leader"
        if claim and claim.repeats:
            self._cut(claim)
        elif claim:
            self._fires.keep(claim)
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
