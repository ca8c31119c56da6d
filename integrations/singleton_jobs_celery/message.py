"""What a fire's message carries besides what its entry says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_OID, uuid5

from singleton_jobs import Fire

__all__ = [
    "ATTEMPT_HEADER",
    "EXPIRES_HEADER",
    "FIRE_HEADER",
    "TOKEN_HEADER",
    "bound",
    "expiry",
    "headers_of",
    "task_id",
    "until",
]

FIRE_HEADER = "singleton-jobs-fire"
TOKEN_HEADER = "singleton-jobs-token"  # noqa: S105 (a fencing token)
ATTEMPT_HEADER = "singleton-jobs-attempt"
EXPIRES_HEADER = "singleton-jobs-expires"


def headers_of(fire: Fire) -> dict[str, str | int]:
    """What says which fire a message is for, which attempt at it, and by which term that was claimed."""
    return {
        FIRE_HEADER: fire.time.isoformat(),
        TOKEN_HEADER: fire.term.fencing_token,
        ATTEMPT_HEADER: fire.attempt,
    }


def task_id(fire: Fire, number: int) -> str:
    """The id of the ``number``-th message of ``fire``, from 0 on: the same whoever sends it, as all agree on these."""
    parts = (fire.term.uid, fire.job, fire.time.isoformat(), *([str(number)] if number else []))
    return str(uuid5(NAMESPACE_OID, "/".join(parts)))


def expiry(claimed_at: datetime, following: datetime | None, lease_duration: float, delay: timedelta) -> datetime:
    """When a message is of no use any more: a leader that was paused may send it late.

    It is good until the entry's next fire, and at least for as long as a lease; ``delay`` longer if it is not to run
    before that has passed.
    """
    least = claimed_at + timedelta(seconds=lease_duration)
    return (max(following, least) if following else least).astimezone(UTC) + max(delay, timedelta(0))


def bound(time: datetime, id: str) -> str:
    """The header by which the first delivery of the message ``id``, and nothing else, expires at ``time``."""
    return f"{time.isoformat()} {id}"


def until(header: str, id: str, *, retries: int, parent: str | None, redelivered: bool) -> datetime | None:
    """When a delivery that came with this header expires; None: never.

    Only the first does. A retry has the same id and headers; so may what the task is replaced with, which has a parent
    as all that a task sends; what is delivered once more may have begun in time. Raises ValueError for a header that is
    not `bound`'s.
    """
    time, _, bound_id = header.partition(" ")
    return None if retries or parent or redelivered or bound_id != id else datetime.fromisoformat(time)
