"""Replicas whose guard spreads the jobs, as tests look at them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from controlplane.admin import Admin

from ..journal import Entry, eventually
from .replicas import Scheduler, Schedulers


def ticks(count: int, second: str = "*/2", **more: Any) -> list[dict[str, Any]]:
    """So many cron jobs alike."""
    return [
        {"id": f"tick-{number}", "trigger": "cron", "at": {"second": second}, "coalesce": False, **more}
        for number in range(count)
    ]


def start(schedulers: Schedulers, count: int = 3, **options: Any) -> list[Scheduler]:
    """So many replicas alike, once each of them has begun."""
    started = [schedulers(spread=True, **options) for _ in range(count)]
    for each in started:
        each.process.wait_for("started")
    return started


def lease_of(job: str) -> str:
    return f"jobs.{job}"


def settled(admin: Admin, namespace: str, *jobs: str) -> None:
    """Until each job's lease has a mark, and nobody holds it."""

    def is_settled(job: str) -> bool:
        lease = admin.get_lease(namespace, lease_of(job))
        return bool(lease and not lease["spec"].get("holderIdentity"))

    eventually(lambda: all(map(is_settled, jobs)), f"{jobs} are at rest")


def runner(schedulers: Schedulers, run: Entry) -> Scheduler:
    """The replica that has begun this run."""
    (found,) = (each for each in schedulers.every if each.who == run.who)
    return found


def overlaps(schedulers: Schedulers, job: str) -> list[tuple[Entry, Entry]]:
    """Runs of a job, on whatever replicas, that began before the one before them had ended."""
    begun = schedulers.journal.entries("run", job=job)
    ends = {(end.who, end.began): end.at for end in schedulers.journal.entries("ended", job=job)}
    return [
        (earlier, later) for earlier, later in pairwise(begun) if later.at < ends.get((earlier.who, earlier.at), 0.0)
    ]
