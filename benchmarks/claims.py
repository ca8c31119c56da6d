"""How fast one leader gets its fires granted."""

from __future__ import annotations

from statistics import median

from benchmarks.stage import Program, Stage, until
from benchmarks.table import Row

MIN_CLAIMS, MIN_AT_ONCE = 150, 3000  # a second
JOBS = 100


def claims(stage: Stage) -> Row:
    """One job after the other, each waiting for its answer; beside plain writes of the official client."""
    turns, times = (3, 200) if stage.quick else (9, 400)
    with stage.programs("claims") as start:
        leader, peer = _leader(start()), start("puts")
        peer.ask("puts", 50)
        leader.ask("one_by_one", 50)
        ours: list[float] = []
        theirs: list[float] = []
        puts = granted = 0
        for _ in range(turns):
            count, seconds, written = _counted(stage, leader, "one_by_one", times)
            granted, puts = granted + count, puts + written
            ours.append(count / seconds)
            count, seconds = peer.ask("puts", times)
            theirs.append(count / seconds)
    rate, plain = median(ours), median(theirs)
    return Row(
        name="claims",
        what=f"claims granted a second, one at a time, {granted} of {turns * times} in {puts} PUTs; "
        "peer: PUTs of one lease by the official client",
        ours=f"{rate:.0f}/s ({min(ours):.0f} to {max(ours):.0f})",
        peer=f"{plain:.0f}/s",
        ratio=rate / plain,
        target=f"≥ {MIN_CLAIMS}/s",
        ok=rate >= MIN_CLAIMS and granted == turns * times,
    )


def batch(stage: Stage) -> Row:
    """Many jobs due at once."""
    turns, times = (3, 20) if stage.quick else (9, 40)
    with stage.programs("claims") as start:
        leader = _leader(start())
        leader.ask("at_once", JOBS, 5)
        rates: list[float] = []
        puts = granted = 0
        for _ in range(turns):
            count, seconds, written = _counted(stage, leader, "at_once", JOBS, times)
            granted, puts = granted + count, puts + written
            rates.append(count / seconds)
    rate, rounds = median(rates), turns * times
    return Row(
        name="batch",
        what=f"claims granted a second, {JOBS} due at once, {granted} of {rounds * JOBS} in {puts} PUTs",
        ours=f"{rate:.0f}/s ({min(rates):.0f} to {max(rates):.0f}), {puts / rounds:.1f} PUTs for {JOBS} claims",
        target=f"≥ {MIN_AT_ONCE}/s",
        ok=rate >= MIN_AT_ONCE and granted == rounds * JOBS,
    )


def _leader(program: Program) -> Program:
    until(lambda: program.ask("held") == 1, "the lease is held")
    return program


def _counted(stage: Stage, leader: Program, command: str, *arguments: object) -> tuple[int, float, int]:
    """What it answered, and how many PUTs the API server has got meanwhile."""
    before = stage.counts().get("PUT", 0)
    granted, seconds = leader.ask(command, *arguments)
    return granted, seconds, stage.counts().get("PUT", 0) - before
