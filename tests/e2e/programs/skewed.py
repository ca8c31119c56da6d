"""Claims the fire of each tenth of a second on a host whose wall clock is wrong for a while.

Options: lease, config, begin (wall time of the first fire), off (seconds), wrong (from when to when, in seconds).
"""

import time
from datetime import UTC, datetime, timedelta

from program import boot_time, config, log, log_event, mount, options

from singleton_jobs import LeadershipLost, Replica
from singleton_jobs.concurrency.clock import SYSTEM_CLOCK, Clock

started = boot_time()
mount()


def wrong():
    return options.wrong[0] <= boot_time() - started < options.wrong[1]


def wall():
    return SYSTEM_CLOCK.wall() + (options.off if wrong() else 0)


replica = Replica(config=config(), hooks=[log_event], clock=Clock(now=SYSTEM_CLOCK.now, wall=wall))
leadership = replica.leadership(options.lease)
leadership.start()
log("started", identity=replica.identity)

was_wrong = False
while True:
    if was_wrong and not wrong():
        log("right")
    was_wrong = wrong()
    number = int((wall() - options.begin) * 10)
    try:
        if leadership.claim("report", datetime.fromtimestamp(options.begin, UTC) + timedelta(seconds=number / 10)):
            log("granted", number=number)
    except LeadershipLost:
        log("lost", number=number)
    time.sleep(0.05)
