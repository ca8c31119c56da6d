"""What crashes in the midst of a run do to a job that may run again."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.stage import Program, Stage, Starter, until
from benchmarks.table import Row

CONFIG = {"lease_duration": 3}
EVERY, TAKES = 10, 5.0  # seconds
JOB = [EVERY, TAKES, "rerun"]
REPLICAS = 3
KILLS, QUICK_KILLS = 30, 8
SPAN = (0.5, 4.0)  # seconds from the beginning of a run to its kill
PAUSES = (0, 2)  # how many runs are let come to their end between two kills
MOST = 0.5  # seconds from a take-over to the rerun
SEED = 20

Line = dict[str, Any]


def reruns(stage: Stage) -> Row:
    """Each replica has the job in its memory; the leader is killed in mid-run, first or later attempt."""
    journal = stage.directory / "reruns.journal"
    arguments = [json.dumps(each, separators=(",", ":")) for each in (CONFIG, JOB)]
    count = QUICK_KILLS if stage.quick else KILLS
    with stage.programs("cron", journal, *arguments) as start:
        killed = _kill_in_mid_run(start, journal, count)
    lines = _lines(journal)
    runs = Counter((line["fire"], line["attempt"]) for line in lines if line["event"] == "run")
    ended = Counter(line["fire"] for line in lines if line["event"] == "ended")
    gave_up = {line["fire"] for line in lines if line.get("then") == "gave-up"}
    fires = sorted({fire for fire, _ in runs})
    due = [fires[0] + number * EVERY for number in range(round((fires[-1] - fires[0]) / EVERY) + 1)]
    doubled = sum(number > 1 for number in runs.values()) + sum(number > 1 for number in ended.values())
    neither = [fire for fire in due if ended[fire] + (fire in gave_up) != 1]
    begun = [line["fire"] for line in lines if line["event"] == "run"]
    backwards = sum(later < earlier for earlier, later in pairwise(begun))
    delays = [_delay(lines, at) for at in killed]
    return Row(
        name="reruns",
        what=f"fires of a {TAKES:.0f} s job each {EVERY} s, interrupted='rerun', {REPLICAS} replicas, leases of "
        f"{CONFIG['lease_duration']} s, leader killed in mid-run {len(killed)} times (seed {SEED})",
        ours=f"{len(due)} due, {sum(ended.values())} completed, {len(gave_up)} given up, {len(neither)} neither; "
        f"{doubled} attempts run twice, {backwards} out of order; attempts {max(number for _, number in runs)} at most; "
        f"take-over to rerun max {1000 * max(delays):.0f} ms",
        target=f"each completed once or given up, 0 twice, rerun <= take-over + {MOST} s",
        ok=not (neither or doubled or backwards) and max(delays) <= MOST,
    )


def _kill_in_mid_run(start: Starter, journal: Path, times: int) -> list[float]:
    """When the leader was killed; after the last kill all comes to its end."""
    rng = random.Random(SEED)
    replicas: dict[int, Program] = {}

    def another() -> None:
        program = start()
        replicas[program.ask("pid")] = program

    for _ in range(REPLICAS):
        another()
    kills: list[float] = []
    for _ in range(times):
        known = _count(journal, "run") + rng.randint(*PAUSES)
        until(lambda known=known: _count(journal, "run") > known, "another run", pause=0.02)
        time.sleep(rng.uniform(*SPAN))
        last = _lines(journal)[-1]
        if last["event"] == "run":
            replicas.pop(last["pid"]).kill()
            kills.append(time.time())
            another()
    ended = _count(journal, "ended")
    until(lambda: _count(journal, "ended") >= ended + 3, "three more runs have ended", pause=0.2)
    return kills


def _delay(lines: list[Line], killed_at: float) -> float:
    """From the take-over after a kill to the next attempt at what was cut short; 0 if it was given up."""
    after = [line for line in lines if line["at"] > killed_at]
    taken_over = next(line["at"] for line in after if line["event"] == "TermStarted")
    told = next(line for line in after if line["event"] == "FireInterrupted")
    if told["then"] == "gave-up":
        return 0.0
    return float(
        next(line["at"] for line in after if line["event"] == "run" and line["fire"] == told["fire"]) - taken_over
    )


def _count(journal: Path, event: str) -> int:
    return sum(line["event"] == event for line in _lines(journal))


def _lines(journal: Path) -> list[Line]:
    text = journal.read_text() if journal.exists() else ""
    return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]
