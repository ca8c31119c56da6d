"""A MariaDB server of one's own: found on the machine, started on a free port, thrown away at the end."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, Self

from controlplane.process import Process, free_ports

READY_TIMEOUT = 60.0


class MariaDBMissing(Exception):
    """There is no MariaDB server on this machine; the message says how to get one."""


def find() -> tuple[str, str]:
    """The server's program, and the one that makes its folder."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    found = shutil.which("mariadbd", path=path), shutil.which("mariadb-install-db", path=path)
    if not all(found):
        raise MariaDBMissing("no MariaDB server: apt-get install mariadb-server")
    return found  # type: ignore[return-value]


class MariaDB:
    """One server on 127.0.0.1, with a user root who needs no password, and strict as MariaDB is by default."""

    def __init__(self) -> None:
        server, self._install = find()
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self.directory = Path(tempfile.mkdtemp(prefix="mariadb-"))
        self.data = self.directory / "data"
        (self.port,) = free_ports(1)
        settings = {
            "datadir": self.data,
            "user": self.user,
            "port": self.port,
            "bind-address": "127.0.0.1",
            "socket": self.directory / "socket",
            "pid-file": self.directory / "pid",
            "innodb-buffer-pool-size": "16M",
            "innodb-flush-log-at-trx-commit": 0,
        }
        flags = [f"--{name}={value}" for name, value in settings.items()]
        self.process = Process([server, "--no-defaults", *flags], self.directory / "server.log")

    def start(self) -> Self:
        """Make its folder, start it, and wait until it answers."""
        made = subprocess.run(
            [
                self._install, "--no-defaults", f"--datadir={self.data}", f"--user={self.user}",
                "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if made.returncode:
            raise RuntimeError(f"mariadb-install-db failed:\n{made.stdout}\n{made.stderr}")
        self.process.start()
        self._wait_ready()
        return self

    def stop(self) -> None:
        """End it, and delete all it had."""
        self.process.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    def create_database(self) -> str:
        """The name of a new, empty database."""
        name = f"t_{uuid.uuid4().hex[:10]}"
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return name

    def execute(self, statement: str) -> Any:
        """Its rows."""
        import pymysql

        with pymysql.connect(host="127.0.0.1", port=self.port, user="root", connect_timeout=5) as connection:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()  # it listens once it is ready
            except OSError as error:
                if not self.process.running or time.monotonic() > deadline:
                    raise RuntimeError(f"MariaDB does not start: {error}\n{self.process.tail()}") from None
                time.sleep(0.05)
            else:
                return
