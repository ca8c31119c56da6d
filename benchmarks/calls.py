"""What a guard costs its caller."""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median
from typing import NamedTuple

from benchmarks.stage import PROGRAMS, Stage, clean_environment
from benchmarks.table import Row

RUNS = 6  # half of them backwards


class _Call(NamedTuple):
    name: str
    what: str
    subject: str
    plain: str
    limit: float


FUNCTION = _Call("call", "a function that leads", "function", "plain", 2.6)
OTHERS = (
    _Call("call-coroutine", "a coroutine that leads", "coroutine", "plain coroutine", 3.4),
    _Call("call-skip", "a function that follows", "skip", "plain", 2.6),
)
MOST_ON_THREADS = 1.5  # times the figure of one thread


def calls(stage: Stage) -> list[Row]:
    """The overheads of guarded calls over plain ones, by that of a wrapper that does nothing."""
    runs = [_run("20" if stage.quick else "60", backwards=bool(number % 2)) for number in range(RUNS)]
    peer = median(_over(run, "wrapper", "plain") for run in runs)
    rows = [_row(call, runs, peer) for call in (FUNCTION, *OTHERS)]
    one = rows[0].ratio or 0.0
    threads = _Call("call-threads", "a function that leads, on 8 threads", "on threads", "plain on threads", 0.0)
    return [*rows, _row(threads._replace(limit=MOST_ON_THREADS * one), runs, peer)]


def _row(call: _Call, runs: list[dict[str, float]], peer: float) -> Row:
    ratio = median(_over(run, call.subject, call.plain) / _over(run, "wrapper", "plain") for run in runs)
    return Row(
        name=call.name,
        what=f"overhead of {call.what}; peer: an empty wrapt wrapper",
        ours=f"{median(_over(run, call.subject, call.plain) for run in runs):.0f} ns",
        peer=f"{peer:.0f} ns",
        ratio=ratio,
        target=f"ratio ≤ {call.limit:.1f}",
        ok=ratio <= call.limit,
    )


def _over(run: dict[str, float], subject: str, plain: str) -> float:
    return (run[subject] - run[plain]) * 1e9


def _run(repeats: str, *, backwards: bool) -> dict[str, float]:
    command = [sys.executable, str(PROGRAMS / "calls.py"), repeats, *(["backwards"] if backwards else [])]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True, timeout=120)
    best: dict[str, float] = json.loads(done.stdout)
    return best
