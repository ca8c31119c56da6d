"""One control plane for all test processes of a run: who needs it first starts it, and ends it after all others."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from .binary import Programs
from .server import ControlPlane, Served


@contextmanager
def shared_control_plane(folder: Path, programs: Programs) -> Iterator[Served]:
    """The one that is kept in `folder`, which all the processes know.

    Its locks are the process's, not the file's: no forked child keeps one, and a process that dies gives them back, so
    that the next one starts another server.
    """
    folder.mkdir(exist_ok=True)
    known = folder / "served.json"
    with ExitStack() as stack:
        users = stack.enter_context((folder / "users").open("a+"))
        owner = stack.enter_context((folder / "owner").open("a"))
        with (folder / "starting").open("a") as starting:
            fcntl.lockf(starting, fcntl.LOCK_EX)
            fcntl.lockf(users, fcntl.LOCK_SH)  # not while its owner ends it
            if _is_free(owner):
                shutil.rmtree(folder / "server", ignore_errors=True)  # of an owner that has died
                started = stack.enter_context(ControlPlane(folder / "server", programs))
                stack.callback(fcntl.lockf, users, fcntl.LOCK_EX)  # before its end: until nobody else uses it
                known.write_text(json.dumps([started.port, started.admin_token]))
        port, admin_token = json.loads(known.read_text())
        yield Served(folder / "server", port, admin_token)


def _is_free(owner: IO[str]) -> bool:
    try:
        fcntl.lockf(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
