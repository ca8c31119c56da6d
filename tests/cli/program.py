"""A program under test: a real process with its output in a file, which never outlives its test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

DEMO = [sys.executable, "-c", "from singleton_jobs.cli import main; main(prog_name='singleton-jobs')", "demo"]


class Program:
    """``with Program(command, folder) as program``; killed at the end if it still runs."""

    def __init__(self, command: Sequence[str], folder: Path, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._output = folder / "output.txt"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONUNBUFFERED": "1"} | environment,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def count(self, text: str) -> int:
        return self.output.count(text)

    def wait_for(self, text: str, times: int = 1, timeout: float = 30) -> None:
        """Wait until ``text`` was printed so often."""

        def printed() -> bool:
            assert self.process.poll() is None or self.count(text) >= times, f"it ended: {self.output}"
            return self.count(text) >= times

        wait_until(printed, timeout, lambda: f"{text!r} was not printed {times} times: {self.output}")

    def stop(self, number: int = signal.SIGTERM, timeout: float = 30) -> int:
        """Send the signal and wait; the exit status."""
        self.process.send_signal(number)
        return self.wait(timeout)

    def wait(self, timeout: float = 60) -> int:
        return self.process.wait(timeout)


def wait_until(done: Callable[[], bool], timeout: float, otherwise: Callable[[], str]) -> None:
    deadline = time.monotonic() + timeout
    while not done():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that ended and was not yet reaped by whoever inherited it does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return not Path("/proc/self").exists()
