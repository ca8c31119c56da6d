"""APScheduler, guarded or bare: how late each job's first line is: `python benchmarks/programs/fires.py ours|bare TURN`.

Jobs are due every two seconds, those of turn 0 in the even ones and those of turn 1 in the odd ones.
"""

from __future__ import annotations

import logging
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial

from apscheduler.schedulers.background import BackgroundScheduler

from singleton_jobs import Replica, current_fire
from singleton_jobs.locks.kubernetes import credentials
from singleton_jobs_apscheduler import guard

from protocol import SERVICE_ACCOUNT, serve  # pyright: ignore[reportImplicitRelativeImport]

LEASE = "bench-fires"
EVERY = 2
AT_ONCE = 4  # cron jobs, all on the second
ALONE = 8  # interval jobs, from 0.15 s on, a tenth of a second apart

logging.basicConfig(level=logging.WARNING)


def main() -> None:
    kind, turn = sys.argv[1], int(sys.argv[2])
    late: list[float] = []
    strange: list[str] = []

    def work(offset: float) -> None:
        now = time.time()
        delay = (now - turn - offset) % EVERY
        late.append(delay)
        fire = current_fire()
        if (fire is None) != (kind == "bare") or (fire and abs(now - delay - fire.time.timestamp()) > 0.001):
            strange.append(f"{fire} at {now}, {delay} late")

    scheduler = BackgroundScheduler(timezone=UTC)
    if kind == "ours":
        credentials.SERVICE_ACCOUNT = SERVICE_ACCOUNT
        leadership = guard(scheduler, LEASE, replica=Replica("kubernetes:"))
    for number in range(AT_ONCE):
        seconds = ",".join(map(str, range(turn, 60, EVERY)))
        scheduler.add_job(partial(work, 0.0), "cron", second=seconds, id=f"cron-{number}", name="work")
    began = datetime.fromtimestamp(time.time() // EVERY * EVERY + turn, UTC)
    for number in range(ALONE):
        offset = 0.15 + number / 10
        scheduler.add_job(
            partial(work, offset),
            "interval",
            seconds=EVERY,
            start_date=began + timedelta(seconds=offset),
            id=f"interval-{number}",
            name="work",
        )
    scheduler.start()
    serve(
        leads=lambda: kind == "bare" or leadership.is_leader,
        forget=lambda: (late.clear(), strange.clear()),
        late=lambda: late,
        strange=lambda: strange,
    )


if __name__ == "__main__":
    main()
