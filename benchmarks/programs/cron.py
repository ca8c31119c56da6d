"""One of several replicas with a job: `python benchmarks/programs/cron.py JOURNAL CONFIG JOB [DATABASE]`.

JOB: each how many seconds it is due, how many it takes, and what becomes of a fire that was cut short. What it does is
told to the file JOURNAL, a line of JSON each; these lines are its only work.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from datetime import UTC
from functools import partial

from apscheduler import events
from apscheduler.schedulers.background import BackgroundScheduler

from singleton_jobs import Config, Replica, current_fire
from singleton_jobs.events import Event, FireInterrupted, FireSkipped, TermEnded, TermStarted
from singleton_jobs.locks.kubernetes import credentials
from singleton_jobs_apscheduler import guard

from protocol import SERVICE_ACCOUNT, serve  # pyright: ignore[reportImplicitRelativeImport]

LEASE = "bench-cron"

logging.basicConfig(level=logging.INFO)
journal = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def tell(event: str, **fields: object) -> None:
    line = {"event": event, "at": time.time(), "pid": os.getpid(), **fields}
    os.write(journal, (json.dumps(line) + "\n").encode())


def tick(seconds: float) -> None:
    fire = current_fire()
    assert fire is not None
    facts = {"fire": fire.time.timestamp(), "token": fire.term.fencing_token, "attempt": fire.attempt}
    tell("run", **facts)
    time.sleep(seconds)
    tell("ended", **facts)


def note(event: Event) -> None:
    name = type(event).__name__
    if isinstance(event, FireInterrupted):
        tell(name, fire=event.time.timestamp(), attempt=event.attempt, then=event.then)
    elif isinstance(event, FireSkipped):
        tell(name, what=f"{name} {event.reason}")
    elif isinstance(event, TermStarted | TermEnded):
        tell(name, what=f"{name} {event.fencing_token}")


def tell_event(name: str, event: events.JobEvent) -> None:
    tell(name, what=name)


def main() -> None:
    credentials.SERVICE_ACCOUNT = SERVICE_ACCOUNT
    scheduler = BackgroundScheduler(timezone=UTC)
    every, seconds, interrupted = json.loads(sys.argv[3])
    if len(sys.argv) > 4:
        scheduler.add_jobstore("sqlalchemy", url=sys.argv[4])
    config = Config(**json.loads(sys.argv[2]))
    replica = Replica("kubernetes:", hooks=[note])
    leadership = guard(scheduler, LEASE, config=config, replica=replica, interrupted=interrupted)
    # Unless told otherwise, APScheduler makes one run of all that a take-over has to make up for.
    scheduler.add_job(
        tick, "cron", second=f"*/{every}", args=[seconds], id="tick", coalesce=False, replace_existing=True
    )
    for name in ("EVENT_JOB_ERROR", "EVENT_JOB_MAX_INSTANCES", "EVENT_JOB_MISSED"):
        scheduler.add_listener(partial(tell_event, name), getattr(events, name))
    scheduler.start()
    serve(pid=os.getpid, seen=lambda: leadership.holder is not None, leads=lambda: leadership.is_leader)


if __name__ == "__main__":
    main()
