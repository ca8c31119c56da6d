"""What the processes of one test have done, in the order in which they did it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PATIENCE = 60.0  # seconds; a limit for what is stuck, not a measure of how long anything takes
POLL = 0.04


class Entry(SimpleNamespace):
    """One line: `who` wrote it, in which `pid`, which `event`, `at` which boot time, and what else it says."""

    who: str
    pid: int
    event: str
    at: float


def boot_time() -> float:
    """The clock that the journal's entries and the library's decisions are on."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def eventually(is_so: Callable[[], Any], what: object = "", timeout: float = PATIENCE) -> Any:
    """The first true result of `is_so()`; AssertionError with `what` (or `what()`) if there is none in time."""
    deadline = time.monotonic() + timeout
    while not (result := is_so()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what() if callable(what) else what}")
        time.sleep(POLL)
    return result


class Journal:
    """Lines of JSON that many processes append to one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()
        self._read: list[Entry] = []
        self._end = 0  # of what was read

    def entries(self, event: str | None = None, who: str | None = None, **fields: Any) -> list[Entry]:
        """Every entry of this event, process and content so far, oldest first."""
        self._read_on()
        return [
            entry
            for entry in self._read
            if event in (None, entry.event)
            and who in (None, entry.who)
            and all(getattr(entry, name, None) == value for name, value in fields.items())
        ]

    def _read_on(self) -> None:
        """Each line once: those who wait look many times a second."""
        with self.path.open("rb") as file:
            file.seek(self._end)
            complete, end, _ = file.read().rpartition(b"\n")
        self._end += len(complete + end)
        self._read += [Entry(**json.loads(line)) for line in complete.splitlines()]

    def wait_for(
        self,
        event: str,
        who: str | None = None,
        *,
        after: float = 0,
        count: int = 1,
        timeout: float = PATIENCE,
        **fields: Any,
    ) -> Entry:
        """The `count`-th such entry later than `after`."""

        def found() -> list[Entry]:
            return [entry for entry in self.entries(event, who, **fields) if entry.at > after][count - 1 : count]

        def otherwise() -> str:
            return f"{count} x {event!r} of {who or 'anybody'} {fields}; the journal ends\n{self.tail()}"

        entry: Entry = eventually(found, otherwise, timeout)[0]
        return entry

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.path.read_text().splitlines()[-lines:])


def assert_no_overlap(effects: list[Entry]) -> None:
    """Each effect names the term it was checked under; no term acts after a newer one has begun to."""
    ordered = sorted(effects, key=lambda effect: effect.at)
    tokens = [effect.token for effect in ordered]
    assert tokens == sorted(tokens), tokens
    terms = {(effect.token, effect.pid) for effect in ordered}
    assert len({token for token, _ in terms}) == len(terms), f"one token in two processes: {terms}"
