"""A loop that does one tick each second, numbered by the clock that all processes share. Options: lease, config."""

import time

from program import boot_time, configure, log, log_skip, options

from singleton_jobs import current_term, leader_only

configure()


@leader_only(lease=options.lease)
def tick(number):
    term = current_term()
    at = boot_time()
    term.check()
    log("tick", at=at, number=number, token=term.fencing_token, identity=term.identity)
    return True


while True:
    now = boot_time()
    time.sleep(int(now) + 1 - now)
    log_skip(tick(int(boot_time())))
