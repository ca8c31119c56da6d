"""Timing of a lease, derived and validated."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple

from .errors import ConfigError

__all__ = ["Config", "Seconds", "seconds"]

Seconds = float | timedelta

MAX_LEASE_DURATION = 2**31 - 1  # Lease.spec.leaseDurationSeconds is an int32
JITTER = 1.2  # a candidate polls every retry_period x uniform(1, JITTER)


def seconds(name: str, value: Seconds, *, zero: bool = False) -> float:
    """``value`` as a float number of seconds; ConfigError unless it is finite and positive (or zero, if allowed)."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{name} must be a number of seconds or a timedelta, not {value!r}")
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ConfigError(f"{name} must be {'zero or more' if zero else 'more than zero'} seconds, not {value!r}")
    return float(value)


class _Timing(NamedTuple):
    lease_duration: float
    renew_deadline: float
    retry_period: float
    request_timeout: float
    use_observed_time: bool
    stale_after: float | None
    release_on_cancel: bool
    unlock_with_retry_period: float


class Config(_Timing):
    """Timing of one lease, in seconds or ``timedelta``; what is left at None is derived from ``lease_duration``.

    ``lease_duration``: how long a record must stand unchanged before others may take the lease.
    ``renew_deadline`` (2/3 of it): a hold ends this long after its last acknowledged renewal was *sent*.
    ``retry_period`` (2/15): renewals, and polls of followers, are this far apart.
    ``request_timeout``: the limit of one request; by default ``min((renew_deadline - retry_period) / 3, 5)``.
    ``use_observed_time``: time others' records on the own clock; False compares their renewTime with the wall
    clock, as the Go library leaselocker does by default.
    ``stale_after``: a record may be taken at first sight once the store's own clock has seen it untouched for its
    duration and this much more; None turns that off.
    ``release_on_cancel``: give the lease back when a replica closes; False lets it run out.
    ``unlock_with_retry_period``: the limit of `LeaseLocker.unlock_with_retry`.

    Raises ConfigError, naming the numbers, for a timing that could let two replicas hold at once.
    """

    __slots__ = ()

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Config:  # type: ignore[override]
        """``_replace`` makes its copies here: they are checked like any other."""
        return cls(*iterable)

    def __new__(
        cls,
        lease_duration: Seconds = 15.0,
        renew_deadline: Seconds | None = None,
        retry_period: Seconds | None = None,
        request_timeout: Seconds | None = None,
        use_observed_time: bool = True,
        stale_after: Seconds | None = 60.0,
        release_on_cancel: bool = True,
        unlock_with_retry_period: Seconds = 10.0,
    ) -> Config:
        """Derive and check; an immutable value."""
        duration = seconds("lease_duration", lease_duration)
        deadline = duration * 2 / 3 if renew_deadline is None else seconds("renew_deadline", renew_deadline)
        period = duration * 2 / 15 if retry_period is None else seconds("retry_period", retry_period)
        _check(duration, deadline, period, derived=renew_deadline is None)
        if request_timeout is None:
            timeout = min((deadline - period) / 3, 5.0)
        else:
            timeout = seconds("request_timeout", request_timeout)
        if timeout >= deadline:
            raise ConfigError(f"request_timeout {timeout:g} s must be less than renew_deadline {deadline:g} s")
        return super().__new__(
            cls,
            lease_duration=duration,
            renew_deadline=deadline,
            retry_period=period,
            request_timeout=timeout,
            use_observed_time=bool(use_observed_time),
            stale_after=None if stale_after is None else seconds("stale_after", stale_after, zero=True),
            release_on_cancel=bool(release_on_cancel),
            unlock_with_retry_period=seconds("unlock_with_retry_period", unlock_with_retry_period),
        )


def _check(duration: float, deadline: float, period: float, *, derived: bool) -> None:
    if duration > MAX_LEASE_DURATION:
        raise ConfigError(f"lease_duration must be at most {MAX_LEASE_DURATION} seconds, not {duration:g}")
    margin = max(1.0, duration / 10)
    if duration - deadline < margin:
        raise ConfigError(
            f"lease_duration {duration:g} s minus renew_deadline {deadline:g} s must leave at least {margin:g} s "
            "(1 s or a tenth of the duration) for stalls and clock rates"
            + ("; the shortest duration with the derived deadline is 3 s" if derived else "")
        )
    if deadline <= JITTER * period:
        raise ConfigError(
            f"renew_deadline {deadline:g} s must be more than {JITTER:g} x retry_period {period:g} s, "
            "or a hold ends before its next renewal"
        )
