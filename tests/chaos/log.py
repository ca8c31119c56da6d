"""The one log of a run: lines of JSON that every process appends, each with the boot-time clock's time.

Imports nothing of the library: what is judged by this log does not write its own judgement.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def boot_time() -> float:
    """Seconds on CLOCK_BOOTTIME, which is the same for all processes of a machine and which nobody sets."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Log:
    """Appends whole lines, so that those of several processes never mix."""

    def __init__(self, path: str | Path, who: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._who = who

    def write(self, event: str, at: float | None = None, **fields: Any) -> float:
        """Note ``event`` (at this moment, if no time is given); when that was."""
        at = boot_time() if at is None else at
        line = {"at": round(at, 6), "who": self._who, "pid": os.getpid(), "event": event, **fields}
        os.write(self._file, json.dumps(line, separators=(",", ":")).encode() + b"\n")
        return at


def read(path: str | Path) -> list[Line]:
    """All complete lines so far, in the order of their times."""
    complete, _, _ = Path(path).read_text().rpartition("\n")
    return sorted((json.loads(line) for line in complete.splitlines()), key=lambda line: line["at"])
