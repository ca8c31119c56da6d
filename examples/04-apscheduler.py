"""The jobs of an APScheduler.

The problem: every replica starts the same scheduler, so every job fires once in each of them.

Here one line, `guard`, goes before `start`: all replicas schedule, and the one that holds the lease `reports` runs the
jobs. Each fire is claimed in the lease first, so it runs once, whatever happens to whom. Run this in two terminals: one
prints a report each second. Stop that one, or `kill -9` it: the other takes over, and begins with the reports that were
due meanwhile.
"""

import logging
from contextlib import suppress

from apscheduler.schedulers.blocking import BlockingScheduler

from singleton_jobs import current_fire, running
from singleton_jobs_apscheduler import guard

scheduler = BlockingScheduler(timezone="UTC")
guard(scheduler, lease="reports")


@scheduler.scheduled_job("cron", second="*", id="report", coalesce=False)  # not coalesced: each second has its report
def send_report() -> None:
    """Runs on the leader only; the fire's time is the one of the schedule, and the same whoever runs it, and when."""
    fire = current_fire()
    assert fire is not None  # inside a scheduled run there always is one
    fire.term.check()  # before every effect: raises if the lease is not held at this very instant
    print(f"report for {fire.time:%H:%M:%S} sent by {fire.term.identity}", flush=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    # Kubernetes ends pods with SIGTERM, on which Python would stop without giving the lease back.
    with suppress(KeyboardInterrupt), running(sigterm="exit"):
        scheduler.start()
