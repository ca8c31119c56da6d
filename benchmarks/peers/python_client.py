"""One replica of the official Python client's leader election: a thread for each lease, and one for the work under it.

A worker asks its flag, which the callbacks set and clear, notes the start, works for 30 ms, notes the end. Elections
that end, or let an error of the network escape, start anew. This election has no release: SIGTERM ends the process.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
import traceback
from typing import Any

from kubernetes.client.exceptions import ApiException
from kubernetes.config import list_kube_config_contexts, load_kube_config
from kubernetes.leaderelection.electionconfig import Config
from kubernetes.leaderelection.leaderelection import LeaderElection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock
from urllib3.exceptions import HTTPError

WORK, PAUSE = 0.03, 0.09  # seconds
SHORTEST = 1  # second: this Config takes no shorter periods, and the Lease no fractions


class Candidate:
    """For one lease, as long as the process lives."""

    def __init__(self, lease: str, namespace: str, log: int, timing: dict[str, float]) -> None:
        who = os.environ["WHO"]
        identity = f"{who}_{os.getpid()}_{random.getrandbits(32):08x}"
        self._facts = {"who": who, "pid": os.getpid(), "identity": identity, "lease": lease, "token": 0}
        self._leads = threading.Event()
        self._log = log
        self._config = Config(
            LeaseLock(lease, namespace, identity),
            lease_duration=max(SHORTEST, round(timing["lease_duration"])),
            renew_deadline=max(SHORTEST, timing["renew_deadline"]),
            retry_period=max(SHORTEST, timing["retry_period"]),
            onstarted_leading=self._leads.set,
            onstopped_leading=self._leads.clear,
        )

    def start(self) -> None:
        for target in (self._compete, self._work):
            threading.Thread(target=target, daemon=True).start()

    def _compete(self) -> None:
        while True:
            try:
                LeaderElection(self._config).run()
            except (HTTPError, ApiException, OSError):
                traceback.print_exc()
                time.sleep(self._config.retry_period)

    def _work(self) -> None:
        while self._leads.wait():
            self._note("start")
            time.sleep(WORK)
            self._note("end")
            time.sleep(PAUSE)

    def _note(self, event: str) -> None:
        line: dict[str, Any] = {"at": round(time.clock_gettime(time.CLOCK_BOOTTIME), 6), "event": event, **self._facts}
        os.write(self._log, json.dumps(line).encode() + b"\n")


def main() -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # asks to step down, which this election cannot
    options = json.loads(os.environ["OPTIONS"])
    load_kube_config()
    _, context = list_kube_config_contexts()
    namespace = context["context"].get("namespace", "default")
    log = os.open(os.environ["LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    timing = {name: float(options[name]) for name in ("lease_duration", "renew_deadline", "retry_period")}
    for lease in options["leases"]:
        Candidate(lease, namespace, log, timing).start()
    signal.pause()


if __name__ == "__main__":
    main()
