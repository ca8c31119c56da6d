"""What beginning costs: importing, which must not pull in much, and the first call that leads."""

from __future__ import annotations

import os
import subprocess
import sys
from statistics import median

from benchmarks.stage import Stage, clean_environment
from benchmarks.table import Row

MAX_RATIO, MAX_FIRST_CALL = 0.13, 0.32
BARE = "pass"
OURS = "import singleton_jobs\nfor name in singleton_jobs.__all__: getattr(singleton_jobs, name)"
PEER = "import kubernetes"
HEAVY = "import sys; print(*({'kubernetes', 'aiohappyeyeballs', 'asyncio', 'wrapt'} & set(sys.modules)))"


def imports(stage: Stage) -> Row:
    """CPU time of fresh interpreters, less that of one that imports nothing."""
    spent: dict[str, list[float]] = {BARE: [], OURS: [], PEER: []}
    for turn in range(10 if stage.quick else 22):
        for code, times in spent.items():
            seconds = _cpu(code)
            if turn:  # the first fills the caches
                times.append(seconds)
    bare, ours, peer = (median(times) for times in spent.values())
    ratio = (ours - bare) / (peer - bare)
    heavy = _run(f"{OURS}\n{HEAVY}").split()
    return Row(
        name="import",
        what="CPU of importing, all public names touched; peer: import kubernetes",
        ours=f"{(ours - bare) * 1000:.1f} ms" + (f", pulls in {', '.join(sorted(heavy))}" if heavy else ""),
        peer=f"{(peer - bare) * 1000:.1f} ms",
        ratio=ratio,
        target=f"ratio ≤ {MAX_RATIO:.2f}, nothing heavy",
        ok=ratio <= MAX_RATIO and not heavy,
    )


def first_call(stage: Stage) -> Row:
    """CPU of fresh processes in a pod until their first guarded call has led, from their very beginning."""
    ours: list[float] = []
    peer: list[float] = []
    with stage.programs("script") as start:
        for turn in range(4 if stage.quick else 10):
            seconds = start("script", f"bench-{turn:04}").ask("cpu"), _cpu(PEER)
            if turn:  # the first fills the caches
                ours.append(seconds[0])
                peer.append(seconds[1])
    typical, kubernetes = median(ours), median(peer)
    ratio = typical / kubernetes
    return Row(
        name="first-call",
        what="CPU of a fresh process in a pod to the end of its first guarded call, which leads, all told; "
        "peer: a process that does import kubernetes",
        ours=f"{typical * 1000:.0f} ms",
        peer=f"{kubernetes * 1000:.0f} ms",
        ratio=ratio,
        target=f"ratio ≤ {MAX_FIRST_CALL:.2f}",
        ok=ratio <= MAX_FIRST_CALL,
    )


def _cpu(code: str) -> float:
    pid = os.posix_spawn(sys.executable, [sys.executable, "-P", "-c", code], clean_environment())
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise RuntimeError(f"failed: python -c {code!r}")
    return usage.ru_utime + usage.ru_stime


def _run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=clean_environment(), capture_output=True, text=True, check=True
    )
    return done.stdout
