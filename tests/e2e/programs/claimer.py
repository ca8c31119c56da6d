"""Claims the fire of each tenth of a second, as every replica does that leads; the leader's loop never pauses.

Options: lease, config, begin (wall time of the first fire), fires (how many there are).
"""

import time
from datetime import UTC, datetime, timedelta

from program import configure, log, options

from singleton_jobs import LeadershipLost

replica = configure()
leadership = replica.leadership(options.lease)
leadership.start()
begin = datetime.fromtimestamp(options.begin, UTC)
log("started", identity=replica.identity)

number = 0
while number < options.fires:
    fire = begin + timedelta(seconds=number / 10)
    time.sleep(max(0.0, fire.timestamp() - time.time()))
    try:
        granted = leadership.claim("report", fire)
    except LeadershipLost as error:
        log("lost", number=number, detail=error.detail)
    else:
        term = leadership.term
        if granted:
            log("granted", number=number, token=term.fencing_token if term else 0, identity=replica.identity)
        elif term:
            log("refused", number=number)
    number += 1
log("done")
