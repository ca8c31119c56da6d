"""What guarded work writes to: it remembers the newest token of each lease, and refuses anything older."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

from chaos.log import Log


class Sink:
    """A datagram socket, served by a thread until the block ends."""

    def __init__(self, path: Path, log: Log) -> None:
        self.path = path
        self._log = log
        self._newest: dict[str, int] = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def __enter__(self) -> Sink:
        self._socket.bind(str(self.path))
        threading.Thread(target=self._serve, name="sink", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self.path))

    def _serve(self) -> None:
        with self._socket:
            while data := self._socket.recv(1000):
                lease, token, who, pid = json.loads(data)
                fresh = token >= self._newest.get(lease, 0)
                if fresh:
                    self._newest[lease] = token
                event = "accepted" if fresh else "refused"
                self._log.write(event, lease=lease, token=token, by=who, by_pid=pid)
