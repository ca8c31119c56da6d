"""The demo's replicas, and what the demo makes of one that dies between the claim and the end of a tick."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cli.program import wait_until
from singleton_jobs.cli.demo.director import Director
from singleton_jobs.cli.demo.replica import EVENTS, GRACE, RUNS, Part
from singleton_jobs.cli.demo.runs import Run, Tail
from singleton_jobs.cli.demo.ticks import Ticks

LIVES = "from singleton_jobs.cli.demo.replica import main; main()"
DIES = f"""
import os, signal
from singleton_jobs.cli.demo.replica import Diary
Diary.ran = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # claimed, and not a step further
{LIVES}
"""


@contextmanager
def replica(folder: Path, name: str, ticks: Ticks, first: int, last: int, program: str = LIVES) -> Iterator[Any]:
    part = Part(name, f"sqlite://{folder.as_posix()}/leases.sqlite3", "demo", str(folder), ticks.offset)
    with subprocess.Popen([sys.executable, "-P", "-c", program, part.dump()], stdin=subprocess.PIPE) as process:
        process.stdin.write(f"{first} {last}\n".encode())
        process.stdin.flush()
        try:
            yield process
        finally:
            process.stdin.close()


def ran(folder: Path) -> list[int]:
    return [entry["tick"] for entry in Tail(folder / RUNS)]


def marks(folder: Path) -> list[int | None]:
    return [entry["mark"] for entry in Tail(folder / EVENTS) if entry["event"] == "begins"]


def test_a_new_leader_goes_on_after_the_last_claimed_tick_also_if_that_was_interrupted(tmp_path: Path):
    ticks = Ticks.begin()
    last = int(ticks.now())
    first = last - 3
    with replica(tmp_path, "demo-1", ticks, first, first + 1):
        wait_until(lambda: len(ran(tmp_path)) == 2, 20, lambda: "nothing was caught up")
    with replica(tmp_path, "demo-2", ticks, first, last, DIES) as process:
        process.wait(20)
    with replica(tmp_path, "demo-3", ticks, first, last):
        wait_until(lambda: last in ran(tmp_path), 20, lambda: "nobody went on")
    assert ran(tmp_path) == [first, first + 1, last]
    assert marks(tmp_path) == [None, first + 1, first + 2]


def test_a_new_leader_leaves_out_what_is_older_than_the_grace(tmp_path: Path):
    ticks = Ticks.begin()
    last = int(ticks.now())
    with replica(tmp_path, "demo-1", ticks, last - 60, last):
        wait_until(lambda: last in ran(tmp_path), 20, lambda: "nothing was caught up")
        assert last - GRACE <= min(ran(tmp_path)) < ticks.now() - GRACE + 1
    assert ran(tmp_path) == list(range(min(ran(tmp_path)), last + 1))


def test_an_interrupted_tick_is_told_once_and_never_as_missed():
    said: list[str] = []
    actor = SimpleNamespace(name="demo-2", process=SimpleNamespace(pid=2), state="leads")
    event = {"event": "begins", "replica": "demo-2", "pid": 1, "time": 104.5, "mark": 102}
    runs = [Run(101, "demo-1_x", 101.0, 1), Run(103, "demo-2_x", 104.5, 2)]
    stage = SimpleNamespace(
        ticks=Ticks(0.0), actors={"demo-2": actor}, events=iter([event]), new_runs=lambda: [runs.pop(0)] if runs else []
    )
    director = Director(stage, SimpleNamespace(say=lambda at, text, style="": said.append(text)), 10)
    for _ in range(3):
        director._look()
    assert ["interrupted" in text for text in said] == [False, True, False]
    assert said[2].startswith("ran on demo-2  (token 2), caught up: due ")
    assert said[2].endswith(", 1.5 s late")
