"""What happens, told to hooks: frozen dataclasses, each naming its lease, and the Hook protocol."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from .decisions.hold import Ended

__all__ = [
    "ClockOff",
    "Event",
    "FireEnded",
    "FireGranted",
    "FireInterrupted",
    "FireMissed",
    "FireSkipped",
    "HolderChanged",
    "Hook",
    "LedgerLarge",
    "LedgerUnreadable",
    "MarkLowered",
    "Measurement",
    "ReplicaStarted",
    "RequestEnded",
    "RunSkipped",
    "StepDownRequested",
    "StoreFailed",
    "StoreRecovered",
    "TermEnded",
    "TermStarted",
]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to ``lease``, seen by the candidate ``identity``.

    ``base``: what all leases of keys like it, or of jobs of its spread guard, are called, ``""`` for any other lease.
    They come and go, and there is no end to keys: metrics go by the base.
    """

    lease: str
    identity: str
    base: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class ReplicaStarted(Event):
    """The replica's first candidacy, for ``lease``, starts; ``leases`` are all that were declared by then."""

    store: str
    leases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TermStarted(Event):
    """The lease is held here. ``previous``: whose hold had run out; None if the lease was free."""

    fencing_token: int
    previous: str | None = None


@dataclass(frozen=True, slots=True)
class TermEnded(Event):
    """The lease is not held here any more; ``lost`` unless the program gave it back itself.

    ``reason`` is for people, ``ended`` the same in one word.
    """

    fencing_token: int
    lost: bool
    reason: str
    ended: Ended | None = None


@dataclass(frozen=True, slots=True)
class StepDownRequested(Event):
    """Somebody asked this holder to let another lead: it does when its work has ended."""


@dataclass(frozen=True, slots=True)
class HolderChanged(Event):
    """Another holder was seen; None: nobody holds the lease."""

    holder: str | None


@dataclass(frozen=True, slots=True)
class RunSkipped(Event):
    """A guarded call did not run here; ``reason`` as in `singleton_jobs.Skipped`."""

    function: str
    reason: str


@dataclass(frozen=True, slots=True)
class FireSkipped(Event):
    """A scheduled fire of ``job``, due at ``time`` (aware, UTC), does not run here.

    ``reason``: ``"refused"`` (it, or a later one, was claimed before), ``"in-doubt"`` (the term ended before the store
    told whether the claim landed), or why there is no leadership, as in `singleton_jobs.Skipped`: another then runs it.
    """

    job: str
    time: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class FireInterrupted(Event):
    """The fire of ``job`` at ``time`` (aware, UTC) was claimed and not reported done: it may have run, in part or
    not at all. ``attempt``: how many times it was claimed so far.

    ``then``: what happens next. ``"skipped"``: nobody runs it again. ``"rerun"``: it runs again here, as its job wants
    it. ``"gave-up"``: it was to run again, but has had its attempts, comes too late by now, or its job is gone.
    """

    job: str
    time: datetime
    attempt: int = 1
    then: Literal["skipped", "rerun", "gave-up"] = "skipped"

    @property
    def outlook(self) -> str:
        """What happens next, for people."""
        if self.then == "rerun":
            return f"it runs again here (attempt {self.attempt + 1})"
        return "nobody runs it again" if self.then == "skipped" else f"it is given up after attempt {self.attempt}"


@dataclass(frozen=True, slots=True)
class LedgerUnreadable(Event):
    """The lease's ledger cannot be read: it is kept as it is, and every claim is refused."""

    reason: str


@dataclass(frozen=True, slots=True)
class LedgerLarge(Event):
    """The lease's ledger has grown to ``size`` bytes; past 200 KiB claims are refused."""

    size: int


@dataclass(frozen=True, slots=True)
class MarkLowered(Event):
    """``job`` was marked as claimed in the future, at ``time`` (aware, UTC), by a broken clock; it is marked as now."""

    job: str
    time: datetime


@dataclass(frozen=True, slots=True)
class ClockOff(Event):
    """The host's clock is ``seconds`` ahead of the store's (negative: behind): this replica does not lead meanwhile, so
    that others run the jobs in time. Only leases under which fires are claimed mind.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class FireMissed(Event):
    """The fire of ``job`` due at ``time`` (aware, UTC) was found so late that its grace was over: nobody runs it."""

    job: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Measurement(Event):
    """What happens all the time, for metrics: told to hooks alone, not to the log and not to subscribers."""


@dataclass(frozen=True, slots=True)
class RequestEnded(Measurement):
    """A request to the store ended after ``seconds``.

    ``request``: ``"read"``, ``"acquire"``, ``"renew"`` or ``"release"``. ``outcome``: ``"done"``, ``"conflict"``,
    ``"not done"``, ``"unknown"`` (as in `singleton_jobs.StoreError`) or ``"denied"``.
    """

    request: Literal["read", "acquire", "renew", "release"]
    outcome: Literal["done", "conflict", "not done", "unknown", "denied"]
    seconds: float


@dataclass(frozen=True, slots=True)
class FireGranted(Measurement):
    """The claim of ``job`` for ``time`` (aware, UTC) was granted here, ``seconds`` after it was asked for."""

    job: str
    time: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class FireEnded(Measurement):
    """The run of ``job`` for ``time`` (aware, UTC) came to its end here; not ``ok``: it raised."""

    job: str
    time: datetime
    ok: bool


@dataclass(frozen=True, slots=True)
class StoreFailed(Event):
    """A first request failed after the last that worked; it is tried again. ``error`` says what to do, if anything."""

    error: Exception


@dataclass(frozen=True, slots=True)
class StoreRecovered(Event):
    """A request worked again after ``failures`` that did not."""

    failures: int


class Hook(Protocol):
    """Anything that wants to know: called with each event, in order, on one thread of its own.

    Under gevent and eventlet that is a greenlet of the program's, since hooks use its locks and connections.
    """

    def __call__(self, event: Event, /) -> None:
        """Take note of ``event``; an exception is logged and goes no further."""
