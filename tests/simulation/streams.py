"""Simulated watches: events in order, each after a while; they end, break, fall silent, and tell things twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from singleton_jobs.errors import StoreError
from singleton_jobs.locks.kubernetes.api import OPENING, Answer

if TYPE_CHECKING:
    from simulation.apiserver import Event
    from simulation.network import Network
    from simulation.process import Process

BOOKMARK = 10.0  # seconds from one to the next
TWICE = 0.03  # chance that an event is told twice
IN_MIDSTREAM = 0.5  # chance that a version that is too old is said to be so only by the stream


def selected(query: str) -> str | None:
    """The one lease that a list or watch is of; None: all with our label."""
    fields = parse_qs(query).get("fieldSelector")
    return fields[0].partition("=")[2] if fields else None


class Stream:
    """One watch under way, from the server to a process."""

    def __init__(self, network: Network, process: Process, name: str | None, rng: Random) -> None:
        self.silent = False  # half open: nothing arrives any more, and nobody is told
        self._network = network
        self._process = process
        self._name = name
        self._rng = rng
        self._arrived: asyncio.Queue[str | None] = asyncio.Queue()  # None: it is over
        self._latest = 0.0  # when the last event that is on its way arrives
        self._broken = False

    async def watch(self, query: str, opened: Callable[[], None], see: Callable[[bytes], None]) -> Answer:
        """What the library's ``ApiServer.watch`` does."""
        asked, weather = parse_qs(query), self._network.weather
        server, cluster = self._network.server, self._process.cluster
        await asyncio.sleep(self._rng.expovariate(1 / weather.there) + self._rng.expovariate(1 / weather.back))
        if self._rng.random() < max(weather.lost_there, weather.lost_back):
            await asyncio.sleep(OPENING)
            raise StoreError("no answer")
        if weather.refused or not server.up:
            raise StoreError("the API server cannot be reached", outcome="not done")
        if weather.answered:
            return Answer(weather.answered, {"message": "for no reason"}, None, weather.retry_after)
        if not self._network.allows(self._name):
            return Answer(403, {"message": "not by this role"}, None, None)
        since = int(asked["resourceVersion"][0])
        too_old = {"code": 410, "message": "too old"}
        if since < server.compacted and self._rng.random() >= IN_MIDSTREAM:
            return Answer(410, too_old, None, None)
        cluster.note(self._process, "watches", self._name or "all", since)
        opened()
        if since < server.compacted:
            see(json.dumps({"type": "ERROR", "object": too_old}).encode())
        server.streams[self] = None
        try:
            for event in server.since(since):
                self.push(event)
            cluster.after(float(asked["timeoutSeconds"][0]), self.end)
            cluster.after(BOOKMARK, self._bookmark)
            while (text := await self._arrived.get()) is not None:
                see(text.encode())
        finally:
            server.streams.pop(self, None)
        if self._broken:
            raise StoreError("the connection was lost")
        return Answer(200, {}, None, None)

    def of(self, process: Process) -> bool:
        return self._process is process

    def push(self, event: Event) -> None:
        """Something has changed."""
        if self._name == event.name or (self._name is None and event.labelled):
            self._send(json.dumps({"type": event.kind, "object": json.loads(event.text)}))

    def end(self) -> None:
        """The server ends it in good order."""
        self._send(None)

    def cut(self) -> None:
        """It breaks, at once."""
        self._broken = True
        self._arrive(None)

    def _send(self, text: str | None) -> None:
        weather, cluster = self._network.weather, self._process.cluster
        self.silent = self.silent or self._rng.random() < weather.lost_back
        if self.silent:
            return
        for _ in range(2 if text and self._rng.random() < TWICE else 1):
            self._latest = max(self._latest, cluster.time + self._rng.expovariate(1 / weather.back))
            cluster.after(self._latest - cluster.time, lambda: self._arrive(text))

    def _bookmark(self) -> None:
        server = self._network.server
        if self in server.streams:
            metadata = {"resourceVersion": str(server.revision)}
            self._send(json.dumps({"type": "BOOKMARK", "object": {"metadata": metadata}}))
            self._process.cluster.after(BOOKMARK, self._bookmark)

    def _arrive(self, text: str | None) -> None:
        if self._process.alive:
            self._process.loop.call_soon_threadsafe(self._arrived.put_nowait, text)
