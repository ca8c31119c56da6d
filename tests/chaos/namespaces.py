"""A network namespace of one replica's own, in which nftables loses and rejects packets; Linux, root, ip and nft."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

RULES = {
    "lossy": "meta l4proto tcp numgen random mod 100 < 30 drop",
    "rejected": "meta l4proto tcp reject with tcp reset",
    "dropped": "drop",
}


def unavailable() -> str:
    """Why this machine has none of that; empty if it has."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "that needs root on Linux"
    if missing := [program for program in ("ip", "nft") if not shutil.which(program)]:
        return f"there is no {' and no '.join(missing)}"
    try:
        with Namespace(99) as namespace:
            namespace.fault("lossy")
    except subprocess.CalledProcessError as error:
        return f"{' '.join(error.cmd)}: {error.stderr.strip()}"
    return ""


class Namespace:
    """One namespace and the pair of interfaces that leads to it; gone at the end of the block."""

    def __init__(self, number: int) -> None:
        self.name = f"singleton-jobs-{os.getpid()}-{number}"
        self._outside, self._inside = f"sj{os.getpid() % 100000}o{number}", f"sj{os.getpid() % 100000}i{number}"
        self._net = f"10.213.{number}"

    @property
    def host(self) -> str:
        """Where a replica inside reaches this machine."""
        return f"{self._net}.1"

    @property
    def launcher(self) -> list[str]:
        """What to put before a command that is to run inside."""
        return [shutil.which("ip") or "ip", "netns", "exec", self.name]

    def __enter__(self) -> Namespace:
        _run("ip", "netns", "add", self.name)
        try:
            _run("ip", "link", "add", self._outside, "type", "veth", "peer", self._inside, "netns", self.name)
            _run("ip", "address", "add", f"{self.host}/24", "dev", self._outside)
            _run("ip", "link", "set", self._outside, "up")
            self._do("ip", "address", "add", f"{self._net}.2/24", "dev", self._inside)
            for device in ("lo", self._inside):
                self._do("ip", "link", "set", device, "up")
            self._do("nft", "add table inet chaos")
            self._do("nft", "add chain inet chaos out { type filter hook output priority 0 ; }")
        except subprocess.CalledProcessError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["ip", "netns", "delete", self.name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", self._outside], check=False, capture_output=True)

    def fault(self, kind: str) -> None:
        """From now on packets that leave are treated by this rule."""
        self._do("nft", f"add rule inet chaos out {RULES[kind]}")

    def heal(self) -> None:
        self._do("nft", "flush chain inet chaos out")

    def _do(self, *command: str) -> None:
        _run("ip", "netns", "exec", self.name, *command)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
