"""`singleton-jobs status`: who leads, since when, how alive it looks, and what ran last."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio import Future
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from ..decisions.ledger import Mark, UnreadableLedger, read_ledger
from ..errors import AccessDenied, StoreError
from ..hooks.log import printable
from ..locks import Stored
from ..locks.keyed import between
from .columns import columns
from .target import Inspectable, closing, print_json
from .text import ago, length, stamp

__all__ = ["Job", "LeaseStatus", "lease_status", "run_status"]

Listed = Mapping[str, Stored | StoreError]
State = Literal["alive", "late", "stale", "free", "missing", "unreadable"]

LATE_AFTER = 2 / 3  # of a record's duration: when a holder's own hold ends by default
EVERY = 2.0  # seconds between two looks
WIDE = 110  # columns from which on moments are shown beside ages
STYLES: dict[State, str] = {"alive": "green", "late": "yellow", "stale": "red", "unreadable": "red"}
LONGEST = 253  # characters of a lease's name
SHOWN = 63  # characters of what others may have written
UNLIMITED = 10_000  # columns where no terminal is: the reader is a program


@dataclass(frozen=True)
class Job:
    """One job of the ledger: its last claimed fire, and whether that run is known to have ended.

    ``attempt``: of what has not ended, and may run again, how many times that was claimed: the most of any. ``by``: the
    identity that claimed the last fire, of a job that is spread over all replicas.
    """

    job: str
    last_fire: datetime
    done: bool
    attempt: int | None = None
    by: str | None = None


@dataclass(frozen=True)
class LeaseStatus:
    """What one lease says; ``renewed_ago`` in seconds, by the store's own clock."""

    lease: str
    state: State
    key: str | None = None
    holder: str | None = None
    pod: str | None = None
    leading_since: datetime | None = None
    renewed_ago: float | None = None
    lease_duration: float | None = None
    transitions: int | None = None
    asked_to_step_down: str | None = None
    jobs: tuple[Job, ...] = ()
    problem: str | None = None

    @property
    def is_resting(self) -> bool:
        """Whether nothing is to be said of it but how its jobs are: nobody runs one, as most of the time."""
        return self.state == "free" and self.problem is None and any(job.by for job in self.jobs)


def lease_status(lease: str, found: Stored | StoreError | None) -> LeaseStatus:
    """What ``found`` says of ``lease``; None: there is no such lease."""
    if found is None:
        return LeaseStatus(lease, "missing")
    if isinstance(found, StoreError):
        return LeaseStatus(lease, "unreadable", problem=str(found))
    record = found.record
    holder = record.holder_identity or None
    now = found.served_at or datetime.now(UTC)
    written = found.written_at or record.renew_time
    age = max(0.0, (now - written).total_seconds()) if written else None
    jobs, problem = _jobs(found.ledger)
    return LeaseStatus(
        lease=lease,
        state=_state(age, record.lease_duration_seconds, gone=found.abandoned) if holder else "free",
        key=found.key,
        holder=holder,
        pod=_pod(holder) if holder else None,
        leading_since=record.acquire_time if holder else None,
        renewed_ago=age,
        lease_duration=record.lease_duration_seconds or None,
        transitions=record.lease_transitions,
        asked_to_step_down=found.asked_to_step_down,
        jobs=jobs,
        problem=problem,
    )


def run_status(store: Inspectable, names: list[str], *, watch: bool, as_json: bool) -> None:
    """Print it, once or (``watch``) until interrupted. Raises StoreError if nothing could be read."""
    if not watch:
        _show(Console(width=None if sys.stdout.isatty() else UNLIMITED), _look(store, names), store, as_json=as_json)
        return
    try:
        _watch(store, names, as_json=as_json)
    except KeyboardInterrupt:
        return


def _watch(store: Inspectable, names: list[str], *, as_json: bool) -> None:
    console = Console()
    if as_json or not console.is_terminal:
        while True:
            _show(console, _look(store, names), store, as_json=as_json)
            time.sleep(EVERY)
    seen, fault = _look(store, names), ""
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(Group(_screen(seen, store, console.width), Text(fault, "red")), refresh=True)
            time.sleep(EVERY)
            try:
                seen, fault = _look(store, names), ""
            except StoreError as error:
                fault = f"{printable(str(error))}; this is what was seen before"


def _look(store: Inspectable, names: list[str]) -> list[LeaseStatus]:
    return asyncio.run(_read(store, names))


async def _read(store: Inspectable, names: list[str]) -> list[LeaseStatus]:
    async with closing(store):
        if not names:
            return _rows(await store.list_leases())
        listed = asyncio.ensure_future(store.list_leases())  # once, however many are named
        found = await asyncio.gather(*(_read_one(store, name, listed) for name in names), return_exceptions=True)
        await asyncio.gather(listed, return_exceptions=True)  # where no other has heard how that failed
        rows: list[LeaseStatus] = []
        for name, each in zip(names, found, strict=True):
            if isinstance(each, BaseException):
                if len(names) == 1 or not isinstance(each, StoreError):
                    raise each
                rows.append(lease_status(name, each))
            else:
                rows += each
        return rows


async def _read_one(store: Inspectable, name: str, listed: Future[Listed]) -> list[LeaseStatus]:
    """The lease of that name, those of its keys and of its jobs; one that is missing only where there is no other."""
    found = await store.lock(name, "status").get()
    keyed: dict[str, Stored | StoreError] = {}
    of_jobs: list[LeaseStatus] = []
    problem = None
    try:
        async for page in store.list_keyed(name):
            keyed |= page
        of_jobs = _of_jobs(name, {other: each for other, each in (await listed).items() if other not in keyed})
    except AccessDenied as error:  # with a Role for this lease alone, which most often is no one's with keys
        problem = str(error).partition("\n")[0]
    if found is None and not keyed and not of_jobs:
        return [replace(lease_status(name, None), problem=problem)]
    return [*([lease_status(name, found)] if found else []), *_rows(keyed), *of_jobs]


def _of_jobs(base: str, listed: Listed) -> list[LeaseStatus]:
    """Those of ``listed`` that jobs of the spread guard ``base`` have, or may have: what cannot be read is shown."""
    first, last = between(base)
    rows = _rows({name: each for name, each in listed.items() if first < name < last})
    return [row for row in rows if row.key is None and (row.problem or any(job.by for job in row.jobs))]


def _rows(found: Listed) -> list[LeaseStatus]:
    return [lease_status(name, each) for name, each in sorted(found.items())]


def _show(console: Console, rows: list[LeaseStatus], store: Inspectable, *, as_json: bool) -> None:
    if as_json:
        print_json({"store": store.describe(), "leases": [as_dict(row) for row in rows]})
    else:
        console.print(_screen(rows, store, console.width), highlight=False)


def as_dict(row: LeaseStatus) -> Mapping[str, object]:
    """``row`` ready for JSON."""
    made = asdict(row)
    made["leading_since"] = row.leading_since and row.leading_since.isoformat()
    made["jobs"] = [{**asdict(job), "last_fire": job.last_fire.isoformat()} for job in row.jobs]
    return made


def _screen(rows: list[LeaseStatus], store: Inspectable, width: int) -> RenderableType:
    now = datetime.now(UTC)
    parts: list[RenderableType] = [Text(f"{store.describe()}, {stamp(now)}", "dim")]
    if not rows:
        return Group(*parts, Text("No leases."))
    if led := [row for row in rows if not row.is_resting]:
        parts.append(_lease_table(led, now, width))
    with_jobs = [row for row in rows if row.jobs]
    if with_jobs:
        parts += [*([Text()] if led else []), _job_table(with_jobs, now, width)]
    for row in rows:
        if row.asked_to_step_down:
            parts.append(Text(f"{row.lease}: {printable(row.asked_to_step_down)} is asked to step down"))
        if row.problem:
            parts.append(Text(f"{row.lease}: {printable(row.problem)}", "red"))
    return Group(*parts)


def _lease_table(rows: Collection[LeaseStatus], now: datetime, width: int) -> Text:
    with_keys = any(row.key is not None for row in rows)
    header = ("LEASE", *(("KEY",) if with_keys else ()), "POD", "LEADING SINCE", "RENEWED", "STATE", "TERMS")
    cells = [
        (
            printable(row.lease, LONGEST),
            *((printable(row.key, SHOWN) if row.key is not None else "-",) if with_keys else ()),
            printable(row.pod, SHOWN) if row.pod else "-",
            ago(row.leading_since, now, wide=width >= WIDE),
            _renewed(row),
            (row.state, STYLES.get(row.state, "")),
            "-" if row.transitions is None else str(row.transitions),
        )
        for row in rows
    ]
    return columns(header, cells, width, shrink=[name for name in ("LEASE", "KEY", "POD") if name in header])


def _job_table(rows: Collection[LeaseStatus], now: datetime, width: int) -> Text:
    spread = any(job.by for row in rows for job in row.jobs)
    cells = [
        (
            printable(job.job, SHOWN),
            ago(job.last_fire, now, wide=width >= WIDE),
            _run(job),
            *((printable(_pod(job.by), SHOWN) if job.by else "-",) if spread else ()),
            printable(row.lease, LONGEST),
        )
        for row in rows
        for job in row.jobs
    ]
    by = ("BY",) if spread else ()
    return columns(("JOB", "LAST FIRE", "RUN", *by, "LEASE"), cells, width, shrink=("JOB", *by, "LEASE"))


def _run(job: Job) -> str:
    if job.done:
        return "done"
    return f"attempt {job.attempt}" if job.attempt and job.attempt > 1 else "claimed"


def _pod(identity: str) -> str:
    return identity.rpartition("_")[0] or identity


def _renewed(row: LeaseStatus) -> str:
    if row.renewed_ago is None:
        return "-"
    of = f" of {length(row.lease_duration)}" if row.lease_duration and row.holder else " ago"
    return f"{length(row.renewed_ago)}{of}"


def _state(age: float | None, duration: float, *, gone: bool) -> State:
    if gone or age is None or age > duration:
        return "stale"
    return "alive" if age <= duration * LATE_AFTER else "late"


def _jobs(ledger: str | None) -> tuple[tuple[Job, ...], str | None]:
    try:
        marks = read_ledger(ledger)
    except UnreadableLedger as error:
        return (), f"its ledger cannot be read: {error}"
    return tuple(_job(job, mark) for job, mark in sorted(marks.items())), None


def _job(job: str, mark: Mark) -> Job:
    attempt = max((each.number for each in mark.attempts), default=None)
    return Job(job, mark.fire, mark.state == "d" and attempt is None, attempt, mark.by or None)
