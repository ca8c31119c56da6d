"""One replica of the demo: a program as its users write it, and a line in a file for whatever it does."""

import json
import logging
import os
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

from ... import Config, Term, configure, leadership, running
from ...events import Event, StoreFailed, TermEnded, TermStarted
from .runs import Run, append
from .ticks import Ticks

__all__ = ["EVENTS", "GRACE", "RUNS", "Part", "main"]

RUNS = "runs.jsonl"
EVENTS = "events.jsonl"
CONFIG = Config(lease_duration=3)  # the shortest: a killed leader is replaced while people watch
JOB = "tick"
GRACE = 15.0  # seconds that a tick may wait for a new leader: much longer than one takes to come
LEAVE_LIMIT = 5.0  # seconds that a replica may take to leave when the demo is gone


@dataclass(frozen=True, slots=True)
class Part:
    """What one replica is told by the demo."""

    name: str
    store: str
    lease: str
    folder: str
    offset: float

    def dump(self) -> str:
        """As the argument of `main`."""
        return json.dumps(asdict(self))


def main() -> None:
    """Run the part given as the first argument until SIGTERM comes or stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the demo, which then ends its replicas
    part = Part(**json.loads(sys.argv[1]))
    logging.getLogger("singleton_jobs").setLevel(logging.CRITICAL)  # the demo tells the same, in its own words
    perform(part, Ticks(part.offset))


class Diary:
    """Tells the demo what happens here."""

    def __init__(self, part: Part, ticks: Ticks) -> None:
        self._part = part
        self._ticks = ticks
        self._runs, self._events = Path(part.folder, RUNS), Path(part.folder, EVENTS)

    def ran(self, tick: int, identity: str, token: int) -> None:
        """A tick runs."""
        append(self._runs, asdict(Run(tick, identity, self._ticks.now(), token)))

    def tell(self, event: str, **more: Any) -> None:
        """Anything else happens."""
        entry = {"event": event, "replica": self._part.name, "pid": os.getpid(), "time": self._ticks.now()}
        append(self._events, entry | more)

    def on_event(self, event: Event) -> None:
        """The library tells of its lease."""
        match event:
            case TermStarted(fencing_token=token):
                self.tell("leads", token=token)
            case TermEnded():
                self.tell("left")
            case StoreFailed(error=error):
                self.tell("failed", error=str(error))


def perform(part: Part, ticks: Ticks) -> None:
    """While this replica leads, claim and run each tick of those that are read from stdin."""
    diary = Diary(part, ticks)
    replica = configure(store=part.store, identity=part.name, config=CONFIG)
    group = leadership(part.lease)
    group.subscribe(diary.on_event)
    with running(part.lease, sigterm="exit"):
        if replica.mode == "always":  # such a replica asks nobody, so no event tells that it leads
            diary.tell("leads", token=0)
        diary.tell("ready")
        line = os.read(0, 100)
        if not line:
            return
        threading.Thread(target=_end_with_demo, daemon=True).start()
        first, last = map(int, line.split())

        def lead(term: Term) -> None:
            fire = group.last_fire(JOB)
            mark = int(fire.timestamp()) if fire else None
            diary.tell("begins", mark=mark)
            start = max(first if mark is None else mark + 1, ceil(ticks.now() - GRACE))
            for tick in range(start, last + 1):
                if term.lost.wait(max(0.0, tick - ticks.now())):
                    return
                if group.claim(JOB, datetime.fromtimestamp(tick, UTC)):
                    diary.ran(tick, replica.identity, term.fencing_token)
                elif term.is_valid:
                    diary.tell("refused", tick=tick)
            term.lost.wait()

        group.run_sync(lead)
        while replica.mode == "never":  # such a replica never leads, and waits to be ended
            time.sleep(1)


def _end_with_demo() -> None:
    """Leave when stdin ends, which it also does when the demo is killed."""
    while os.read(0, 100):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LEAVE_LIMIT)
    os._exit(1)


if __name__ == "__main__":
    main()
