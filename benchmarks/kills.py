"""What crashes of the leader do to a job that is due each second."""

from __future__ import annotations

import json
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from databases.postgresql import PostgreSQL

from benchmarks.stage import Program, Stage, Starter, until
from benchmarks.table import Row

CONFIG = {"lease_duration": 3}
JOB = [1, 0, "skip"]  # due each second
REPLICAS = 3
EVERY = 10.0  # seconds from one kill to the next
QUIET = 0.5  # seconds from a fire to the kill: its run has ended, and the next is not due

OURS = ("run", "ended", "FireInterrupted", "TermStarted")  # what is looked at

Line = dict[str, Any]


def memory(stage: Stage) -> Row:
    """Each replica has the job in its memory."""
    return _row(stage, "kills-memory", "memory store")


def postgresql(stage: Stage) -> Row:
    """The replicas share the job."""
    with PostgreSQL() as server:
        return _row(stage, "kills-postgresql", "PostgreSQL", server.create_database())


def _row(stage: Stage, name: str, store: str, *database: str) -> Row:
    journal = stage.directory / f"{name}.journal"
    config = json.dumps(CONFIG, separators=(",", ":"))
    lasting = stage.kill_for or (60 if stage.quick else 180)
    job = json.dumps(JOB, separators=(",", ":"))
    with stage.programs("cron", journal, config, job, *database) as start:
        kills, end = _kill_leaders(start, journal, max(1, round(lasting / EVERY)))
    lines = [line for line in _lines(journal) if line["at"] <= end]
    runs = [line for line in lines if line["event"] == "run"]
    times = Counter(round(line["fire"]) for line in runs)
    due = range(min(times), int(end) - 1)
    doubled = [fire for fire, count in times.items() if count > 1]
    told = {round(line["fire"]) for line in lines if line["event"] == "FireInterrupted"}
    interrupted = [fire for fire in due if fire not in times and fire in told]
    missed = [fire for fire in due if fire not in times and fire not in told]
    latest = [
        max(line["at"] - line["fire"] for line in runs if after < line["at"] <= before)
        for after, before in pairwise([*kills, end])
    ]
    others = Counter(line["what"] for line in lines if line["event"] not in OURS)
    return Row(
        name=name,
        what=f"fires of a 1 s cron (coalesce=False), {REPLICAS} replicas, {store}, leases of {CONFIG['lease_duration']} s, leader killed "
        f"and replaced every {EVERY:.0f} s, {QUIET} s after a fire (a run under way would be interrupted), {len(kills)} times",
        ours=f"{len(due)} due, {len(missed)} missed, {len(doubled)} doubled, {len(interrupted)} interrupted; "
        f"latest after a kill {max(latest):.1f} s late (p50 {median(latest):.1f} s)"
        + (f"; {len(told & times.keys())} told as interrupted had ended" if told & times.keys() else "")
        + "".join(f"; {count} x {what}" for what, count in others.most_common(3)),
        target="0 missed, 0 doubled, 0 interrupted",
        ok=not (missed or doubled or interrupted),
    )


def _kill_leaders(start: Starter, journal: Path, times: int) -> tuple[list[float], float]:
    """When the leader was killed, and when that was over."""
    replicas: dict[int, Program] = {}

    def another() -> None:
        program = start()
        replicas[program.ask("pid")] = program

    for _ in range(REPLICAS):
        another()
    until(lambda: all(program.ask("seen") for program in replicas.values()), "the replicas have seen a leader")
    until(lambda: len(_runs(journal)) >= 3, "the job runs")
    kills: list[float] = []
    following = time.time()
    for _ in range(times):
        time.sleep(max(0.0, following - time.time()))
        killed_at, pid = _between_fires(journal)
        replicas.pop(pid).kill()
        kills.append(killed_at)
        following = killed_at + EVERY
        another()
    time.sleep(max(0.0, following - time.time()))
    until(lambda: _is_on_time(_runs(journal)), "a fire is on time")
    return kills, time.time()


def _between_fires(journal: Path) -> tuple[float, int]:
    """Wait for the moment to kill; that, and whom."""
    deadline = time.monotonic() + EVERY
    while time.monotonic() < deadline:
        time.sleep((QUIET - time.time()) % 1)
        if _is_on_time(runs := _runs(journal)):
            return time.time(), runs[-1]["pid"]
        time.sleep(0.1)
    raise RuntimeError("no leader runs the job on time")


def _is_on_time(runs: list[Line]) -> bool:
    return bool(runs) and round(runs[-1]["fire"]) == int(time.time()) and runs[-1]["at"] - runs[-1]["fire"] < QUIET


def _runs(journal: Path) -> list[Line]:
    return [line for line in _lines(journal) if line["event"] == "run"]


def _lines(journal: Path) -> list[Line]:
    text = journal.read_text() if journal.exists() else ""
    return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]
