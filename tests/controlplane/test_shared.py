"""Processes that share one control plane: here one that only says what is done to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cli.program import wait_until

TESTS = Path(__file__).resolve().parents[1]
# It is used until the standard input ends.
USER = """
import os, sys
from pathlib import Path
from controlplane import shared

def say(what):
    os.write(log, f"{sys.argv[1]} {what}\\n".encode())

class Server:
    port, admin_token = os.getpid(), "token"
    def __init__(self, directory, programs): pass
    def __enter__(self): say("starts it"); return self
    def __exit__(self, *_): say("ends it")

log = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
shared.ControlPlane = Server
with shared.shared_control_plane(Path("folder"), None) as served:
    say(f"uses {served.port}")
    sys.stdin.read()
    say("leaves")
"""


def test_who_started_it_ends_it_after_all_others(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def said(line: str) -> None:
        wait_until(lambda: log.exists() and f"{line}\n" in log.read_text(), 60, lambda: f"{line!r} is not said")

    def use(name: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {"PYTHONPATH": str(TESTS)}
        return subprocess.Popen(
            [sys.executable, "-c", USER, name], cwd=tmp_path, env=environment, stdin=subprocess.PIPE
        )

    with use("first") as first:
        said(f"first uses {first.pid}")
        with use("second") as second:
            said(f"second uses {first.pid}")
            first.stdin.close()
            said("first leaves")
            second.stdin.close()
    with use("third") as third:
        said(f"third uses {third.pid}")
        third.kill()
    with use("fourth") as fourth:
        said(f"fourth uses {fourth.pid}")
        fourth.stdin.close()
    happened = [line for line in log.read_text().splitlines() if " uses " not in line]
    assert happened == [
        "first starts it",
        "first leaves",
        "second leaves",
        "first ends it",
        "third starts it",
        "fourth starts it",
        "fourth leaves",
        "fourth ends it",
    ]
