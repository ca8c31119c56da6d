"""One of several replicas with a job each second under APScheduler, and one each other second whose fires run again.

Environment: LOG, WHO, OPTIONS (lease, timing, spread: whether the jobs are spread over the replicas).
"""

import json
import logging
import os
import sys
import threading
import time
from datetime import UTC
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))

from apscheduler.schedulers.background import BackgroundScheduler
from chaos.log import Log
from singleton_jobs_apscheduler import guard, interrupted

from singleton_jobs import Config, Replica, current_fire, running
from singleton_jobs.events import FireInterrupted

GRACE = 120  # seconds; longer than any outage of a storm
TAKES = 0.5  # seconds that a run of the second job takes

options = json.loads(os.environ["OPTIONS"])
log = Log(os.environ["LOG"], os.environ["WHO"])
logging.basicConfig(level=logging.WARNING)


def tick():
    fire = current_fire()
    log.write("fire", job="tick", fire=fire.time.timestamp(), token=fire.term.fencing_token)


@interrupted("rerun", max_attempts=5)
def again():
    fire = current_fire()
    log.write("attempt", job="again", fire=fire.time.timestamp(), attempt=fire.attempt)
    time.sleep(TAKES)
    log.write("done", job="again", fire=fire.time.timestamp(), attempt=fire.attempt)


def heard(event):
    if isinstance(event, FireInterrupted):
        job = event.job.rpartition(":")[2]
        told = "interrupted" if job == "tick" else "gave up" if event.then == "gave-up" else "cut"
        log.write(told, job=job, fire=event.time.timestamp())


config = Config(**{name: options[name] for name in ("lease_duration", "renew_deadline", "retry_period")})
scheduler = BackgroundScheduler(timezone=UTC)
with running(sigterm="exit", drain=2):
    replica = Replica("kubernetes:", hooks=[heard])
    guard(scheduler, options["lease"], spread=options["spread"], config=config, replica=replica)
    # Unless told otherwise, APScheduler makes one run of all that a take-over has to make up for.
    scheduler.add_job(tick, "cron", second="*", id="tick", coalesce=False, misfire_grace_time=GRACE)
    scheduler.add_job(again, "cron", second="*/2", id="again", coalesce=False, misfire_grace_time=GRACE)
    scheduler.start()
    log.write("starts")
    threading.Event().wait()
