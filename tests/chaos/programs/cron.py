"""One of several replicas with a job each second under APScheduler. Environment: LOG, WHO, OPTIONS (lease, timing)."""

import json
import logging
import os
import sys
import threading
from datetime import UTC
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))

from apscheduler.schedulers.background import BackgroundScheduler
from chaos.log import Log
from singleton_jobs_apscheduler import guard

from singleton_jobs import Config, Replica, current_fire, running
from singleton_jobs.events import FireInterrupted

GRACE = 120  # seconds; longer than any outage of a storm

options = json.loads(os.environ["OPTIONS"])
log = Log(os.environ["LOG"], os.environ["WHO"])
logging.basicConfig(level=logging.WARNING)


def tick():
    fire = current_fire()
    log.write("fire", job="tick", fire=fire.time.timestamp(), token=fire.term.fencing_token)


def heard(event):
    if isinstance(event, FireInterrupted):
        log.write("interrupted", job="tick", fire=event.time.timestamp())


config = Config(**{name: options[name] for name in ("lease_duration", "renew_deadline", "retry_period")})
scheduler = BackgroundScheduler(timezone=UTC)
with running(sigterm="exit", drain=2):
    replica = Replica("kubernetes:", hooks=[heard])
    guard(scheduler, options["lease"], config=config, replica=replica)
    # Unless told otherwise, APScheduler makes one run of all that a take-over has to make up for.
    scheduler.add_job(tick, "cron", second="*", id="tick", coalesce=False, misfire_grace_time=GRACE)
    scheduler.start()
    log.write("starts")
    threading.Event().wait()
