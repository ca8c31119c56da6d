"""One of several replicas with the same jobs: `python benchmarks/programs/spread.py JOURNAL KIND OPTIONS`.

KIND: spread, or leader. OPTIONS: count (of jobs), at (a list of triggers, as arguments of add_job, by turns), seconds
(that each run waits), threads (of the executor), config, interrupted, busy (threads that are taken all the time). What it
does is told to the file JOURNAL, a line of JSON each.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from datetime import UTC, datetime
from functools import partial
from itertools import cycle

from apscheduler import events
from apscheduler.schedulers.background import BackgroundScheduler

from singleton_jobs import Config, Replica, current_fire
from singleton_jobs.events import Event, FireInterrupted, FireSkipped
from singleton_jobs.locks.kubernetes import credentials
from singleton_jobs_apscheduler import guard

from protocol import SERVICE_ACCOUNT, serve  # pyright: ignore[reportImplicitRelativeImport]

LEASE = "bench-spread"

logging.basicConfig(level=logging.WARNING)
journal = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def tell(event: str, **fields: object) -> None:
    line = {"event": event, "at": time.time(), "pid": os.getpid(), **fields}
    os.write(journal, (json.dumps(line) + "\n").encode())


def work(job: str, seconds: float) -> None:
    at, fire = time.time(), current_fire()
    assert fire is not None
    facts = {"job": job, "fire": fire.time.timestamp(), "attempt": fire.attempt}
    tell("run", **facts, late=at - fire.time.timestamp())
    time.sleep(seconds)
    tell("ended", **facts, began=at)


def note(event: Event) -> None:
    if isinstance(event, FireInterrupted):
        facts = {"job": event.job.rpartition(":")[2], "fire": event.time.timestamp()}
        tell("FireInterrupted", **facts, attempt=event.attempt, then=event.then)
    elif isinstance(event, FireSkipped):
        tell("FireSkipped", what=f"FireSkipped {event.reason}")


def tell_event(name: str, event: events.JobEvent) -> None:
    tell(name, what=name)


def main() -> None:
    credentials.SERVICE_ACCOUNT = SERVICE_ACCOUNT
    options = json.loads(sys.argv[3])
    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.add_executor("threadpool", max_workers=options.get("threads", 10))
    config = Config(**options.get("config", {}))
    replica = Replica("kubernetes:", hooks=[note])
    how = {"config": config, "replica": replica, "interrupted": options.get("interrupted", "skip")}
    spread = sys.argv[2] == "spread"
    guarded = guard(scheduler, LEASE, spread=spread, **how)
    for number, at in zip(range(options["count"]), cycle(options["at"]), strict=False):
        job = f"job-{number:03}"
        scheduler.add_job(work, args=[job, options.get("seconds", 0)], id=job, name="work", coalesce=False, **at)
    for number in range(options.get("busy", 0)):  # jobs that no other replica has
        scheduler.add_job(time.sleep, "date", args=[600], run_date=datetime.now(UTC), id=f"busy-{os.getpid()}-{number}")
    for name in ("EVENT_JOB_ERROR", "EVENT_JOB_MAX_INSTANCES", "EVENT_JOB_MISSED"):
        scheduler.add_listener(partial(tell_event, name), getattr(events, name))
    scheduler.start()
    serve(pid=os.getpid, seen=lambda: spread or guarded.holder is not None, leads=lambda: spread or guarded.is_leader)


if __name__ == "__main__":
    main()
