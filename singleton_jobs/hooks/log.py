"""The log: one INFO line at the start, gains at INFO, losses and failures at WARNING, skips at DEBUG."""

import logging

from ..errors import AccessDenied
from ..events import (
    Event,
    HolderChanged,
    LedgerLarge,
    LedgerUnreadable,
    MarkLowered,
    ReplicaStarted,
    RunSkipped,
    StoreFailed,
    StoreRecovered,
    TermEnded,
    TermStarted,
)

__all__ = ["log_events", "printable"]

logger = logging.getLogger("singleton_jobs")


def printable(text: str, limit: int = 200) -> str:
    """``text`` without line breaks and control characters: anyone may write any holder into a lease."""
    return text.encode("unicode_escape").decode()[:limit]


def log_events(event: Event) -> None:  # noqa: C901 (a table of cases)
    """The hook."""
    match event:
        case ReplicaStarted(identity=identity, store=store, leases=leases):
            logger.info("%s started on %s with leases: %s", identity, store, ", ".join(leases))
        case TermStarted(lease=lease, identity=identity, fencing_token=token):
            logger.info("lease %s is held by %s from now on (fencing token %d)", lease, identity, token)
        case TermEnded(lost=True, lease=lease, identity=identity, reason=reason):
            logger.warning("lease %s was lost by %s: %s", lease, identity, reason)
        case TermEnded(lease=lease, identity=identity, reason=reason):
            logger.info("lease %s is no longer held by %s: %s", lease, identity, reason)
        case HolderChanged(lease=lease, holder=holder):
            logger.info("lease %s is held by %s", lease, printable(holder) if holder else "nobody")
        case RunSkipped(lease=lease, function=function, reason=reason):
            logger.debug("%s skipped: %s (lease %s)", function, reason, lease)
        case LedgerUnreadable(lease=lease, reason=reason):
            logger.error("lease %s: its ledger cannot be read, so nothing can be claimed: %s", lease, printable(reason))
        case LedgerLarge(lease=lease, size=size):
            logger.warning("lease %s: its ledger has %d bytes; past 200 KiB claims are refused", lease, size)
        case MarkLowered(lease=lease, job=job, time=time):
            logger.warning("lease %s: %s was claimed for %s, which is yet to come; marked as now", lease, job, time)
        case StoreFailed(lease=lease, error=AccessDenied() as error):
            logger.error("lease %s: access denied, nothing runs under it here. %s", lease, error)
        case StoreFailed(lease=lease, error=error):
            logger.warning("lease %s: %s; trying again", lease, error)
        case StoreRecovered(lease=lease, failures=failures):
            logger.info("lease %s: the store answers again after %d failed requests", lease, failures)
