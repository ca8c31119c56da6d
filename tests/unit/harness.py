"""A candidate at a desk: records as others write them, answers to its own writes, no clock and no chance."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from singleton_jobs.decisions.actions import Action, Delete, Read, Wait, Write
from singleton_jobs.decisions.candidate import Candidate
from singleton_jobs.config import Config
from singleton_jobs.errors import StoreError
from singleton_jobs.locks.record import LockRecord, Stored

ME, OTHER = "me_1", "other_1"
DURATION, DEADLINE, PERIOD, TIMEOUT = 15.0, 10.0, 2.0, 8 / 3
WALL = 1_800_000_000.0
UID = "uid-1"


class Least:
    """The smallest of every random choice."""

    def uniform(self, a: float, b: float) -> float:
        return a


class Most:
    """The largest of every random choice."""

    def uniform(self, a: float, b: float) -> float:
        return b


def wall(now: float) -> float:
    return WALL + now


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(WALL, UTC) + timedelta(seconds=seconds)


def stored(
    holder: str = OTHER,
    *,
    version: int = 1,
    renewed: float = -1.0,
    acquired: float = -1.0,
    duration: float = DURATION,
    transitions: int = 1,
    uid: str = UID,
    ledger: str | None = None,
    **more: object,
) -> Stored:
    record = LockRecord(holder, duration, moment(acquired), moment(renewed), transitions)
    return Stored(record, ledger, uid, version, **more)


def acknowledged(write: Write, version: int, uid: str = UID) -> Stored:
    """What a store answers that did as it was told."""
    kept = write.replaces.ledger if write.replaces else None
    return Stored(write.record, write.ledger or kept, uid, version)


def renewed(before: Stored, seconds: float, **more: object) -> Stored:
    """The same hold, renewed by its holder."""
    return replace(
        before, record=replace(before.record, renew_time=moment(seconds)), version=before.version + 1, **more
    )


def candidate(*, chance: object = None, **timing: object) -> Candidate:
    """A started candidate that has seen nothing yet."""
    made = Candidate(ME, Config(**timing), chance or Least())
    made.start(0.0)
    return made


def follower(known: Stored | None, at: float = 0.0, **more: object) -> Candidate:
    """A started candidate that received ``known`` at ``at``."""
    made = candidate(**more)
    made.saw(known, at)
    return made


def leader(at: float = 0.0, *, version: int = 1, **more: object) -> Candidate:
    """A candidate whose creating write, sent at ``at``, was acknowledged at once."""
    made = follower(None, at, **more)
    made.wrote(acknowledged(writes(made, at), version), sent_at=at, now=at)
    return made


def writes(made: Candidate, now: float, at_wall: float | None = None) -> Write:
    """The write it decides on; an AssertionError if it is anything else."""
    action = made.decide(now, wall(now) if at_wall is None else at_wall)
    assert isinstance(action, Write), action
    return action


def reads(made: Candidate, now: float) -> Read:
    action = made.decide(now, wall(now))
    assert isinstance(action, Read), action
    return action


def waits(made: Candidate, now: float) -> float:
    """Until when it waits."""
    action: Action = made.decide(now, wall(now))
    assert isinstance(action, Wait), action
    return action.until


def renews(made: Candidate, now: float, version: int) -> Write:
    """One renewal, acknowledged at once."""
    write = writes(made, now)
    made.wrote(acknowledged(write, version), sent_at=now, now=now)
    return write


def unknown(text: str = "no answer", **more: object) -> StoreError:
    return StoreError(text, outcome="unknown", **more)


def deletes(made: Candidate, now: float) -> Delete:
    """The deletion it decides on."""
    action = made.decide(now, wall(now))
    assert isinstance(action, Delete), action
    return action
