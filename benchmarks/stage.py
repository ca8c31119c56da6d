"""What the rows are measured on: one control plane, and programs in processes of their own."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from controlplane.admin import Admin, Json
from controlplane.pod import Pod
from controlplane.server import ControlPlane

from benchmarks.peers import command

PROGRAMS = Path(__file__).resolve().parent / "programs"

Starter = Callable[..., "Program"]

PATIENCE = 60.0  # seconds until a program must have answered, or got where it should be


def clean_environment() -> dict[str, str]:
    """Ours, without what tells a program to be in some cluster, or to compile every module anew."""
    ours = ("SINGLETON_JOBS_", "KUBERNETES_", "KUBECONFIG", "POD_NAME", "PYTHONDONTWRITEBYTECODE")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)}


class Program:
    """A running program of `benchmarks.programs`; dies with us, as its input ends then."""

    def __init__(self, name: str, *arguments: object, pod: Pod, log: Path) -> None:
        self.namespace = pod.namespace
        self.log = log
        program = command(name) if name == "client-go" else [sys.executable, str(PROGRAMS / f"{name}.py")]
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [*program, *map(str, arguments)],
                cwd=log.parent,
                env=clean_environment() | pod.env | {"SERVICE_ACCOUNT": str(pod.directory)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def ask(self, command: str, *arguments: object) -> Any:
        """The answer to one command; RuntimeError with the end of its log if there is none."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin and stdout
        line = b""
        try:
            stdin.write(" ".join([command, *map(str, arguments)]).encode() + b"\n")
            stdin.flush()
            if select.select([stdout], [], [], PATIENCE)[0]:
                line = stdout.readline()
        except BrokenPipeError:
            pass
        if not line:
            raise RuntimeError(f"no answer to {command!r}: {self.log.read_text(errors='replace')[-1500:]}")
        return json.loads(line)

    def kill(self) -> None:
        """SIGKILL, and reap."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()


class Stage:
    """One run: its control plane is started when a row first needs it."""

    def __init__(self, directory: Path, *, quick: bool, kill_for: float | None = None) -> None:
        self.directory = directory
        self.quick = quick
        self.kill_for = kill_for
        self._started: ControlPlane | None = None
        self.results: dict[str, Any] = {}  # what several rows share

    @cached_property
    def admin(self) -> Admin:
        """A client that may do everything."""
        control_plane = ControlPlane(self.directory / "controlplane").start()
        self._started = control_plane
        return Admin(control_plane, control_plane.admin_token)

    def close(self) -> None:
        """Stop what was started."""
        if self._started:
            self._started.stop()

    def once(self, key: str, measure: Callable[[], Any]) -> Any:
        """The result of ``measure()``, measured once in a run."""
        if key not in self.results:
            self.results[key] = measure()
        return self.results[key]

    @contextmanager
    def programs(
        self, name: str, *arguments: object, roles: list[Json] | None = None, in_cluster: bool = True
    ) -> Iterator[Starter]:
        """A starter of programs that share a new namespace; they end with the block.

        It starts this one, or the one with the arguments that it is given. ``roles``: of their pods, if not the usual.
        ``in_cluster``: by their pod's service account, else by a kubeconfig.
        """
        namespace = f"bench-{uuid.uuid4().hex[:10]}"
        self.admin.create_namespace(namespace)
        running: list[Program] = []

        def start(*other: object) -> Program:
            program_name, *given = other or (name, *arguments)
            pod = f"{program_name}-{len(running)}"
            folder = self.directory / namespace / pod
            created = Pod.create(self.admin, namespace, pod, directory=folder, in_cluster=in_cluster, roles=roles)
            program = Program(str(program_name), *given, pod=created, log=folder / "log")
            running.append(program)
            return program

        try:
            yield start
        finally:
            for program in running:
                program.kill()

    def server_cpu(self) -> float:
        """CPU seconds that the API server and its etcd have used so far."""
        assert self._started
        spent = 0
        for process in (self._started.apiserver, self._started.etcd):
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            spent += int(fields[11]) + int(fields[12])
        return spent / os.sysconf("SC_CLK_TCK")

    def counts(self) -> dict[str, int]:
        """Requests on leases so far, by verb, whatever came of them."""
        verbs: dict[str, int] = {}
        for (verb, _), count in self.admin.lease_request_counts().items():
            verbs[verb] = verbs.get(verb, 0) + count
        return verbs


def until(condition: Callable[[], bool], what: str, *, pause: float = 0.2, patience: float = PATIENCE) -> None:
    """Wait for ``condition``; RuntimeError names ``what`` did not happen."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {patience:.0f} s: {what}")
        time.sleep(pause)
