"""Others' leader election as programs, to go through the same storm: a candidate for each lease, and work while it leads.

Environment of both: LOG, WHO, KUBECONFIG, and OPTIONS (leases, lease_duration, renew_deadline, retry_period).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from controlplane.binary import cached_path

FOLDER = Path(__file__).resolve().parent
MODULE = FOLDER / "client-go"


class PeerMissing(Exception):
    """A peer's program is not there and cannot be built."""


def command(name: str) -> list[str]:
    """What runs one replica of "python" or "client-go"; the latter is built first, if it is not in the cache."""
    if name == "python":
        return [sys.executable, str(FOLDER / "python_client.py")]
    if name == "client-go":
        return [str(_built())]
    raise ValueError(f"no such peer: {name!r}")


def _built() -> Path:
    """Under the user's cache, named by what it is built from."""
    cache = cached_path().parent
    cache.mkdir(parents=True, exist_ok=True)
    sources = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum", "main.go", "steady.go"))
    target = cache / f"client-go-{hashlib.sha256(sources).hexdigest()[:12]}"
    with (cache / "client-go.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_file():
            _build(target)
    return target


def _build(target: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise PeerMissing("client-go's leader election has to be built, and there is no Go: install it")
    print("building client-go's leader election, once: some minutes …", file=sys.stderr, flush=True)
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        done = subprocess.run(
            [go, "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", str(temporary), "."],
            cwd=MODULE,
            env=os.environ | {"CGO_ENABLED": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise PeerMissing(f"`go build` of client-go's leader election failed: {done.stderr[-1500:].strip()}")
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
