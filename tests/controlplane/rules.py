"""What the proxy is told to do with requests: rules are matched in the order they were made."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "delay_request",
    "respond",
    "forward_then_drop",
    "forward_then_delay",
    "forward_late",
    "drop",
    "drip",
    "hang",
    "reset",
]


@dataclass(frozen=True)
class Action:
    kind: Kind
    seconds: float = 0
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: bool = True


class Rule:
    """One installed rule; tells what became of the requests it caught."""

    def __init__(self, book: RuleBook, method: str | None, path: str, times: int | None, action: Action) -> None:
        self.action = action
        self._book = book
        self._method = method
        self._path = path
        self._left = times
        self._hits = 0
        self._statuses: list[int] = []

    def __repr__(self) -> str:
        return f"<Rule {self._method or '*'} {self._path!r} {self.action.kind} hits={self.hits} {self.statuses}>"

    @property
    def hits(self) -> int:
        """Requests caught so far."""
        return self._hits

    @property
    def statuses(self) -> list[int]:
        """What the API server answered to those that were forwarded, whether or not the client was told."""
        return list(self._statuses)

    def wait(self, hits: int = 1, landed: int = 0, timeout: float = 10) -> Rule:
        """Until so many requests were caught, and so many of them were answered by the API server."""
        self._book.wait_for(lambda: self._hits >= hits and len(self._statuses) >= landed, timeout, repr(self))
        return self

    def remove(self) -> None:
        self._book.remove(self)

    # Called by the proxy, under the book's lock.
    def _take(self, method: str, path: str) -> bool:
        if self._left == 0 or self._method not in (None, method) or self._path not in path:
            return False
        self._left = None if self._left is None else self._left - 1
        self._hits += 1
        return True

    def landed(self, status: int) -> None:
        self._book.change(lambda: self._statuses.append(status))


class Match:
    """`proxy.on(…)`: names the requests; each method below installs one rule for them and returns it."""

    def __init__(self, book: RuleBook, method: str | None, path: str, times: int | None) -> None:
        self._book = book
        self._requests = method, path, times

    def _new(self, action: Action) -> Rule:
        return self._book.add(Rule(self._book, *self._requests, action))

    def delay_request(self, seconds: float) -> Rule:
        """Forward after so long; the answer goes to the client if it still waits. It lands anyway."""
        return self._new(Action("delay_request", seconds))

    def respond(
        self,
        status: int,
        headers: Mapping[str, str] | None = None,
        body: bytes | dict[str, Any] | None = None,
    ) -> Rule:
        """Answer without forwarding; without a body, a Status object as the API server would send."""
        if body is None:
            body = {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "message": "proxy",
                "code": status,
            }
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._new(Action("respond", status=status, headers=headers or {}, body=data))

    def forward_then_drop(self) -> Rule:
        """The API server commits and answers; then the client's connection is cut without an answer."""
        return self._new(Action("forward_then_drop"))

    def forward_then_delay(self, seconds: float) -> Rule:
        """Forward at once; hand the answer over only after so long."""
        return self._new(Action("forward_then_delay", seconds))

    def forward_late(self, seconds: float, *, cut: bool = True) -> Rule:
        """Cut the client now, or leave it waiting for ever; forward the request only after so long."""
        return self._new(Action("forward_late", seconds, cut=cut))

    def drop(self) -> Rule:
        """Cut the connection; the request is not forwarded."""
        return self._new(Action("drop"))

    def reset(self) -> Rule:
        """Like drop, but the client sees a TCP RST."""
        return self._new(Action("reset"))

    def hang(self) -> Rule:
        """Neither forward nor answer."""
        return self._new(Action("hang"))

    def drip(self, seconds: float) -> Rule:
        """Forward; answer with the head at once and one byte of the body each so many seconds."""
        return self._new(Action("drip", seconds))


class RuleBook:
    """The rules, shared by the tests' thread and the proxy's."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._changed = threading.Condition()

    def add(self, rule: Rule) -> Rule:
        self.change(lambda: self._rules.append(rule))
        return rule

    def remove(self, rule: Rule) -> None:
        self.change(lambda: self._rules.remove(rule) if rule in self._rules else None)

    def clear(self) -> None:
        self.change(self._rules.clear)

    def take(self, method: str, path: str) -> Rule | None:
        """The rule that applies to this request, counted."""
        with self._changed:
            found = next((rule for rule in self._rules if rule._take(method, path)), None)
            self._changed.notify_all()
            return found

    def change(self, what: Callable[[], object]) -> None:
        with self._changed:
            what()
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        """TimeoutError, with the time it took, if the condition does not come true."""
        started = time.monotonic()
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise TimeoutError(f"{what}: not within {time.monotonic() - started:.1f} s")
