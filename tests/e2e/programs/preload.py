"""A master that imports and decorates, then forks workers which all call the job. Options: lease, config, leads.

`leads`: the master calls it too, first of all.
"""

import os
import signal
import time

from program import configure, effect, log, log_skip, option, options

from singleton_jobs import current_term, leader_only

replica = configure()


@leader_only(lease=options.lease)
def job():
    effect(current_term())


def loop(role):
    log("started", role=role, identity=replica.identity)
    while True:
        log_skip(job())
        time.sleep(0.05)


if option("leads", False):
    while job() is not None:
        time.sleep(0.05)
for _ in range(3):
    if os.fork() == 0:
        signal.alarm(120)
        loop("worker")
if option("leads", False):
    loop("master")
while True:
    os.wait()
