"""The simulated way to the API server: requests and answers take time, get lost, land late, and overtake each other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any

from singleton_jobs.errors import StoreError
from singleton_jobs.locks.kubernetes.api import Answer
from singleton_jobs.locks.kubernetes.lease import KubernetesStore
from singleton_jobs.locks.kubernetes.watcher import Watching

from simulation.streams import Stream, selected

if TYPE_CHECKING:
    from simulation.cluster import Cluster
    from simulation.process import Process


@dataclass(frozen=True)
class Weather:
    """How one replica's connections are at present; chances are from 0 to 1, times are mean seconds."""

    there: float = 0.002
    back: float = 0.002
    lost_there: float = 0.0
    lost_back: float = 0.0
    late: float = 0.0  # chance that a request lands only after its sender has given up
    late_by: float = 0.0
    answered: int = 0  # a status that is answered instead of doing anything
    after_commit: bool = False  # or, after doing it
    retry_after: float | None = None
    refused: bool = False  # nobody listens
    unreadable: float = 0.0  # chance of a 2xx whose body is cut off
    lagging: float = 0.0  # chance that a read shows the version before the last


CALM = Weather()
ALL = "leases"  # the last part of a list's path


class Network:
    """Between one process and the API server: stands where `singleton_jobs.locks.kubernetes.api.ApiServer` does."""

    def __init__(self, cluster: Cluster, process: Process, rng: Random) -> None:
        self.weather = CALM
        self.only: str | None = None  # the lease that the weather is meant for; None: all
        self.swallow = 0  # answers to writes that are lost after the commit
        self.server = cluster.server
        self._cluster = cluster
        self._process = process
        self._rng = rng
        self.chance = rng

    async def aclose(self) -> None:
        pass

    def allows(self, name: str | None) -> bool:
        """Whether the role allows to list and watch all leases (None), or this one; it is the same for all replicas."""
        return self._cluster.role == "all" or (self._cluster.role == "by name" and name is not None)

    async def watch(self, path: str, query: str, opened: Callable[[], None], see: Callable[[bytes], None]) -> Answer:
        """One watch, to its end."""
        return await Stream(self, self._process, selected(query), self._rng).watch(query, opened, see)

    async def ask(self, method: str, path: str, body: Any = None, *, told: float, query: str = "") -> Answer:
        """The same for whoever gives up by himself then, with a body or its text."""
        body = json.loads(body) if isinstance(body, str) else body
        return await self.request(method, path, body, timeout=told, query=query)

    async def request(self, method: str, path: str, body: Any = None, *, timeout: float, query: str = "") -> Answer:
        """One request, sent once; as the real one does, StoreError tells what is known of it."""
        cluster, process, lease = self._cluster, self._process, path.rpartition("/")[2]
        weather = self.weather if self.only in (None, lease) else CALM
        sent_at = process.host.now()
        cluster.note(process, "sends", method, lease)
        if weather.refused or not cluster.server.up:
            await asyncio.sleep(min(timeout, self._rng.uniform(0, 2 * weather.there)))
            raise StoreError("the API server cannot be reached", outcome="not done")
        arrival: asyncio.Future[Answer | None] = process.loop.create_future()
        flight = _Flight(cluster, process, method, lease, body, weather, arrival, query)
        flight.swallowed = method == "PUT" and self.swallow > 0
        self.swallow -= flight.swallowed
        flight.send(self._rng)
        try:
            async with asyncio.timeout(timeout):
                answer = await arrival
        except TimeoutError as error:
            cluster.note(process, "gives up", method, lease)
            raise StoreError(f"{method} {path}: no answer within {timeout:.2f} s") from error
        if answer is None:
            raise StoreError(f"{method} {path}: the connection was lost")
        cluster.note(process, "hears", method, lease, answer.status)
        if method == "PUT" and answer.status in (200, 201):
            if self._rng.random() < weather.unreadable:
                raise StoreError(f"{method} {path}: {answer.status} with an unreadable body")
            cluster.referee.acknowledged(process, lease, sent_at)
        return answer


class _Flight:
    """One request on its way, and its answer."""

    def __init__(
        self,
        cluster: Cluster,
        process: Process,
        method: str,
        lease: str,
        body: Any,
        weather: Weather,
        arrival: asyncio.Future[Answer | None],
        query: str,
    ) -> None:
        self.swallowed = False
        self._cluster = cluster
        self._process = process
        self._method = method
        self._lease = lease
        self._body = body
        self._weather = weather
        self._arrival = arrival
        self._query = query
        self._back = 0.0
        self._lost_back = False
        self._lagging = False

    def send(self, rng: Random) -> None:
        weather = self._weather
        there, self._back = rng.expovariate(1 / weather.there), rng.expovariate(1 / weather.back)
        lost, self._lost_back = rng.random() < weather.lost_there, rng.random() < weather.lost_back
        self._lagging = rng.random() < weather.lagging
        if rng.random() < weather.late:
            there += rng.expovariate(1 / weather.late_by)
        if not lost:
            self._cluster.after(there, self._land)

    def _land(self) -> None:
        cluster, weather = self._cluster, self._weather
        if not cluster.server.up:
            cluster.after(self._back, lambda: self._arrive(None))
            return
        if weather.answered and not weather.after_commit:
            status, body = weather.answered, {"message": "for no reason"}
        else:
            status, body = self._do()
            if weather.answered:
                status, body = weather.answered, {"message": "after the commit"}
        if self.swallowed and status in (200, 201):
            cluster.referee.tally.swallowed += 1
        if self.swallowed or self._lost_back:
            return
        served_at = datetime.fromtimestamp(int(cluster.server_time()), UTC)
        text = json.dumps(body, separators=(",", ":"))
        answer = Answer(status, None, served_at, weather.retry_after if weather.answered else None, text)
        cluster.after(self._back, lambda: self._arrive(answer))

    def _do(self) -> tuple[int, dict[str, Any]]:
        server = self._cluster.server
        if self._lease == ALL:
            name = selected(self._query)
            if not self._process.network.allows(name):
                return 403, {"message": "not by this role"}
            return server.list(name, lagging=self._lagging)
        if self._method == "GET":
            return server.read(self._lease, lagging=self._lagging)
        return server.write(self._lease, self._body)

    def _arrive(self, answer: Answer | None) -> None:
        if not self._process.alive:
            return

        def settle() -> None:
            if not self._arrival.done():
                self._arrival.set_result(answer)

        self._process.loop.call_soon_threadsafe(settle)


class SimulatedStore(KubernetesStore):
    """The real Lease locks over a simulated network."""

    def __init__(self, key: str, network: Network) -> None:
        self.namespace = "simulation"
        self.address = "simulated"
        self.proxy = None
        self.key = key
        self.server = network  # type: ignore[assignment]
        self.watching = Watching(network, self.namespace, network.chance)


def spell(**what: Any) -> Weather:
    """Calm but for ``what``."""
    return replace(CALM, **what)
