"""A follower's scheduler, and a bare one that has nothing to do: `python benchmarks/programs/passes.py LEASE JOBS`."""

from __future__ import annotations

import logging
import sys
import time
from datetime import UTC

from apscheduler.schedulers.background import BackgroundScheduler

from singleton_jobs import Replica
from singleton_jobs.locks.kubernetes import credentials
from singleton_jobs_apscheduler import guard

from protocol import SERVICE_ACCOUNT, serve  # pyright: ignore[reportImplicitRelativeImport]

logging.basicConfig(level=logging.WARNING)


ran: list[float] = []


def work() -> None:
    """What never runs here."""
    ran.append(time.time())


def main() -> None:
    credentials.SERVICE_ACCOUNT = SERVICE_ACCOUNT
    lease, jobs = sys.argv[1], int(sys.argv[2])
    follower, bare = BackgroundScheduler(timezone=UTC), BackgroundScheduler(timezone=UTC)
    leadership = guard(follower, lease, replica=Replica("kubernetes:"))
    for number in range(jobs):  # on the follower they are all overdue
        follower.add_job(work, "interval", seconds=1, id=f"job-{number}")
        bare.add_job(work, "interval", weeks=1, id=f"job-{number}")
    follower.start()
    bare.start()

    def passes(which: str, times: str) -> float:
        """Seconds for so many passes."""
        scheduler = follower if which == "follower" else bare
        look = scheduler._process_jobs
        began = time.perf_counter()
        for _ in range(int(times)):
            look()
        return time.perf_counter() - began

    serve(seen=lambda: leadership.holder is not None and not leadership.is_leader, passes=passes, ran=lambda: len(ran))


if __name__ == "__main__":
    main()
