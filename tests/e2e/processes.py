"""Replicas as real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from controlplane.pod import Pod

from .journal import PATIENCE, Entry, Journal, eventually

PROGRAMS = Path(__file__).resolve().parent / "programs"


class ReplicaProcess:
    """One program of `programs/` that runs as `pod`; what it does is in the journal, what it prints in `output`."""

    def __init__(
        self, command: list[str], *, who: str, env: dict[str, str | None], folder: Path, journal: Journal
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.who = who
        self.journal = journal
        self._log = folder / f"{who}.log"
        more = {"KUBERNETES_SERVICE_HOST": None, "JOURNAL": str(journal.path), "WHO": who, "PYTHONUNBUFFERED": "1"}
        environment = {key: value for key, value in (os.environ | more | env).items() if value is not None}
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def wait_for(self, event: str, **how: Any) -> Entry:
        """This process's entry in the journal."""

        def found() -> bool:
            try:
                return bool(self.journal.wait_for(event, self.who, **how | {"timeout": 0}))
            except AssertionError:
                # A process that has ended has written all it ever will: look once more, and fail at once.
                return not self.running

        try:
            eventually(found, timeout=how.get("timeout", PATIENCE))
            return self.journal.wait_for(event, self.who, **how | {"timeout": 0})
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- output of {self.who}\n{self.output[-3000:]}") from None

    def wait_for_output(self, text: str) -> str:
        """What it has printed, once that contains `text`."""
        eventually(lambda: text in self.output, lambda: f"{text!r} printed by {self.who}:\n{self.output[-3000:]}")
        return self.output

    def entries(self, event: str | None = None, **fields: Any) -> list[Entry]:
        return self.journal.entries(event, self.who, **fields)

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def stop(self) -> None:
        """SIGSTOP, until `go_on`."""
        self.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self) -> None:
        self.signal(signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM, as a kubelet sends first."""
        self.signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, and reap."""
        self._popen.kill()
        self._popen.wait(PATIENCE)

    def wait(self) -> int:
        """The exit status, once it has ended by itself."""
        try:
            return self._popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.who} does not end:\n{self.output[-3000:]}") from None

    def end(self) -> None:
        """Leave nothing of it behind, forked children included."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._popen.wait(PATIENCE)


class Starter:
    """`start("loop", lease="job")` runs `programs/loop.py` with these options, each time in a pod of its own.

    By its mounted service account, as nearly all replicas do.
    """

    def __init__(self, make_pod: Any, journal: Journal, folder: Path) -> None:
        self._make_pod = make_pod
        self._journal = journal
        self._folder = folder
        self._started: list[ReplicaProcess] = []

    def __call__(self, program: str, **how: Any) -> ReplicaProcess:
        return self.python(str(PROGRAMS / f"{program}.py"), **how)

    def python(
        self,
        *arguments: str,
        pod: Pod | None = None,
        env: dict[str, str | None] | None = None,
        kubeconfig: bool = False,
        **options: Any,
    ) -> ReplicaProcess:
        """Run Python with these arguments, and `options` for the program that this leads to."""
        pod = pod or self._make_pod(f"pod-{len(self._started)}")
        who = pod.name if all(p.who != pod.name for p in self._started) else f"{pod.name}-{len(self._started)}"
        mounted = {} if kubeconfig else {**pod.service_env, "MOUNT": str(pod.directory)}
        process = ReplicaProcess(
            [sys.executable, *arguments],
            who=who,
            env={**pod.env, **mounted, "OPTIONS": json.dumps(options), **(env or {})},
            folder=self._folder,
            journal=self._journal,
        )
        self._started.append(process)
        return process

    def end_all(self) -> None:
        for process in self._started:
            process.end()

    def outputs(self) -> str:
        return "\n".join(f"--- {process.who}\n{process.output[-3000:]}" for process in self._started)
