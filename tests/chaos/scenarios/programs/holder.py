"""Competes for leases, and notes what becomes of its terms. Environment: LOG, WHO, OPTIONS (leases, timing)."""

import json
import os
import signal
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))

from chaos.log import Log

from singleton_jobs import Config, configure, leadership
from singleton_jobs.events import TermEnded, TermStarted

options = json.loads(os.environ["OPTIONS"])
log = Log(os.environ["LOG"], os.environ["WHO"])


def heard(event):
    if isinstance(event, TermStarted):
        log.write("term", lease=event.lease, token=event.fencing_token)
    elif isinstance(event, TermEnded):
        log.write("over", lease=event.lease, token=event.fencing_token, lost=event.lost, reason=event.reason)


configure("kubernetes:", config=Config(**options["timing"]), hooks=[heard])
for lease in options["leases"]:
    leadership(lease).start()
while True:
    signal.pause()
