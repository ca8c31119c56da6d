"""What a lease stores, and how it is written: LockRecord <-> Lease spec, MicroTime, foreign fields kept."""

import math
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from ..errors import StoreError

__all__ = [
    "KEY_ANNOTATION",
    "LEDGER_ANNOTATION",
    "REQUEST_TIMEOUT",
    "STEP_DOWN_ANNOTATION",
    "LockRecord",
    "ResourceLock",
    "Stored",
    "annotated",
    "lease_spec_to_lock_record",
    "lock_record_to_lease_spec",
    "merge_lease",
    "micro_time",
    "read_lease",
]

# Seconds that the request under way may take, set by callers that give up by themselves then.
REQUEST_TIMEOUT: ContextVar[float | None] = ContextVar("singleton_jobs_request_timeout", default=None)

LEDGER_ANNOTATION = "singleton-jobs/fires"
KEY_ANNOTATION = "singleton-jobs/key"
STEP_DOWN_ANNOTATION = "singleton-jobs/step-down"  # the identity that is asked to let another lead

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LockRecord:
    """Who holds a lease, since when, and for how many seconds without a renewal; times are aware datetimes."""

    holder_identity: str = ""
    lease_duration_seconds: float = 0
    acquire_time: datetime | None = None
    renew_time: datetime | None = None
    lease_transitions: int = 0

    @property
    def hold(self) -> tuple[str, float, datetime | None, int]:
        """All but the time of the last renewal."""
        return self.holder_identity, self.lease_duration_seconds, self.acquire_time, self.lease_transitions


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a lease as its store answered it.

    ``version`` orders the versions of one ``uid``. ``served_at`` is the store's own time of the answer and
    ``written_at`` of the last write, None where unknown. ``abandoned``: the store itself knows that the holder's
    process is gone. ``raw`` is the stored object, so that a write keeps what others put there.
    """

    record: LockRecord
    ledger: str | None
    uid: str
    version: int
    served_at: datetime | None = None
    written_at: datetime | None = None
    abandoned: bool = False
    raw: Json | None = field(default=None, repr=False, compare=False)

    def is_renewed_by(self, other: "Stored") -> bool:
        """Whether ``other`` tells no more than that its holder lives."""
        return (other.record.hold, other.uid, other.abandoned) == (
            self.record.hold,
            self.uid,
            self.abandoned,
        ) and other.asked_to_step_down == self.asked_to_step_down

    @property
    def asked_to_step_down(self) -> str | None:
        """The identity that somebody asked to let another lead."""
        return _annotations(self.raw or {}).get(STEP_DOWN_ANNOTATION)

    @property
    def key(self) -> str | None:
        """The key that this lease is for, if it is one of many of the same base."""
        return _annotations(self.raw or {}).get(KEY_ANNOTATION)


class ResourceLock(Protocol):
    """Where one lease's record and ledger are stored and compare-and-swapped.

    Methods raise `StoreError` (with its outcome), `singleton_jobs.errors.Conflict` when another version was met,
    and `AccessDenied`. They know nothing of policy: who may take a lease when is decided elsewhere.
    """

    @property
    def identity(self) -> str:
        """The identity that writes through this lock."""

    def describe(self) -> str:
        """The lease's full name, for people."""

    async def get(self) -> Stored | None:
        """The newest version, or None if there is no such lease."""

    async def create(self, record: LockRecord, *, ledger: str | None = None) -> Stored:
        """Store a first version; Conflict if the lease exists."""

    async def update(self, record: LockRecord, replaces: Stored, *, ledger: str | None = None) -> Stored:
        """Replace exactly ``replaces``; Conflict if anything else is stored. ``ledger`` None keeps the stored one."""

    async def record_event(self, text: str) -> None:
        """Tell the store's own event log, where it has one; never an error."""


def lease_spec_to_lock_record(spec: Json) -> LockRecord:
    """A ``Lease.spec`` as a record; what is missing gives holder "" , duration 0, times None and 0 transitions."""
    return LockRecord(
        holder_identity=_typed(spec, "holderIdentity", str, ""),
        lease_duration_seconds=_typed(spec, "leaseDurationSeconds", int, 0),
        acquire_time=_micro_time(spec.get("acquireTime")),
        renew_time=_micro_time(spec.get("renewTime")),
        lease_transitions=_typed(spec, "leaseTransitions", int, 0),
    )


def lock_record_to_lease_spec(record: LockRecord) -> Json:
    """A record as a JSON-ready ``Lease.spec``: MicroTime strings, durations rounded up to whole seconds."""
    spec: Json = {"holderIdentity": record.holder_identity, "leaseTransitions": record.lease_transitions}
    if record.lease_duration_seconds > 0:
        spec["leaseDurationSeconds"] = math.ceil(record.lease_duration_seconds)
    for name, time in (("acquireTime", record.acquire_time), ("renewTime", record.renew_time)):
        if time is not None:
            spec[name] = micro_time(time)
    return spec


def read_lease(raw: Any) -> tuple[LockRecord, str | None]:
    """Record and ledger of a Lease-shaped object; StoreError, outcome unknown, if it cannot be read as one."""
    try:
        annotations = raw["metadata"].get("annotations") or {}
        return lease_spec_to_lock_record(raw.get("spec") or {}), _typed(annotations, LEDGER_ANNOTATION, str, None)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"the stored lease cannot be read: {error!r}", outcome="unknown") from error


def merge_lease(raw: Json | None, record: LockRecord, ledger: str | None) -> Json:
    """``raw`` with its record (and ledger, unless None) replaced and every foreign field kept.

    A request to step down is dropped: a holder that writes has seen it, and obeys; over anyone else's hold it is stale.
    """
    spec = {**((raw or {}).get("spec") or {}), **lock_record_to_lease_spec(record)}
    return annotated({**(raw or {}), "spec": spec}, {LEDGER_ANNOTATION: ledger} if ledger is not None else {})


def annotated(raw: Json, new: dict[str, str]) -> Json:
    """``raw`` with ``new`` annotations, and without an older request to step down."""
    kept = {name: value for name, value in _annotations(raw).items() if name != STEP_DOWN_ANNOTATION}
    return {**raw, "metadata": {**(raw.get("metadata") or {}), "annotations": kept | new}}


def _annotations(raw: Any) -> Json:
    annotations: Json = (raw.get("metadata") or {}).get("annotations") or {}
    return annotations


def _typed(source: Json, key: str, kind: type, missing: Any) -> Any:
    value = source.get(key)
    if value is None:
        return missing
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{key} is {value!r:.80}")
    return value


def _micro_time(text: Any) -> datetime | None:
    if text is None:
        return None
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"a time without a zone: {text!r:.80}")
    return time.astimezone(UTC)


def micro_time(time: datetime) -> str:
    """``time`` as Kubernetes' MicroTime."""
    if time.tzinfo is None:
        raise ValueError(f"a lock record needs aware datetimes, not {time!r}")
    # The API server answers 400 to a MicroTime without exactly six digits.
    return time.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
