"""Asks and waits for a lease in every way there is, and says what came of each. Options: lease, config."""

import time

from program import configure, log, options

from singleton_jobs import LeaseLocker, SingletonJobsError, leadership

configure()
locker = LeaseLocker(options.lease)


def hold():
    with locker.hold(60):
        pass


for name, call in (
    ("try_lock", locker.try_lock),
    ("lock", lambda: locker.lock(60)),
    ("hold", hold),
    ("wait", lambda: leadership(f"{options.lease}-2").wait(60)),
):
    began = time.monotonic()
    try:
        log(name, error=None, message=str(call()), seconds=time.monotonic() - began)
    except SingletonJobsError as error:
        log(name, error=type(error).__name__, message=str(error), seconds=time.monotonic() - began)
log("done")
