"""The fires of one job store's jobs, from their claims to the end of their runs: the side that executors call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from apscheduler.job import Job

from singleton_jobs import Term
from singleton_jobs.decisions.ledger import INSTANT, Attempt, Claim, Mark
from singleton_jobs.renewal.candidacy import Candidacy
from singleton_jobs.renewal.leftovers import Leftovers

__all__ = ["Fires", "Note"]

LONGEST = 0.01  # seconds after which claims wait for no job any more, as is seen when the next one asks


class Submitted(Protocol):
    """Runs of a job that the scheduler has submitted."""

    is_cut: bool  # some of them were cut short, and are to run again

    @property
    def job(self) -> Job:
        """The job as it was submitted."""

    @property
    def after(self) -> Attempt | None:
        """The attempt that the run follows."""

    @property
    def lateness(self) -> timedelta:
        """How late the runs were handed over; while their claims are undecided, later than anything."""


@dataclass(slots=True)
class Note:
    """What a job store remembers of one job between passes; it outlives neither the term nor the job.

    ``added_for``: when the job was planned to run as it was added here. ``asked``: the program itself has named the
    first run. ``planned``: when the job runs by its schedule, not because somebody said so. ``replaces``: the job that
    this one takes the place of. ``run_now``: the job was told to run at once, at that time. ``submitted``: the last
    fire that was submitted.
    """

    added_for: datetime | None = None
    asked: bool = False
    planned: datetime | None = None
    replaces: Job | None = None
    run_now: datetime | None = None
    submitted: datetime | None = None


class Fires:
    """Claims, what is under way and what is remembered of each job, for a job store.

    ``wake`` is called when a job that was awaited has got on; ``attempts`` tells how many attempts a fire of a job has.
    ``candidacy``: known from the store's start on.
    ``finished`` are jobs whose last fire was submitted: the scheduler takes them for removed. They stay stored until
    that fire has run, or whoever leads next would not know of it. ``to_ask``: how many due jobs of the scheduler's pass
    have not asked for their claims yet; it may be that some of them never do.
    """

    candidacy: Candidacy

    def __init__(self, nonce: Callable[[], str], wake: Callable[[], None], attempts: Callable[[Job], int]) -> None:
        self.attempts = attempts
        self.notes: defaultdict[str, Note] = defaultdict(Note)
        self.finished: dict[str, Job] = {}
        self.to_ask = 0
        self._nonce = nonce
        self._leftovers: Leftovers[Claim] = Leftovers()
        self._wake = wake
        self._submissions: dict[str, list[Submitted]] = {}
        self._awaited: set[str] = set()
        self._unsent_since: float | None = None  # when the first claim was asked that is to be sent

    def candidacy_of(self, job_id: str) -> Candidacy:
        """The candidacy for the lease under which the job runs."""
        return self.candidacy

    # What triggers, submissions and executors call

    def claim(self, job: Job, key: str, fire: datetime) -> Claim:
        """The claim for a fire of ``job``: the one that an ended term has left, if there is one."""
        self.notes[job.id].submitted = fire
        return self._leftovers.take(key, fire) or Claim(key, fire, self._nonce(), repeats=self.attempts(job) > 1)

    def claim_again(self, key: str, after: Attempt) -> Claim:
        """The claim for the attempt that follows ``after``."""
        return Claim(key, after.fire, self._nonce(), repeats=True, after=after)

    def ask(self, term: Term, claims: Iterable[Claim]) -> None:
        """Have ``claims`` sent in one write with all that is due: with the last, or now, if that has taken long."""
        now = self.candidacy.clock.now()
        if self._unsent_since is None:
            self._unsent_since = now
        self.candidacy.fires.ask(term, *claims, soon=False)
        self.to_ask -= 1
        if not self.to_ask or now - self._unsent_since >= LONGEST:
            self.send()

    def keep(self, claim: Claim) -> None:
        """The term of ``claim`` ended before its fire ran."""
        self._leftovers.keep(claim)

    def submitted(self, submission: Submitted) -> None:
        """The claims of ``submission`` are on their way."""
        self._submissions.setdefault(submission.job.id, []).append(submission)

    def progressed(self, submission: Submitted, *, over: bool) -> None:
        """The claims of ``submission`` were decided; or all of it is ``over``: its runs have ended, or never begin."""
        job_id = submission.job.id
        if over:
            rest = self._submissions.get(job_id, [])
            if submission in rest:
                rest.remove(submission)
            if not rest:
                self._submissions.pop(job_id, None)
        if job_id in self._awaited or job_id in self.finished or submission.is_cut:
            self._wake()

    # What the job store asks

    def send(self) -> None:
        """Have sent what was asked."""
        if self._unsent_since is not None:
            self._unsent_since = None
            if not self.candidacy.pretending:
                self.candidacy.wake()

    def unrun_since(self, key: str, mark: Mark | None) -> datetime | None:
        """Just before the first fire of ``key`` that was claimed here and may still run; None: there is none."""
        return min(
            (claim.fire - INSTANT for claim in self._leftovers.open(key, mark, self.candidacy.fires)), default=None
        )

    def is_under_way(self, job_id: str) -> bool:
        """Whether something of the job was submitted and is not over."""
        return bool(self._submissions.get(job_id))

    def is_followed(self, job_id: str, attempt: Attempt) -> bool:
        """Whether the run that follows ``attempt`` was submitted and is not over."""
        return any(submission.after == attempt for submission in tuple(self._submissions.get(job_id, ())))

    def room(self, job: Job, *, wanted: bool) -> int:
        """How many runs of ``job`` may be submitted now; if more are ``wanted``, others of it are awaited."""
        if wanted:
            self._awaited.add(job.id)
        most: int = job.max_instances
        return max(0, most - len(self._submissions.get(job.id, ())))

    def wait(self, job: Job, now: datetime) -> datetime | None:
        """Until when ``job``, which is due, has to wait; None: not at all.

        APScheduler skips a fire for good if too many runs of its job are not over. That a run has begun late, since it
        waited for its claim, or nobody led, shall not count: as late as it has begun, the next fire waits for its end.
        """
        running = tuple(self._submissions.get(job.id, ()))
        if len(running) >= job.max_instances:
            until: datetime = job.next_run_time + max(submission.lateness for submission in running)
            if until > now:
                self._awaited.add(job.id)
                return until
        self._awaited.discard(job.id)
        return None
