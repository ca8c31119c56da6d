"""Programs of scenarios in slots of their own, and what they have noted."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from chaos.log import Line, Log, read
from chaos.site import Slot
from chaos.stage import Stage

PATIENCE = 180.0  # seconds for what is stuck
QUICK = {"lease_duration": 3.0, "renew_deadline": 2.0, "retry_period": 0.4}
DEADLINE, PERIOD = QUICK["renew_deadline"], QUICK["retry_period"]
REQUEST = (DEADLINE - PERIOD) / 3


def quick(pace: int) -> dict[str, float]:
    """The timing of leases of 3 s, where each second takes ``pace``."""
    return {name: seconds * pace for name, seconds in QUICK.items()}


class Site:
    """Slots that share a namespace and a log."""

    def __init__(self, path: Path, slots: list[Slot]) -> None:
        self.slots = slots
        self._path = path

    def lines(self, event: str) -> list[Line]:
        return [line for line in read(self._path) if line["event"] == event]

    def until(self, is_so: Callable[[], Any], what: str) -> None:
        """Wait for what the log must say; TimeoutError if it does not."""
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            if time.monotonic() > deadline:
                output = "\n".join(slot.process.tail(800) for slot in self.slots)
                raise TimeoutError(f"not within {PATIENCE:.0f} s: {what}\n{output}")
            time.sleep(0.05)


@contextmanager
def site(stage: Stage, program: str, options: dict[str, Any], *, replicas: int = 1) -> Iterator[Site]:
    """So many replicas of ``program``, started; they end with the block."""
    namespace = stage.namespace()
    path = stage.directory / f"{namespace}.jsonl"
    log = Log(path, "proxy")
    command = [sys.executable, str(Path(__file__).resolve().parent / "programs" / f"{program}.py")]
    env = {"LOG": str(path), "OPTIONS": json.dumps(options)}
    with ExitStack() as exits:
        slots = []
        for number in range(replicas):
            slot = Slot(f"{program}-{number}", stage, namespace, log, command, env)
            exits.callback(slot.close)
            slots.append(slot)
            slot.start()
        yield Site(path, slots)
