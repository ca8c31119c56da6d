"""The private attributes of APScheduler's objects: what is used of them stands here, since none is promised to stay.

What classes derived from APScheduler's override or inherit is their own, and stands with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Literal

from apscheduler.events import SchedulerEvent
from apscheduler.executors.base import BaseExecutor
from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore
from apscheduler.schedulers.base import BaseScheduler

from singleton_jobs import ConfigError

__all__ = [
    "alias_of",
    "default_executor",
    "defaults_of",
    "dispatch",
    "executors_of",
    "instances",
    "is_loop_closed",
    "loop_call",
    "modify",
    "pending_jobs",
    "places",
    "plugin",
    "replace_restoring",
    "running",
    "scheduler_of",
    "shut_down_on_loop",
    "stores_of",
    "submit",
    "take_place",
]


def plugin(kind: Literal["job store", "executor"], alias: str) -> Any:
    """The class behind ``alias``. Raises ConfigError if there is none."""
    known = BaseScheduler._jobstore_plugins if kind == "job store" else BaseScheduler._executor_plugins
    if alias not in known:
        raise ConfigError(f"there is no {kind} {alias!r} to guard; APScheduler has {', '.join(sorted(known))}")
    return known[alias].load()


# Schedulers


def executors_of(scheduler: BaseScheduler) -> dict[str, BaseExecutor]:
    """The executors of ``scheduler`` by their aliases, to be changed in place."""
    found: dict[str, BaseExecutor] = scheduler._executors
    return found


def stores_of(scheduler: BaseScheduler) -> dict[str, BaseJobStore]:
    """The job stores of ``scheduler`` by their aliases, to be changed in place."""
    found: dict[str, BaseJobStore] = scheduler._jobstores
    return found


def pending_jobs(scheduler: BaseScheduler) -> Iterable[Job]:
    """The jobs that were added before the start."""
    return [job for job, _, _ in scheduler._pending_jobs]


def defaults_of(scheduler: BaseScheduler) -> dict[str, Any]:
    """What jobs get that say nothing of their own, by name."""
    found: dict[str, Any] = scheduler._job_defaults
    return found


def default_executor(scheduler: BaseScheduler) -> BaseExecutor:
    """A new executor of the kind that ``scheduler`` uses by default."""
    return scheduler._create_default_executor()


def dispatch(scheduler: BaseScheduler, event: SchedulerEvent) -> None:
    """Tell the listeners of ``scheduler``, on this thread."""
    scheduler._dispatch_event(event)


def is_loop_closed(scheduler: BaseScheduler) -> bool:
    """Whether ``scheduler`` lives on an event loop that was closed."""
    loop = getattr(scheduler, "_eventloop", None)
    return loop is not None and bool(loop.is_closed())


# Jobs and job stores


def modify(job: Job, **changes: object) -> None:
    """Change ``job`` alone, not its store."""
    job._modify(**changes)


def alias_of(job: Job) -> str:
    """The alias of the job store that ``job`` came from."""
    alias: str = job._jobstore_alias
    return alias


def replace_restoring(store: BaseJobStore, restore: Callable[[Any], Any]) -> Any:
    """Have ``store`` make jobs of its rows by ``restore``: how it did so before, or None if it has no rows."""
    before = getattr(store, "_reconstitute_job", None)
    if before:
        store._reconstitute_job = restore
    return before


# Executors


def scheduler_of(executor: BaseExecutor) -> BaseScheduler | None:
    """The scheduler that ``executor`` was started with."""
    return executor._scheduler


def take_place(outer: BaseExecutor, inner: BaseExecutor) -> None:
    """Have ``outer`` count the runs of ``inner``, and be told how they ended."""
    outer._instances, outer._lock = inner._instances, inner._lock
    inner._run_job_success = outer._run_job_success
    inner._run_job_error = outer._run_job_error


def instances(executor: BaseExecutor, job_id: str) -> int:
    """How many runs of jobs of that id, whatever their stores, ``executor`` counts against their ``max_instances``."""
    count: int = executor._instances.get(job_id, 0)
    return count


def running(executor: BaseExecutor) -> int:
    """How many runs ``executor`` has been given that are not over."""
    return sum(executor._instances.values())


def places(executor: BaseExecutor) -> int | None:
    """How many runs ``executor`` can do at a time; None: any number."""
    pool = getattr(executor, "_pool", None)
    most = getattr(pool, "_max_workers", None)
    return most if isinstance(most, int) else None


def submit(executor: BaseExecutor, job: Job, run_times: Iterable[datetime]) -> None:
    """Have ``executor`` run ``job``, without counting it."""
    executor._do_submit_job(job, run_times)


def loop_call(executor: BaseExecutor) -> Callable[..., object] | None:
    """How to call something on the event loop that ``executor`` lives on, if it does."""
    loop = getattr(executor, "_eventloop", None)
    if loop is not None:
        call: Callable[..., object] = loop.call_soon_threadsafe
        return call
    ioloop = getattr(executor, "_ioloop", None)
    return ioloop and ioloop.add_callback


def shut_down_on_loop(executor: BaseExecutor, *, wait: bool) -> None:
    """Shut down an executor that lives on an event loop; threads of its that run are left to end by themselves."""
    futures: set[Any] = getattr(executor, "_pending_futures", set())
    for future in [future for future in futures if not isinstance(future, asyncio.Task)]:
        futures.discard(future)  # a thread that is under way: its cancelled future would say that it has ended
    executor.shutdown(wait)
