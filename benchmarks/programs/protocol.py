"""How a measured program talks: a command per line in, one line of JSON per command out."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Protocol

SERVICE_ACCOUNT = Path(os.environ.get("SERVICE_ACCOUNT", ""))  # its usual path is not a benchmark's to write to

Facts = dict[str, Any]
Command = Callable[..., object]
Timed = tuple[int, float, float]  # how often, in how many seconds, and the median of what one took


class Locker(Protocol):
    """A lock."""

    def lock(self) -> bool: ...

    def unlock(self) -> object: ...


def boot_time() -> float:
    """One clock for every process of the machine."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def facts() -> Facts:
    """What this process has used and uses now."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "at": boot_time(),
        "cpu": time.process_time(),
        "rss_mib": int(status["VmRSS"].split()[0]) / 1024,
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "tasks": len(os.listdir("/proc/self/task")),
    }


def timed(seconds: float, make: Callable[[], Locker]) -> Timed:
    """Take and give back one lock after the other; the median is that of taking."""
    took: list[float] = []
    began = now = time.perf_counter()
    while now - began < seconds:
        before = time.perf_counter()
        locker = make()
        assert locker.lock()
        took.append(time.perf_counter() - before)
        locker.unlock()
        now = time.perf_counter()
    return len(took), now - began, median(took)


def serve(**commands: Command) -> None:
    """Answer until the input ends; then end at once, releasing nothing."""
    commands = {"facts": facts, **commands}
    for line in sys.stdin:
        name, *arguments = line.split()
        print(json.dumps(commands[name](*arguments)), flush=True)
    os._exit(0)
