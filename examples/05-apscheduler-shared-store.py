"""Reminders in a job store that all replicas share.

The problem: APScheduler's job stores are made for one process. With several, each fires every job, or they snatch jobs
from each other, and the one that runs does not learn of what the others add.

Here all replicas keep their jobs in one database, any of them may add one, and the one that holds the lease `reminders`
runs them: it looks into the database at least every `poll` seconds. Run this in one terminal; then, in a second one,
with a reminder as its argument:

    python 05-apscheduler-shared-store.py "call Ann"

Three seconds later the first one, which leads, prints it. Stop the first: the second goes on.
"""

import logging
import os
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from singleton_jobs import current_term, running
from singleton_jobs_apscheduler import guard

DATABASE = os.environ.get("DATABASE", f"sqlite:///{Path(tempfile.gettempdir(), 'singleton-jobs-reminders.sqlite3')}")
DUE_IN = timedelta(seconds=3)


def remind(text: str) -> None:
    """Runs on the leader only, whoever has added it."""
    term = current_term()
    assert term is not None  # inside a guarded job there always is one
    print(f"reminder: {text} (by {term.identity})", flush=True)


def main(texts: list[str]) -> None:
    """What every replica does: the same jobs at its start, then those that come up while it runs."""
    scheduler = BackgroundScheduler(timezone="UTC", jobstores={"default": SQLAlchemyJobStore(DATABASE)})
    guard(scheduler, lease="reminders", poll=1)
    scheduler.add_job(
        remind, "interval", seconds=2, args=["drink water"], id="drink-water", replace_existing=True, coalesce=True
    )
    scheduler.start()
    for text in texts:
        # A job needs an id that is its own: the id and the time name the fire in the lease.
        scheduler.add_job(remind, "date", run_date=datetime.now(UTC) + DUE_IN, args=[text], id=f"once-{uuid4().hex}")
        print(f"added: {text}", flush=True)
    try:
        while True:
            time.sleep(1)
    finally:
        scheduler.shutdown()  # waits for the job that runs, then gives the lease back


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    # Kubernetes ends pods with SIGTERM, on which Python would stop without giving the lease back.
    with suppress(KeyboardInterrupt), running(sigterm="exit"):
        main(sys.argv[1:])
