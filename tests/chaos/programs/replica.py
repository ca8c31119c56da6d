"""One replica of the storm: it competes for every lease, and works under those it holds until it is told that they are lost.

Environment: LOG, WHO, SINK (a datagram socket), OPTIONS (leases, the timing of `Config`, the storm's pace, and
whether to note requests). SIGUSR1: step down from all leases held.
"""

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))

from chaos.log import Log, boot_time

from singleton_jobs import Config, configure, leadership, running
from singleton_jobs.events import RequestEnded, TermEnded, TermStarted

options = json.loads(os.environ["OPTIONS"])
WORK, PAUSE = 0.03 * options["pace"], 0.09 * options["pace"]  # seconds
log = Log(os.environ["LOG"], os.environ["WHO"])
sink = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sink.connect(os.environ["SINK"])


def heard(event):
    if isinstance(event, TermStarted):
        log.write("term", lease=event.lease, token=event.fencing_token, identity=event.identity)
    elif isinstance(event, TermEnded):
        log.write("over", lease=event.lease, token=event.fencing_token, lost=event.lost, reason=event.reason)
    elif isinstance(event, RequestEnded) and options.get("requests"):
        log.write("request", seconds=event.seconds)


def work(term):
    """Each piece is checked when it begins, and not again before its effect: stalls hit in between."""
    facts = {"lease": term.lease, "token": term.fencing_token, "identity": term.identity}
    while not term.lost.is_set():
        at = boot_time()  # if the check passes, the term held then
        term.check()
        log.write("start", at, **facts)
        term.lost.wait(WORK)
        sink.send(json.dumps([term.lease, term.fencing_token, os.environ["WHO"], os.getpid()]).encode())
        log.write("end", **facts)
        term.lost.wait(PAUSE)


def serve(lease):
    leadership(lease).run_sync(work)


def step_down(*_):
    for lease in options["leases"]:
        if leadership(lease).is_leader:
            threading.Thread(target=leadership(lease).step_down, args=(2,), daemon=True).start()


configure(
    "kubernetes:",
    config=Config(**{name: options[name] for name in ("lease_duration", "renew_deadline", "retry_period")}),
    hooks=[heard],
)
signal.signal(signal.SIGUSR1, step_down)
log.write("starts")
with running(sigterm="exit", drain=2):
    for lease in options["leases"]:
        threading.Thread(target=serve, args=(lease,), daemon=True).start()
    while True:
        signal.pause()
