"""The processes of the demo: started, killed, started again, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from .replica import EVENTS, RUNS, Part
from .runs import Run, Tail
from .ticks import Ticks

__all__ = ["Actor", "Stage", "StageError"]

NAMES = ("demo-1", "demo-2", "demo-3")
STOP_LIMIT = 5.0  # seconds that replicas may take to leave


class StageError(Exception):
    """A replica ended though nobody ended it."""


@dataclass
class Actor:
    """One replica, as far as it is seen from outside."""

    name: str
    process: "subprocess.Popen[bytes]"
    state: Literal["starting", "follows", "leads", "down"] = "starting"
    token: int = 0
    ran: list[int] = field(default_factory=list)
    caught_up: set[int] = field(default_factory=set)
    killed: list[int] = field(default_factory=list)
    down_since: float = 0.0


class Stage:
    """Three replicas on one store, in one folder; leaving the ``with`` block ends them all."""

    def __init__(self, folder: Path, store: str, lease: str, ticks: Ticks) -> None:
        self.actors: dict[str, Actor] = {}
        self.ticks = ticks
        self._folder = folder
        self._store = store
        self._lease = lease
        self.runs = Tail(folder / RUNS)
        self.events = Tail(folder / EVENTS)

    def __enter__(self) -> Self:
        try:
            for name in NAMES:
                self.actors[name] = Actor(name, self._spawn(name))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def leader(self) -> Actor | None:
        """The replica that was last told to lead, if it still does."""
        leading = [actor for actor in self.actors.values() if actor.state == "leads"]
        return max(leading, key=lambda actor: actor.token, default=None)

    def go(self, first: int, last: int, *names: str) -> None:
        """Have these replicas (or all) run the ticks from ``first`` to ``last``."""
        for name in names or self.actors:
            stdin = self.actors[name].process.stdin
            if stdin is not None:
                stdin.write(f"{first} {last}\n".encode())
                stdin.flush()

    def kill(self, actor: Actor, number: signal.Signals) -> None:
        """Send the signal to a replica, which is down from now on."""
        actor.process.send_signal(number)
        now = self.ticks.now()
        actor.state, actor.down_since = "down", now
        actor.killed.append(int(now))

    def start_again(self, actor: Actor) -> bool:
        """Replace a replica that is down by a new process; False while the old one is still leaving."""
        if actor.process.poll() is None:
            return False
        _close_stdin(actor.process)
        actor.process, actor.state = self._spawn(actor.name), "starting"
        return True

    def new_runs(self) -> list[Run]:
        """What ran since the last time, in order."""
        runs = sorted((Run(**entry) for entry in self.runs), key=lambda run: run.time)
        for run in runs:
            actor = self.actors[run.replica]
            actor.ran.append(run.tick)
            if run.caught_up:
                actor.caught_up.add(run.tick)
        return runs

    def check(self) -> None:
        """Raise StageError if a replica has ended that should not have."""
        for actor in self.actors.values():
            status = actor.process.poll()
            if status is not None and actor.state != "down":
                lines = self._errors(actor.name).read_text(errors="replace").strip().splitlines()
                raise StageError(f"{actor.name} ended by itself ({status}): {lines[-1] if lines else 'no message'}")

    def stop(self) -> None:
        """End all replicas: by asking, then by force."""
        processes = [actor.process for actor in self.actors.values()]
        for process in processes:
            _close_stdin(process)
        deadline = time.monotonic() + STOP_LIMIT
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _spawn(self, name: str) -> "subprocess.Popen[bytes]":
        part = Part(name, self._store, self._lease, str(self._folder), self.ticks.offset)
        # The lease's name is given in full; -P keeps modules of the working directory out of the way.
        environment = {key: value for key, value in os.environ.items() if key != "SINGLETON_JOBS_PREFIX"}
        with self._errors(name).open("ab") as errors:
            return subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-m", "singleton_jobs.cli.demo.replica", part.dump()],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=environment,
            )

    def _errors(self, name: str) -> Path:
        return self._folder / f"{name}.err"


def _close_stdin(process: "subprocess.Popen[bytes]") -> None:
    try:
        if process.stdin is not None:
            process.stdin.close()
    except OSError:
        pass  # the replica has ended already
