"""The process that keeps the child of `singleton-jobs run`: a dead man's switch.

It is told, again and again, until when the child may live. If the word fails to come, because whoever holds the lease
was killed, stopped or starved, the child and its process group are killed in time all the same.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import socket
import traceback
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NoReturn

from ...concurrency.clock import SYSTEM_CLOCK

__all__ = ["FORWARDED", "Keeper", "heeded", "messages", "send"]

FORWARDED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)

Message = dict[str, Any]


def heeded() -> tuple[signal.Signals, ...]:
    """Those of `FORWARDED` that are not ignored: at the start this tells what a shell has its background ignore.

    SIGTERM counts always: it is how a kubelet asks for an end.
    """
    return tuple(n for n in FORWARDED if n == signal.SIGTERM or signal.getsignal(n) != signal.SIG_IGN)


def send(link: socket.socket, message: Message) -> None:
    """Send one message; nobody there to hear it is no error, as its end is noticed when reading."""
    with suppress(BrokenPipeError, ConnectionResetError):
        link.sendall(json.dumps(message).encode() + b"\n")


def messages(link: socket.socket, rest: bytearray) -> Iterator[Message | None]:
    """What has arrived; None at last if the other side has gone. ``rest`` keeps what is incomplete."""
    try:
        data = link.recv(65536)
    except ConnectionResetError:
        data = b""
    rest += data
    while (end := rest.find(b"\n")) >= 0:
        line = bytes(rest[:end])
        del rest[: end + 1]
        yield json.loads(line)
    if not data:
        yield None


class Keeper:
    """Serves ``link`` until its other side is gone, then kills what runs and exits."""

    def __init__(self, link: socket.socket, command: list[str]) -> None:
        self._link = link
        self._command = command
        self._heeded = heeded()
        self._child: int | None = None
        self._kill_at = math.inf
        self._wakeup, wakeup_in = os.pipe()
        for end in (self._wakeup, wakeup_in):
            os.set_blocking(end, False)
        for number in FORWARDED:  # meant for the child, and forwarded by whoever holds the lease
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakeup_in, warn_on_full_buffer=False)

    def serve(self) -> NoReturn:
        """Never returns."""
        rest = bytearray()
        try:
            while self._go_on(rest):
                pass
        except Exception:  # noqa: BLE001 (told in full, and the child must not outlive this process)
            traceback.print_exc()
        finally:
            self._signal(signal.SIGKILL)
            os._exit(0)

    def _go_on(self, rest: bytearray) -> bool:
        """Wait for something, and do what it asks for; False when the other side has gone."""
        left = max(0.0, self._kill_at - SYSTEM_CLOCK.now())
        ready = select.select([self._link.fileno(), self._wakeup], [], [], left if left < math.inf else None)[0]
        if self._wakeup in ready:
            os.read(self._wakeup, 512)
        for message in messages(self._link, rest) if self._link.fileno() in ready else ():
            if message is None:
                return False
            self._obey(message)
        if SYSTEM_CLOCK.now() >= self._kill_at:
            self._kill_at = math.inf
            self._signal(signal.SIGKILL)
        self._reap()
        return True

    def _obey(self, message: Message) -> None:
        if "kill_at" in message:
            self._kill_at = message["kill_at"]
        if "start" in message:
            self._start(message["start"], message["valid_until"])
        if "signal" in message:
            self._signal(message["signal"])

    def _start(self, environment: dict[str, str], valid_until: float) -> None:
        if SYSTEM_CLOCK.now() >= valid_until:
            send(self._link, {"late": True})
            return
        try:
            self._child = os.posix_spawnp(
                self._command[0],
                self._command,
                environment,
                setpgroup=0,
                setsigmask=(),
                setsigdef=(*self._heeded, signal.SIGCHLD, signal.SIGPIPE),
            )
        except OSError as error:
            send(self._link, {"failed": error.strerror})
        else:
            send(self._link, {"started": self._child})

    def _signal(self, number: int) -> None:
        if self._child is not None:
            with suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS, of zombies
                os.killpg(self._child, number)

    def _reap(self) -> None:
        child = self._child
        if child is None or os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return
        self._signal(signal.SIGKILL)  # what it left behind in its group; its own number is not free before it is reaped
        _, status = os.waitpid(child, 0)
        self._child, self._kill_at = None, math.inf
        send(self._link, {"ended": os.waitstatus_to_exitcode(status)})
