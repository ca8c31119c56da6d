"""What a guarded scheduler does differently: all it takes on is guarded, and its thread outlives a store's errors."""

from __future__ import annotations

import re
import threading
from abc import abstractmethod
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from apscheduler.events import EVENT_JOB_SUBMITTED, EVENT_SCHEDULER_STARTED, SchedulerEvent
from apscheduler.executors.base import BaseExecutor
from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore, JobLookupError
from apscheduler.schedulers.base import STATE_STOPPED, BaseScheduler

from singleton_jobs import ConfigError, Leadership
from singleton_jobs.decisions.ledger import app_key

from .executor import ClaimingExecutor
from .internals import executors_of, scheduler_of
from .spread import Spread
from .unstarted import Unstarted

__all__ = ["GuardedScheduler", "GuardedStore", "adopt", "refuse_bad_id"]

GENERATED = re.compile(
    "[0-9a-f]{8}(-?)[0-9a-f]{4}\\1[0-9a-f]{4}\\1[0-9a-f]{4}\\1[0-9a-f]{12}"
)  # what a UUID looks like


class GuardedStore(BaseJobStore):
    """A job store that has a say in the jobs that are added to it."""

    @abstractmethod
    def prepare(self, job: Job, *, replace: bool) -> None:
        """``job`` is about to be added, in place of another if ``replace``."""

    @abstractmethod
    def has(self, job_id: str) -> bool:
        """Whether such a job is stored."""

    @abstractmethod
    def passed(self) -> None:
        """All due jobs were submitted."""


class GuardedScheduler(BaseScheduler):
    """Mixed into the class of a scheduler that has a singleton job store."""

    cover: Callable[[BaseJobStore], GuardedStore] | None = None  # how to guard a store; None: not all of them are to be
    covered_by: Leadership | Spread | None = None
    unstarted: Unstarted | None = None
    untold: SimpleQueue[SchedulerEvent]  # what listeners are yet to hear of
    passing: int | None = None  # the thread that looks for due jobs at this moment

    def add_jobstore(self, jobstore: BaseJobStore | str, alias: str = "default", **options: Any) -> None:
        """Guard the store if all are guarded."""
        if self.cover and isinstance(jobstore, str):
            jobstore, options = self._create_plugin_instance("jobstore", jobstore, options), {}
        if self.cover and isinstance(jobstore, BaseJobStore):
            jobstore = self.cover(jobstore)
        super().add_jobstore(jobstore, alias, **options)

    def add_executor(self, executor: BaseExecutor | str, alias: str = "default", **options: Any) -> None:
        """Guard the executor."""
        if isinstance(executor, str):
            executor, options = self._create_plugin_instance("executor", executor, options), {}
        if isinstance(executor, BaseExecutor) and not isinstance(executor, ClaimingExecutor):
            executor = ClaimingExecutor(executor)
        super().add_executor(executor, alias, **options)

    def start(self, *arguments: Any, **options: Any) -> Any:
        """Say so if that has started something else."""
        result = super().start(*arguments, **options)
        if self.unstarted:
            self.unstarted.tell()
        return result

    def add_job(self, *arguments: Any, **options: Any) -> Any:
        """Refuse a job without an id of its own, if all are guarded: one that has come out of the class's own method.

        Before the start it is taken out again; later it does not come as far as its store.
        """
        known = len(self._pending_jobs)
        added = super().add_job(*arguments, **options)
        for pending in self._pending_jobs[known:] if self.cover else ():
            try:
                refuse_bad_id(pending[0].id, pending[0].func)
            except ConfigError:
                self._pending_jobs.remove(pending)
                raise
        return added

    def _dispatch_event(self, event: SchedulerEvent) -> None:
        if event.code == EVENT_SCHEDULER_STARTED and self.unstarted:
            self.unstarted.over()
        in_pass = event.code == EVENT_JOB_SUBMITTED and self.passing == threading.get_ident()
        if not in_pass or not isinstance(self._jobstores.get(event.jobstore), GuardedStore):
            super()._dispatch_event(event)  # listeners hear of a guarded job's submission once its claim is granted

    def _real_add_job(self, job: Job, jobstore_alias: str, replace_existing: bool) -> None:
        store = self._lookup_jobstore(jobstore_alias)
        if isinstance(store, GuardedStore):
            store.prepare(job, replace=replace_existing)
        super()._real_add_job(job, jobstore_alias, replace_existing)

    def tell(self, event: SchedulerEvent) -> None:
        """Have listeners hear of ``event`` on the scheduler's own thread; from any thread."""
        with self._listeners_lock:
            is_heard = any(mask & event.code for _, mask in self._listeners)
        if is_heard:
            self.untold.put(event)
            self.wakeup()

    def _tell_listeners(self) -> None:
        while not self.untold.empty():
            super()._dispatch_event(self.untold.get())

    def _process_jobs(self) -> float | None:
        self._tell_listeners()
        if self.state == STATE_STOPPED:  # the loop's last pass would advance jobs without running them
            return None
        self.passing = threading.get_ident()
        try:
            wait: float | None = super()._process_jobs()
        except JobLookupError:
            if self.state != STATE_STOPPED:
                raise
            return None  # the scheduler was shut down in the midst of this pass, and knows no jobs any more
        finally:
            self.passing = None
            for store in tuple(self._jobstores.values()):
                if isinstance(store, GuardedStore):
                    store.passed()
        for executor in executors_of(self).values():
            if isinstance(executor, ClaimingExecutor) and executor.end:
                end, executor.end = executor.end, None
                raise end
        return wait


def adopt(scheduler: BaseScheduler) -> GuardedScheduler:
    """Turn ``scheduler`` into a guarded one, with the executors that it has. Raises ConfigError for a QtScheduler."""
    if any(kind.__module__ == "apscheduler.schedulers.qt" for kind in type(scheduler).__mro__):
        raise ConfigError(
            "a QtScheduler cannot be guarded: it may be woken on Qt's own thread only. Use a BackgroundScheduler: it "
            "runs jobs in threads as a QtScheduler does, and needs no event loop"
        )
    if not isinstance(scheduler, GuardedScheduler):
        kind = type(scheduler)
        if kind not in _guarded:
            _guarded[kind] = type(kind.__name__, (GuardedScheduler, kind), {"__module__": kind.__module__})
        scheduler.__class__ = _guarded[kind]
        scheduler.untold = SimpleQueue()
    executors = executors_of(scheduler)
    for alias, executor in executors.items():
        if not isinstance(executor, ClaimingExecutor):
            executors[alias] = guarded = ClaimingExecutor(executor)
            if scheduler_of(executor) is not None:
                guarded.attach(scheduler, alias)
    guarded_scheduler: GuardedScheduler = scheduler
    return guarded_scheduler


_guarded: dict[type[BaseScheduler], type[GuardedScheduler]] = {}


def refuse_bad_id(id: str | None, func: Any) -> None:
    """Raise ConfigError unless ``id`` is one that all replicas can know the job by."""
    if id is None or GENERATED.fullmatch(id):
        name = func if isinstance(func, str) else getattr(func, "__name__", "job")
        name = name.rpartition(":")[2].strip("<>")
        raise ConfigError(
            f'the job {name!r} needs an id that is the same on every replica: scheduler.add_job({name}, …, id="{name}")'
        )
    app_key(id)  # an id has the limits of a name by which people claim a job themselves
