"""Jobs that are spread over all replicas.

The problem: with a leader, two of three replicas are idle while the third does all the work, and if that one dies, every
job waits until another leads. These jobs have nothing to do with each other: any replica could run any of them.

Here `spread=True` does away with the leader. Each replica follows the schedule, and each run of a job takes a lease of
that job's own: whoever has it runs, the others go on. So the work is shared, a job never overlaps itself, and if a
replica is killed only the job that it was running waits for its lease to run out. Run this in three terminals, and
`kill -9` one.
"""

import logging
import time
from contextlib import suppress

from apscheduler.schedulers.blocking import BlockingScheduler

from singleton_jobs import current_fire, running
from singleton_jobs_apscheduler import guard

SHOPS = ("amsterdam", "berlin", "cork", "dijon", "espoo", "faro")

scheduler = BlockingScheduler(timezone="UTC")
guard(scheduler, lease="stock", spread=True)


def count_stock(shop: str) -> None:
    """Runs on any replica, each fire on one; a replica that is busy leaves the next shop to another."""
    fire = current_fire()
    assert fire is not None  # inside a scheduled run there always is one
    time.sleep(0.2)
    fire.term.check()  # before every effect: raises if the lease is not held at this very instant
    print(f"{fire.time:%H:%M:%S} {shop} counted by {fire.term.identity}", flush=True)


for shop in SHOPS:
    scheduler.add_job(count_stock, "cron", second="*/2", id=shop, args=[shop])

if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    # Kubernetes ends pods with SIGTERM, on which Python would stop without giving the leases back.
    with suppress(KeyboardInterrupt), running(sigterm="exit"):
        scheduler.start()
