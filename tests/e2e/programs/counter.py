"""Increments the number in a file that nothing else protects. Options: lease, config, file, times."""

import time
from pathlib import Path

from program import configure, log, options

from singleton_jobs import LeaseLocker

configure()
locker = LeaseLocker(options.lease)
file = Path(options.file)

for _ in range(options.times):
    with locker.hold(120) as term:
        log("began", token=term.fencing_token)
        number = int(file.read_text())
        time.sleep(0.002)
        term.check()
        file.write_text(str(number + 1))
        log("ended", token=term.fencing_token)
log("done")
