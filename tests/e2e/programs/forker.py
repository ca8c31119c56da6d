"""Leads, holds a lock, and forks one child after the other, which all say what they hold. Options: lease, config.

Every second child leaves through the interpreter's exit, every tenth takes a lock of its own first.
"""

import itertools
import os
import signal
import sys
import time

from program import configure, effect, log, options

from singleton_jobs import LeadershipLost, LeaseLocker, leader_only, leadership, running

replica = configure()
own = LeaseLocker(f"{options.lease}-child")


@leader_only(lease=options.lease)
def job():
    effect(leading.term)


def child(number):
    signal.alarm(60)
    try:
        term.check()
        refused = False
    except LeadershipLost:
        refused = True
    log(
        "child",
        refused=refused,
        holds=term.is_valid or leading.is_leader or leading.term is not None or locker.is_held,
        unlocked=locker.unlock(),
        identity=replica.identity,
    )
    if number % 10 == 0:
        log("child's own lock", taken=own.try_lock(), identity=own.term.identity if own.term else None)
        log("child's own unlock", freed=own.unlock_with_retry())


def fork_for_ever():
    for number in itertools.count(1):
        job()
        effect(locker.term, "locked effect")
        if (pid := os.fork()) == 0:
            child(number)
            if number % 2:
                sys.exit(0)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        log("reaped", status=status)
        time.sleep(0.005)


leading = leadership(options.lease)
locker = LeaseLocker(f"{options.lease}-lock")
with running(options.lease, sigterm="exit"):
    leading.wait()
    with locker:
        term = leading.term
        log("started", identity=replica.identity, locked=locker.is_held)
        fork_for_ever()
