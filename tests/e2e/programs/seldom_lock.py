"""Calls a job under a lock for each call, that runs at most every so often. Options: lease, config, times,
interval (seconds), interrupted ("skip" or "rerun").
"""

import time

from program import configure, log, log_skip, options

from singleton_jobs import current_fire, current_term, exclusive

configure()


@exclusive(lease=options.lease, at_most_every=options.interval, job="report", interrupted=options.interrupted)
def job():
    log("ran", time=current_fire().time.timestamp(), token=current_term().fencing_token)


for _ in range(options.times):
    log_skip(job())
    time.sleep(0.2)
log("done")
