"""The log: one INFO line at the start, gains at INFO, losses and failures at WARNING, skips at DEBUG.

Locks of keys, and of spread jobs, come and go as what they are for: what goes as it should is logged at DEBUG.
"""

import logging

from ..errors import AccessDenied
from ..events import (
    ClockOff,
    Event,
    FireInterrupted,
    FireMissed,
    FireSkipped,
    HolderChanged,
    LedgerLarge,
    LedgerUnreadable,
    MarkLowered,
    ReplicaStarted,
    RunSkipped,
    StepDownRequested,
    StoreFailed,
    StoreRecovered,
    TermEnded,
    TermStarted,
)

__all__ = ["is_logged", "log_events", "logger", "printable"]

logger = logging.getLogger("singleton_jobs")


def printable(text: str, limit: int = 200) -> str:
    """``text`` without line breaks and control characters: anyone may write any holder into a lease."""
    escaped = text[: limit + 1].encode("unicode_escape").decode()
    return escaped if len(escaped) <= limit else f"{escaped[: limit - 3]}..."


def is_logged(event: Event) -> bool:
    """Whether anything may be said of it: of what goes as it should with leases of a base only at DEBUG."""
    routine = isinstance(event, (TermStarted, HolderChanged)) or (isinstance(event, TermEnded) and not event.lost)
    return not (event.base and routine) or logger.isEnabledFor(logging.DEBUG)


def log_events(event: Event) -> None:  # noqa: C901, PLR0912 (a table of cases)
    """The hook."""
    level = logging.DEBUG if event.base else logging.INFO
    match event:
        case ReplicaStarted(identity=identity, store=store, leases=leases):
            logger.info("%s started on %s with leases: %s", identity, store, ", ".join(leases))
        case TermStarted(lease=lease, identity=identity, fencing_token=token):
            logger.log(level, "lease %s is held by %s from now on (fencing token %d)", lease, identity, token)
        case TermEnded(lost=True, lease=lease, identity=identity, reason=reason):
            logger.warning("lease %s was lost by %s: %s", lease, identity, reason)
        case TermEnded(lease=lease, identity=identity, reason=reason):
            logger.log(level, "lease %s is no longer held by %s: %s", lease, identity, reason)
        case StepDownRequested(lease=lease, identity=identity):
            logger.info("lease %s: %s was asked to step down, and does once its work has ended", lease, identity)
        case HolderChanged(lease=lease, holder=holder):
            logger.log(level, "lease %s is held by %s", lease, printable(holder) if holder else "nobody")
        case RunSkipped(lease=lease, function=function, reason=reason):
            logger.debug("%s skipped: %s (lease %s)", function, reason, lease)
        case FireSkipped(reason="refused", lease=lease, job=job, time=time):
            logger.debug("%s skipped at %s: it was claimed before (lease %s)", printable(job), time.isoformat(), lease)
        case FireSkipped(lease=lease, job=job, time=time, reason=reason):
            logger.info("%s skipped at %s: %s (lease %s)", printable(job), time.isoformat(), reason, lease)
        case FireInterrupted(lease=lease, job=job, time=time):
            logger.warning(
                "lease %s: %s was interrupted at %s: it may have run in part or not at all; %s",
                lease,
                printable(job),
                time.isoformat(),
                event.outlook,
            )
        case FireMissed(lease=lease, job=job, time=time):
            logger.warning(
                "lease %s: %s was missed at %s: its grace was over when somebody led again",
                lease,
                printable(job),
                time.isoformat(),
            )
        case LedgerUnreadable(lease=lease, reason=reason):
            logger.error("lease %s: its ledger cannot be read, so nothing can be claimed: %s", lease, printable(reason))
        case LedgerLarge(lease=lease, size=size):
            logger.warning("lease %s: its ledger has %d bytes; past 200 KiB claims are refused", lease, size)
        case MarkLowered(lease=lease, job=job, time=time):
            logger.warning(
                "lease %s: %s was claimed for %s, which is yet to come; marked as now", lease, job, time.isoformat()
            )
        case ClockOff(lease=lease, identity=identity, seconds=seconds):
            logger.warning(
                "lease %s: the clock of %s is %.0f s %s the store's, so it does not lead; set the host's clock (NTP)",
                lease,
                identity,
                abs(seconds),
                "ahead of" if seconds > 0 else "behind",
            )
        case StoreFailed(lease=lease, error=AccessDenied() as error):
            logger.error("lease %s: access denied, nothing runs under it here. %s", lease, error)
        case StoreFailed(lease=lease, error=error):
            logger.warning("lease %s: %s; trying again", lease, error)
        case StoreRecovered(lease=lease, failures=failures):
            logger.info("lease %s: the store answers again after %d failed requests", lease, failures)
