"""A main loop that calls a guarded job every few milliseconds, and gives its lease back when it is told to end.

Options: lease, config, every (seconds between calls), takes (seconds that each run takes), thread (the loop runs
on a thread, while the main one waits).
"""

import threading
import time

from program import configure, effect, log, log_skip, option, options

from singleton_jobs import LeadershipLost, Skipped, current_term, leader_only, running

replica = configure()


@leader_only(lease=options.lease)
def job():
    term = current_term()
    effect(term)
    if takes := option("takes", 0):
        time.sleep(takes)
        log("finished", token=term.fencing_token, valid=term.is_valid)


def loop():
    while True:
        try:
            outcome = job()
        except LeadershipLost as error:
            log("lost", detail=error.detail)
        else:
            log_skip(outcome)
        time.sleep(option("every", 0.05))


log("started", identity=replica.identity)
with running(sigterm="exit"):
    if option("thread", False):
        threading.Thread(target=loop, daemon=True).start()
        threading.Event().wait()
    loop()
