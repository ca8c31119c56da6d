"""ClaimingExecutor: claims each fire of a guarded job, then has another executor run it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from queue import SimpleQueue
from typing import Any
from weakref import WeakSet

from apscheduler.events import EVENT_JOB_SUBMITTED, JobExecutionEvent, JobSubmissionEvent
from apscheduler.executors.base import BaseExecutor
from apscheduler.executors.pool import BasePoolExecutor, ProcessPoolExecutor
from apscheduler.job import Job
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.util import iscoroutinefunction_partial

from singleton_jobs import ConfigError
from singleton_jobs.concurrency.threads import patched_by

from .due_trigger import StandIn, clone
from .internals import (
    alias_of,
    default_executor,
    dispatch,
    loop_call,
    places,
    plugin,
    shut_down_on_loop,
    submit,
    take_place,
)
from .runs import Run, Runs, guarded, run_in_process
from .spread_fires import SpreadFires, join
from .submission import Submission, SubmittedId
from .taking import Taking

__all__ = ["ClaimingExecutor"]

_exiting = threading.Event()
ThreadPoolExecutor  # noqa: B018 (pools stop at the exit by this same hook; what is registered after them is called before)
with suppress(AttributeError, RuntimeError):  # this Python has no such hook, or is ending already
    threading._register_atexit(_exiting.set)  # type: ignore[attr-defined]  # noqa: SLF001 (the hook of pools)


class ClaimingExecutor(BaseExecutor):
    """Runs the jobs of singleton job stores on ``inner``, each fire once; other jobs as ``inner`` always did.

    ``inner``: an executor, or the alias of one, with its ``options``; None: what the scheduler uses by default.
    """

    def __init__(self, inner: str | BaseExecutor | None = None, **options: Any) -> None:
        super().__init__()
        self._inner: Any = inner
        if isinstance(inner, str):
            self._inner = plugin("executor", inner)(**options)
        if not (self._inner is None or isinstance(self._inner, BaseExecutor)) or isinstance(
            self._inner, ClaimingExecutor
        ):
            raise ConfigError(f"a singleton executor goes round another executor, or the alias of one, not {inner!r}")
        self._waiters: dict[object, _Waiter] = {}  # by candidacy: a store that is away keeps no other's claims waiting
        self._spread: WeakSet[SpreadFires] = WeakSet()  # whose runs were submitted here
        self._closed = False
        self.end: BaseException | None = None  # of the process, which has come while something was submitted

    def start(self, scheduler: BaseScheduler, alias: str) -> None:
        """Start with the scheduler."""
        if self._inner is None:
            self._inner = default_executor(scheduler)
        self._inner.start(scheduler, alias)
        self.attach(scheduler, alias)

    def attach(self, scheduler: BaseScheduler, alias: str) -> None:
        """Take the place of ``inner``, which was started already."""
        if type(self._inner).__module__ == "apscheduler.executors.gevent" and not patched_by():
            raise ConfigError("a guarded GeventExecutor needs gevent.monkey.patch_all() at the start of the program")
        super().start(scheduler, alias)
        self._closed = False
        take_place(self, self._inner)

    @property
    def is_over(self) -> bool:
        """Whether the program is ending: pools then refuse work, while the scheduler's daemon thread goes on."""
        return isinstance(self._inner, BasePoolExecutor) and _exiting.is_set()

    @property
    def places(self) -> int | None:
        """How many runs it can do at a time; None: any number."""
        return places(self._inner)

    def shutdown(self, wait: bool = True) -> None:
        """Run what was submitted, then shut ``inner`` down; ``wait`` for that, except on an event loop."""
        for fires in tuple(self._spread):
            fires.give_up()
        waiters, self._waiters = tuple(self._waiters.values()), {}
        for waiter in waiters:
            waiter.end()
        if loop_call(self._inner) is not None:
            self._closed = True
            shut_down_on_loop(self._inner, wait=wait)
        elif wait:
            self._shut_down(waiters, wait=True)
        else:
            threading.Thread(target=self._shut_down, args=(waiters,), kwargs={"wait": False}, daemon=True).start()

    def _shut_down(self, waiters: Iterable[_Waiter], *, wait: bool) -> None:
        for waiter in waiters:
            waiter.join()
        if self._spread:
            join()
        try:
            self._inner.shutdown(wait)
        except RuntimeError:  # it was called by a job, or a listener on its thread, which cannot wait for itself
            self._inner.shutdown(False)

    def submit_job(self, job: Job, run_times: list[datetime]) -> None:
        """As any; an end of the process that comes in the midst of it is kept: APScheduler would log it and go on."""
        try:
            super().submit_job(job, run_times)
        except (SystemExit, KeyboardInterrupt) as end:
            self.end = end
            raise

    def _do_submit_job(self, job: Job, run_times: list[datetime]) -> None:
        due = job.trigger
        if not isinstance(due, StandIn):
            submit(self._inner, job, run_times)
            return
        if iscoroutinefunction_partial(job.func) and loop_call(self._inner) is None:
            raise TypeError(f"{self._inner!r} never awaits: the coroutine function of {job} needs an AsyncIOExecutor")
        if isinstance(due.fires, SpreadFires):
            self._spread.add(due.fires)
            Taking(due, job, run_times, self._hand_over).start()
            return
        candidacy = due.fires.candidacy
        if candidacy not in self._waiters:
            waiter = _Waiter(self._logger)
            waiter.start()
            self._waiters[candidacy] = waiter
        submission = Submission(due, job, run_times, self._hand_over)
        submission.start()
        self._waiters[candidacy].put(submission.decide)

    def _hand_over(self, submission: Submission, runs: list[Run]) -> None:
        """Have ``inner`` do ``runs``; without any, the submission is over."""
        call = loop_call(self._inner)
        if not runs:
            self._end(submission)
        elif call is None:
            self._submit(submission, runs)
        elif self._closed:
            self._give_up(submission)
        else:
            try:
                call(self._submit, submission, runs)
            except RuntimeError:  # the loop was closed
                self._give_up(submission)

    def _submit(self, submission: Submission, runs: list[Run]) -> None:
        job, times = submission.job, Runs(runs)
        try:
            submit(self._inner, self._prepared(submission, times), times)
        except Exception:
            self._logger.exception('Error submitting job "%s" to executor %r', job, self._inner)
            self._give_up(submission)
            return
        untold = [run.run_time for run in runs if run.run_time not in submission.told]
        if untold:
            submission.told.update(untold)
            event = JobSubmissionEvent(EVENT_JOB_SUBMITTED, job.id, alias_of(job), untold)
            with suppress(RuntimeError):  # the event loop was closed
                self._scheduler.tell(event)

    def _give_up(self, submission: Submission) -> None:
        submission.interrupted()
        self._end(submission)

    def _end(self, submission: Submission) -> None:
        super()._run_job_success(submission.job.id, [])
        submission.over()

    def _prepared(self, submission: Submission, runs: Runs) -> Job:
        """The job to submit, once, for ``runs``."""
        job = clone(submission.job, id=SubmittedId(submission), trigger=submission.due.job.trigger)
        if isinstance(self._inner, ProcessPoolExecutor):
            state = job.__getstate__()
            job.func_ref = f"{run_in_process.__module__}:{run_in_process.__qualname__}"
            job.args = (runs, state["func"], *state["args"])
            job.func = run_in_process
        else:
            job.func = guarded(job.func, runs)
        return job

    def _run_job_success(self, job_id: str, events: list[JobExecutionEvent]) -> None:
        if isinstance(job_id, SubmittedId):
            events, again = job_id.submission.ended(events)
            if again:
                self._hand_over(job_id.submission, again)
                for event in events:
                    dispatch(self._scheduler, event)
                return
        super()._run_job_success(str(job_id), events)
        if isinstance(job_id, SubmittedId):
            job_id.submission.over()

    def _run_job_error(self, job_id: str, exc: BaseException, traceback: Any = None) -> None:
        if isinstance(job_id, SubmittedId):
            job_id.submission.failed(exc)
        super()._run_job_error(str(job_id), exc, traceback)
        if isinstance(job_id, SubmittedId):
            job_id.submission.over()


class _Waiter:
    """A thread that waits for claims, one submission after the other."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="singleton-jobs-claims", daemon=True)

    def start(self) -> None:
        """Begin to wait."""
        self._thread.start()

    def put(self, task: Callable[[], None]) -> None:
        """Do ``task`` after what came before."""
        self._tasks.put(task)

    def end(self) -> None:
        """End after what came before."""
        self._tasks.put(None)

    def join(self) -> None:
        """Wait for the end."""
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while task := self._tasks.get():
            try:
                task()
            except Exception:  # other submissions wait behind this one
                self._logger.exception("Error while waiting for a claim")
