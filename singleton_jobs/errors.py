"""What can go wrong, as people meet it: every message says what happened, to which lease, and what to do."""

from typing import Any, Literal

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
    """The lease was not free within the time given."""

    def __init__(self, lease: str, holder: str | None) -> None:
        super().__init__(f"lease {lease!r} is busy: held by {repr(holder)[:100] if holder else 'another candidate'}")
        self.lease = lease
        self.holder = holder

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.lease, self.holder)


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
    """A guarded call was skipped and its guard was asked to raise (``on_skip="raise"``)."""

    def __init__(self, lease: str, reason: str, holder: str | None) -> None:
        super().__init__(f"skipped, lease {lease!r} is not held here ({reason}); holder: {repr(holder)[:100]}")
        self.lease = lease
        self.reason = reason
        self.holder = holder

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.lease, self.reason, self.holder)
