"""Waits for the starting gun, then calls a guarded function again and again. Options: lease, config, gun (a file)."""

import os
import time

from program import configure, log, log_skip, options

from singleton_jobs import Skipped, current_term, leader_only

replica = configure()


@leader_only(lease=options.lease)
def job():
    return current_term().identity


log("ready", identity=replica.identity)
while not os.path.exists(options.gun):
    time.sleep(0.001)
first = job()
if isinstance(first, Skipped):
    log("first call", ran=False, reason=first.reason)
else:
    log("first call", ran=True, identity=first)
while True:
    log_skip(job())
    time.sleep(0.05)
