"""Kubernetes Events about Leases: what `kubectl describe lease` shows of hand-overs.

``configure(hooks=[KubernetesEvents()])``; the pod needs the right that ``singleton-jobs rbac --events`` adds. Best
effort, on a thread of its own and a few a minute at most: no renewal waits for it, and losing one changes nothing.
"""

import asyncio
import atexit
import logging
from functools import partial
from typing import NamedTuple

from ..concurrency.clock import SYSTEM_CLOCK, Clock
from ..concurrency.synchronization import new_event
from ..concurrency.threads import Worker
from ..errors import ConfigError, StoreError
from ..events import Event, FireInterrupted, StepDownRequested, TermEnded, TermStarted
from ..locks import KubernetesStore
from .log import printable

__all__ = ["KubernetesEvents", "Limit", "Note", "note"]

BURST = 10  # events that may be told at once
EVERY = 30.0  # seconds after which one more may be
EXIT_LIMIT = 1.0  # seconds that the interpreter's exit may wait for the last events

logger = logging.getLogger("singleton_jobs")


class Note(NamedTuple):
    """What is told of an event: a word for machines, a sentence for people, and whether it is a warning."""

    reason: str
    text: str
    warning: bool = False


def note(event: Event) -> Note | None:  # noqa: PLR0911 (a table of cases)
    """What to tell of ``event``; None for most, and for leases of keys and spread jobs, which come and go."""
    if event.base:
        return None
    match event:
        case TermStarted(previous=str(previous)):
            return Note("TookOver", f"took over from {printable(previous)}")
        case TermStarted():
            return Note("Acquired", "took the free lease")
        case TermEnded(lost=True, reason=reason):
            return Note("Lost", f"lost the lease: {printable(reason)}", warning=True)
        case TermEnded(reason=reason):
            return Note("HandedOver", f"gave the lease back: {printable(reason)}")
        case StepDownRequested():
            return Note("StepDownRequested", "was asked to step down, and does when its work has ended")
        case FireInterrupted(job=job, time=time):
            text = f"found that {printable(job)} was interrupted at {time.isoformat()}; {event.outlook}"
            return Note("FireInterrupted", text, warning=True)
    return None


class Limit:
    """``BURST`` at once, then one in ``EVERY`` seconds; ``dropped`` counts what was refused since the last."""

    def __init__(self) -> None:
        self.dropped = 0
        self._left = float(BURST)
        self._at: float | None = None

    def allows(self, now: float) -> bool:
        """Whether one more may be told at ``now``."""
        if self._at is not None:
            self._left = min(float(BURST), self._left + (now - self._at) / EVERY)
        self._at = now
        if self._left < 1:
            self.dropped += 1
            return False
        self._left -= 1
        return True


class KubernetesEvents:
    """Tells the API server; ``namespace`` and ``context`` as for the store ``kubernetes:``.

    Raises nothing: without a cluster, or without the right, the log says so once.
    """

    def __init__(
        self, namespace: str | None = None, context: str | None = None, *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._find_store = partial(KubernetesStore, namespace=namespace, context=context)
        self._store: KubernetesStore | None = None
        self._clock = clock
        self._limit = Limit()
        self._worker = Worker("singleton-jobs-kubernetes-events")
        self._complained = False
        atexit.register(self._finish)  # here, before any replica uses it: the exit gives leases back first, then tells

    def __call__(self, event: Event) -> None:
        """Take note of ``event``."""
        told = note(event)
        if told is None or not self._limit.allows(self._clock.now()):
            return
        if self._limit.dropped:
            told = told._replace(text=f"{told.text} ({self._limit.dropped} events before it were not told)")
            self._limit.dropped = 0
        self._worker.submit(lambda: self._tell(event, told))

    def _tell(self, event: Event, told: Note) -> None:
        try:
            self._store = self._store or self._find_store()
            asyncio.run(self._send(self._store, event, told))
        except (ConfigError, StoreError, OSError) as error:
            if not self._complained:
                self._complained = True
                logger.warning("Kubernetes Events cannot be told: %s", error)

    def _finish(self) -> None:
        """At the exit, the last hand-over is yet to be told."""
        told = new_event()
        self._worker.submit(told.set)
        told.wait(EXIT_LIMIT)

    async def _send(self, store: KubernetesStore, event: Event, told: Note) -> None:
        lock = store.lock(event.lease, event.identity)
        async with lock:
            stored = await lock.get()
            await lock.tell(told.text, reason=told.reason, warning=told.warning, uid=stored.uid if stored else None)
