"""What can go wrong, as people meet it: every message says what happened, to which lease, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "AccessDenied",
    "ConfigError",
    "Conflict",
    "LeadershipLost",
    "LeaseBusy",
    "LeaseExpired",
    "NotLeader",
    "SingletonJobsError",
    "StoreError",
]

Outcome = Literal["not done", "conflict", "unknown"]

WHY = {  # reasons of a call that was skipped whoever holds the lease
    "draining": "the replica is closed, or about to give the lease back",
    "mode": "guarded functions run nowhere in mode 'never'",
    "too-soon": "the last run began too short a while ago",
}


class SingletonJobsError(Exception):
    """Base of everything this library raises on purpose."""


class ConfigError(SingletonJobsError, ValueError):
    """A name, duration, URL or combination that cannot work; raised before any request is sent."""


class StoreError(SingletonJobsError):
    """The store did not do what was asked, or did not say.

    ``outcome`` is ``"not done"`` (certainly refused), ``"conflict"`` (somebody else wrote first) or ``"unknown"``
    (the request may have landed, or may land later). ``retry_after`` is the store's own wish, in seconds.
    """

    def __init__(self, message: str, *, outcome: Outcome = "unknown", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.outcome: Outcome = outcome
        self.retry_after = retry_after


class Conflict(StoreError):
    """A compare-and-swap met another version than the one it was to replace."""

    def __init__(self, message: str) -> None:
        super().__init__(message, outcome="conflict")


class AccessDenied(StoreError):
    """The store refused this identity; for Kubernetes the message holds the Role to apply."""

    def __init__(self, message: str) -> None:
        super().__init__(message, outcome="not done")


class LeaseBusy(SingletonJobsError):
    """The lease was not free within the time given, or could not be asked for: ``reason`` is that of `Skipped`.

    ``retry_at`` is when a call that came ``"too-soon"`` may run, an aware datetime by the store's time; else None.
    """

    def __init__(self, lease: str, holder: str | None, reason: str = "busy", retry_at: datetime | None = None) -> None:
        if reason == "busy":
            what = f"is busy: held by {repr(holder)[:100] if holder else 'another candidate'}"
        elif reason == "not-leader":  # it was taken
            what = "was lost while its run was being claimed"
        else:
            what = f"was not taken: {_why(reason, retry_at)}"
        super().__init__(f"lease {lease!r} {what}")
        self.lease = lease
        self.holder = holder
        self.reason = reason
        self.retry_at = retry_at

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.lease, self.holder, self.reason, self.retry_at)


class LeadershipLost(SingletonJobsError):
    """The term this work was started under has ended; nothing more may be done in its name."""

    def __init__(self, lease: str, detail: str) -> None:
        super().__init__(f"lease {lease!r} is no longer held here: {detail}")
        self.lease = lease
        self.detail = detail

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.lease, self.detail)


class LeaseExpired(LeadershipLost):
    """The lock was taken and, without an unlock, its hold ended longer ago than was tolerated."""


class NotLeader(SingletonJobsError):
    """A guarded call was skipped and its guard was asked to raise (``on_skip="raise"``).

    ``reason`` is that of `Skipped`; ``retry_at`` is when a call that came ``"too-soon"`` may run, an aware datetime
    by the store's time; else None.
    """

    def __init__(self, lease: str, reason: str, holder: str | None, retry_at: datetime | None = None) -> None:
        away = f"lease {lease!r} is not held here ({reason}); holder: {repr(holder)[:100]}"
        super().__init__(f"skipped, lease {lease!r}: {_why(reason, retry_at)}" if reason in WHY else f"skipped, {away}")
        self.lease = lease
        self.reason = reason
        self.holder = holder
        self.retry_at = retry_at

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.lease, self.reason, self.holder, self.retry_at)


def _why(reason: str, retry_at: datetime | None) -> str:
    why = WHY.get(reason, f"it is not held here ({reason})")
    return f"{why}; it may run again at {retry_at.isoformat()}" if retry_at else why
