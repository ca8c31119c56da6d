"""A job whose runs are kept in the ledger until they have ended: a guarded function, a lock's, or claims by hand.

Options: lease, config, how ("leader_only", "exclusive" or "claim"), takes (seconds of a run).
"""

import time
from datetime import UTC, datetime

from program import configure, log, log_skip, option, options

from singleton_jobs import LeadershipLost, current_fire, exclusive, leader_only, running

replica = configure()
GUARDS = {"leader_only": leader_only, "exclusive": exclusive}
ONCE = {"at_most_every": 3600, "job": "report", "interrupted": "rerun", "max_attempts": 3}


def run(fire, attempt):
    log("begins", time=fire.timestamp(), attempt=attempt)
    time.sleep(option("takes", 1.0))
    log("ends", time=fire.timestamp(), attempt=attempt)


def by_guard(guard):
    @guard(lease=options.lease, **ONCE)
    def job():
        run(current_fire().time, current_fire().attempt)

    while True:
        log_skip(job())
        time.sleep(0.05)


def by_hand():
    reports = replica.leadership(options.lease)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    while True:
        if reports.wait(timeout=1):
            for cut in [*reports.interrupted("report"), None]:
                fire, attempt = (cut.time, cut.attempts + 1) if cut else (today, 1)
                if reports.claim("report", fire, interrupted="rerun"):
                    run(fire, attempt)
                    reports.done("report", fire)
        time.sleep(0.05)


log("started", identity=replica.identity)
with running(sigterm="exit"):
    try:
        by_hand() if options.how == "claim" else by_guard(GUARDS[options.how])
    except LeadershipLost as error:
        log("lost", detail=error.detail)
