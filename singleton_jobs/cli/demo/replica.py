"""One replica of the demo: a program as its users write it, and a line in a file for whatever it does."""

import json
import logging
import os
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ... import Config, configure, current_term, leader_only, running
from ...events import Event, StoreFailed, TermEnded, TermStarted
from .runs import Run, append
from .ticks import Ticks

__all__ = ["EVENTS", "RUNS", "Part", "main"]

RUNS = "runs.jsonl"
EVENTS = "events.jsonl"
CONFIG = Config(lease_duration=3)  # the shortest: a killed leader is replaced while people watch
DELAY = 0.05  # seconds after the start of its second at which a tick is due
TOO_LATE = 0.25  # seconds after which it is left out: by then the next leader may have taken over
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

    def ran(self, tick: int, identity: str) -> None:
        """A tick runs."""
        term = current_term()
        append(self._runs, asdict(Run(tick, identity, self._ticks.now(), term.fencing_token if term else 0)))

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
    """Call the guarded job once for each tick, from the one that is read from stdin."""
    diary = Diary(part, ticks)
    replica = configure(store=part.store, identity=part.name, config=CONFIG)

    @leader_only(lease=part.lease)
    def job(tick: int) -> None:
        diary.ran(tick, replica.identity)

    job.leadership.subscribe(diary.on_event)
    with running(part.lease, sigterm="exit"):
        if replica.mode == "always":  # asks nobody, so nothing tells that it leads
            diary.tell("leads", token=0)
        diary.tell("ready")
        first = os.read(0, 100)
        if not first:
            return
        threading.Thread(target=_end_with_demo, daemon=True).start()
        tick = int(first)
        while True:
            tick = max(tick, int(ticks.now() + 1 - TOO_LATE))
            ticks.sleep_until(tick + DELAY)
            if ticks.now() < tick + TOO_LATE:
                job(tick)
            tick += 1


def _end_with_demo() -> None:
    """Leave when stdin ends, which it also does when the demo is killed."""
    while os.read(0, 100):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LEAVE_LIMIT)
    os._exit(1)


if __name__ == "__main__":
    main()
