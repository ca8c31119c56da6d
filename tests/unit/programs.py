"""Programs run in a process of their own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import singleton_jobs


def run(source: str, *, env: dict[str, str] | None = None, timeout: float = 20) -> str:
    """What the program prints; an AssertionError, with what it said, if it fails."""
    with start(source, env=env) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == 0, f"exit status {process.returncode}\n{out}\n{err}"
    return out


def start(source: str, *, env: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    home = str(Path(singleton_jobs.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-P", "-W", "ignore", "-c", textwrap.dedent(source)],
        env={**os.environ, "PYTHONPATH": home, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
