"""The fires of a spread store's jobs: each job has a lease of its own, which is taken for each of its runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from apscheduler.job import Job
from apscheduler.jobstores.base import JobLookupError

from singleton_jobs.concurrency.synchronization import new_event
from singleton_jobs.concurrency.threads import Worker
from singleton_jobs.decisions.ledger import Attempt, Claim
from singleton_jobs.renewal.candidacy import Candidacy

from .fires import Fires, Submitted
from .job_lease import JobLease
from .job_leases import JobLeases
from .turns import Turns

__all__ = ["SpreadFires", "join", "worker"]

LONGEST = 5.0  # seconds that a shutdown waits for that

worker = Worker("singleton-jobs-spread", cooperative=True)  # hands over what was granted, and wakes schedulers


def join() -> None:
    """Wait until what was granted by now is handed over."""
    done = new_event()
    worker.submit(done.set)
    done.wait(LONGEST)


class _Undecided(Protocol):
    def give_up(self) -> None: ...


class SpreadFires(Fires):
    """By job: its lease, what was submitted, and what became of that since the last pass of the scheduler."""

    def __init__(self, leases: JobLeases, wake: Callable[[], None], attempts: Callable[[Job], int]) -> None:
        super().__init__(leases.spread.core.nonce, wake, attempts)
        self.leases = leases
        self.decided: dict[str, bool] = {}  # ids of jobs that were granted their claims since the last pass, or not
        self.is_current: Callable[[Job], bool]  # whether that is still how a job is stored
        self.granted: Callable[[str], None]  # told of the ids of jobs that are about to run
        self.undecided: set[_Undecided] = set()
        self.turns = Turns()

    def candidacy_of(self, job_id: str) -> Candidacy:
        return self.lease_of(job_id).candidacy

    def lease_of(self, job_id: str) -> JobLease:
        """The lease of a job that was handed out."""
        lease = self.leases.get(job_id)
        if lease is None:
            raise JobLookupError(job_id)  # it was removed in this very pass
        return lease

    def claim(self, job: Job, key: str, fire: datetime) -> Claim:
        return self._signed(super().claim(job, key, fire))

    def claim_again(self, key: str, after: Attempt) -> Claim:
        return self._signed(super().claim_again(key, after))

    def progressed(self, submission: Submitted, *, over: bool) -> None:
        super().progressed(submission, over=over)
        self._wake()

    def give_up(self) -> None:
        """The scheduler ends: leave to others what was not granted by now."""
        for each in tuple(self.undecided):
            each.give_up()

    @property
    def identity(self) -> str:
        """Who claims here."""
        return self.leases.spread.identity

    def _signed(self, claim: Claim) -> Claim:
        claim.by = self.identity
        return claim
