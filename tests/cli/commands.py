"""`singleton-jobs` as people call it: a process of its own, as a pod, and what it printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from cli.program import Program

COMMAND = [sys.executable, "-P", "-c", "from singleton_jobs.cli import main; main(prog_name='singleton-jobs')"]
IN_BACKGROUND = ["sh", "-c", 'trap "" INT HUP; exec "$@"', "sh"]  # as a script's `command &` under nohup has its child
BEATING = str(Path(__file__).parent / "programs" / "beating.py")


class Printed(NamedTuple):
    status: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        return json.loads(self.output)


def call(*arguments: str, timeout: float = 60, **environment: str | None) -> Printed:
    """Run it to its end."""
    given = os.environ | {"COLUMNS": "80"} | environment
    done = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={name: value for name, value in given.items() if value is not None},
        stdin=subprocess.DEVNULL,
    )
    return Printed(done.returncode, done.stdout, done.stderr)


def start(folder: Path, *arguments: str, **environment: str) -> Program:
    return Program([*COMMAND, *arguments], folder, **environment)


class Beat(NamedTuple):
    """The child of a `run` was alive at this moment (CLOCK_BOOTTIME), as its own process saw it."""

    at: float
    pid: int
    token: int
    what: str


def beats(path: Path) -> list[Beat]:
    """What children wrote, in the order of time; a line that was cut off by their end is left out."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    words = [line.split() for line in lines if line.endswith("\n")]
    return sorted(Beat(float(at), int(pid), int(token), what) for at, pid, token, what in words)
