"""What a job store remembers of a job between passes; none of it outlives a term, or the job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from apscheduler.job import Job

__all__ = ["Note"]


@dataclass(slots=True)
class Note:
    """Of one job.

    ``added_for``: when it was planned to run as it was added here. ``asked``: the program itself has named its first
    run. ``planned``: when it runs by its schedule, not because somebody said so. ``replaces``: what it takes the place
    of. ``run_now``: it was told to run at once, at that time. ``submitted``: its last fire.
    """

    added_for: datetime | None = None
    asked: bool = False
    planned: datetime | None = None
    replaces: Job | None = None
    run_now: datetime | None = None
    submitted: datetime | None = None
