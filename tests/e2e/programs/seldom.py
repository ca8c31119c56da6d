"""Calls a job that runs at most every so often, again and again. Options: lease, config, interval (seconds)."""

import time

from program import configure, effect, log, log_skip, options

from singleton_jobs import LeadershipLost, current_fire, current_term, leader_only, running

replica = configure()


@leader_only(lease=options.lease, at_most_every=options.interval, job="report")
def job():
    effect(current_term(), "ran")
    log("fire", job=current_fire().job, time=current_fire().time.timestamp())


log("started", identity=replica.identity)
with running(sigterm="exit"):
    while True:
        try:
            log_skip(job())
        except LeadershipLost as error:
            log("lost", detail=error.detail)
        time.sleep(0.05)
