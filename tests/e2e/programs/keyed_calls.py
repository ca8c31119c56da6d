"""Calls an exclusive function with random keys. Options: lease, config, keys, times, seed, wait, lasts, every,
stays (seconds, each)."""

import random
import time

from program import configure, log, option, options

from singleton_jobs import current_term, exclusive

configure()
chance = random.Random(options.seed)


@exclusive(
    lease=options.lease,
    key="tenant",
    wait=option("wait", 0),
    at_most_every=option("every", None),
    job=option("every", None) and "sync",
)
def sync(tenant):
    term = current_term()
    log("began", key=tenant, token=term.fencing_token)
    time.sleep(chance.random() * option("lasts", 0.0))
    log("ended" if term.is_valid else "lost", key=tenant, token=term.fencing_token)


log("ready")
for _ in range(options.times):
    sync(f"tenant-{chance.randrange(options.keys)}")
log("done")
if option("stays", 0):
    time.sleep(options.stays)
