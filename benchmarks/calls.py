"""What a guard costs its caller."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.stage import PROGRAMS, Stage, clean_environment
from benchmarks.table import Row

MAX_RATIO = 4.0


def call(stage: Stage) -> Row:
    """The overhead of a guarded call that leads, over that of a wrapper that does nothing."""
    command = [sys.executable, str(PROGRAMS / "calls.py"), "9" if stage.quick else "25"]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True, timeout=120)
    best = {name: seconds * 1e9 for name, seconds in json.loads(done.stdout).items()}
    ours, empty = best["guarded"] - best["plain"], best["wrapper"] - best["plain"]
    return Row(
        name="call",
        what="overhead of a guarded call that leads; peer: an empty wrapt wrapper",
        ours=f"{ours:.0f} ns",
        peer=f"{empty:.0f} ns",
        ratio=ours / empty,
        target=f"ratio ≤ {MAX_RATIO:.1f}",
        ok=ours / empty <= MAX_RATIO,
    )
