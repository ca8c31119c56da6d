"""Calls an exclusive function once. Options: lease, config, wait, gun (a file that ends the work)."""

import os
import time

from program import configure, log, option, options

from singleton_jobs import Skipped, current_term, exclusive

configure()


@exclusive(lease=options.lease, wait=option("wait", 0))
def work():
    token = current_term().fencing_token
    log("began", token=token)
    while not os.path.exists(options.gun):
        current_term().check()
        time.sleep(0.01)
    log("ended", token=token)
    return "worked"


outcome = work()
if isinstance(outcome, Skipped):
    log("skipped", reason=outcome.reason, holder=outcome.holder)
else:
    log("returned", outcome=outcome)
