"""What a scheduler has submitted and is not over: jobs that wait for it, and finished ones that are kept until then."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from apscheduler.job import Job

if TYPE_CHECKING:
    from .submission import Submission

__all__ = ["Underway"]


class Underway:
    """The submissions of one job store's jobs.

    ``finished`` are jobs whose last fire was submitted: the scheduler takes them for removed. They stay stored until
    that fire has run, or whoever leads next would not know of it.
    """

    def __init__(self) -> None:
        self.finished: dict[str, Job] = {}
        self._submissions: dict[str, list[Submission]] = {}
        self._awaited: set[str] = set()

    def add(self, submission: Submission) -> None:
        """The claims of ``submission`` are on their way."""
        self._submissions.setdefault(submission.job.id, []).append(submission)

    def over(self, submission: Submission) -> None:
        """Its runs have ended, or will not begin."""
        rest = self._submissions.get(submission.job.id, [])
        if submission in rest:
            rest.remove(submission)
        if not rest:
            self._submissions.pop(submission.job.id, None)

    def is_awaited(self, job_id: str) -> bool:
        """Whether something waits for the job's submissions."""
        return job_id in self._awaited or job_id in self.finished

    def begun(self, job_id: str) -> bool:
        """Whether something of the job is under way."""
        return bool(self._submissions.get(job_id))

    def wait(self, job: Job, now: datetime) -> datetime | None:
        """Until when ``job``, which is due, has to wait; None: not at all.

        APScheduler skips a fire for good if too many runs of its job are not over. The time that a run has waited for
        its claim shall not count: as long as that again, the next fire waits for it to end.
        """
        running = tuple(self._submissions.get(job.id, ()))
        if len(running) >= job.max_instances:
            until: datetime = job.next_run_time + max(submission.delay for submission in running)
            if until > now:
                self._awaited.add(job.id)
                return until
        self._awaited.discard(job.id)
        return None
