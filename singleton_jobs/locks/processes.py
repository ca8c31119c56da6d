"""Processes of this machine, named so that a dead one can be told from a living one, and from a reused pid."""

import os
import socket
import sys
from functools import cache
from pathlib import Path

__all__ = ["is_gone", "this_process"]


def this_process() -> str:
    """``<machine and pid namespace> <pid> <start>`` of the calling process."""
    return _name(os.getpid())


def is_gone(process: str) -> bool:
    """Whether that process has certainly ended; False for anything that cannot be seen from here."""
    try:
        world, pid_text, start = process.rsplit(" ", 2)
        pid = int(pid_text)
    except ValueError:
        return False
    if world != _world():
        return False
    now = _start(pid)
    if now is not None:
        return start not in ("?", now)
    return not _exists(pid)


@cache
def _name(pid: int) -> str:
    return f"{_world()} {pid} {_start(pid) or '?'}"


@cache
def _world() -> str:
    if sys.platform == "linux":
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
        except OSError:
            pass  # without /proc the host's name has to tell machines apart
    return socket.gethostname()


def _start(pid: int) -> str | None:
    """When it started, in clock ticks since boot; None if unknown, "" if it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "" if fields[0] in "ZX" else fields[19]


def _exists(pid: int) -> bool:
    if sys.platform == "win32":  # os.kill ends a process there, whatever the signal
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
