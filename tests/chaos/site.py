"""Where the replicas of a storm run: each a process in a pod of its own, behind a proxy of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from controlplane.http1 import Request
from controlplane.pod import Pod
from controlplane.process import Process
from controlplane.proxy import Proxy

from chaos.log import Log, boot_time
from chaos.namespaces import Namespace
from chaos.stage import Stage

RECENT = 1.0  # seconds
PAGE = os.sysconf("SC_PAGESIZE")
OURS = ("SINGLETON_JOBS_", "KUBERNETES_", "KUBECONFIG", "POD_NAME", "FAKETIME", "LD_PRELOAD")


def ours(program: str) -> list[str]:
    """The command of a program of this folder."""
    return [sys.executable, str(Path(__file__).resolve().parent / "programs" / f"{program}.py")]


def fake_clock() -> str | None:
    """The library that lets a process see another wall clock; None where it is not installed."""
    try:
        import libfaketime
    except ImportError:
        return None
    found = Path(libfaketime.__file__).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    return str(found) if found.exists() else None


class Slot:
    """A place for one replica at a time: pod, proxy and files outlive its processes."""

    def __init__(
        self,
        who: str,
        stage: Stage,
        namespace: str,
        log: Log,
        command: list[str],
        env: Mapping[str, str],
        *,
        network: Namespace | None = None,
    ) -> None:
        folder = stage.directory / namespace / who
        folder.mkdir(parents=True)
        self.who = who
        self.network = network
        self.written: dict[str, float] = {}  # when each lease was written last
        self.told: dict[str, float] = {}  # when a write arrived whose answer was handed on, by lease
        self.untold: dict[str, float] = {}  # and one whose answer was not
        self.asked: set[str] = set()  # the leases that its process has had an answer about
        self._log = log
        self._clock = folder / "clock"
        self.set_clock(0)
        self.proxy = Proxy(stage.control_plane, folder / "proxy", *[network.host] if network else [])
        self.proxy.listener = self._note
        self.proxy.start()
        pod = Pod.create(stage.admin, namespace, who, directory=folder / "pod", server=self.proxy)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
        clock = {
            "LD_PRELOAD": fake_clock() or "",
            "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_CACHE_DURATION": "1",  # or each look at a clock reads the file
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        self.process = Process(
            [*(network.launcher if network else []), *command],
            folder / "output",
            {**inherited, **(clock if env.get("CLOCK") else {}), **pod.env, **env, "WHO": who},
        )

    def _note(self, request: Request, status: int, told: bool) -> None:
        """Writes are what holds are judged by."""
        if "/leases/" not in request.path:
            return
        lease = unquote(urlsplit(request.path).path.rpartition("/")[2])
        self.asked.add(lease)
        if request.method != "PUT":
            return
        holder = json.loads(request.body).get("spec", {}).get("holderIdentity") or ""
        if holder and status in (200, 201):
            self.written[lease] = request.at
            (self.told if told else self.untold)[lease] = request.at
        self._log.write("put", request.at, lease=lease, holder=holder, status=status, told=told, by=self.who)

    def holds(self) -> int:
        """How many leases its process has written of late."""
        return sum(at > boot_time() - RECENT for at in list(self.written.values()))

    def set_clock(self, seconds: float) -> None:
        """Have the process see a wall clock that is so many seconds ahead."""
        written = self._clock.with_suffix(".new")
        written.write_text(f"{seconds:+.0f}")
        written.rename(self._clock)

    def start(self) -> None:
        if not self.process.running:
            self.asked.clear()
            self.process.start()

    def end(self, number: signal.Signals) -> None:
        """Send a signal that is to end it."""
        self.process.signal(number)

    def memory(self) -> float | None:
        """MiB that its process has in memory; None if there is none."""
        try:
            return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * PAGE / 2**20
        except (OSError, IndexError):
            return None

    def close(self) -> None:
        self.process.kill()
        self.proxy.stop()
