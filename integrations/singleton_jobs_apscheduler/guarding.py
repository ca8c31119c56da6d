"""guard: the one line that makes a scheduler fire on one replica, and an executor that does the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal, overload

from apscheduler.executors.base import BaseExecutor
from apscheduler.jobstores.base import BaseJobStore
from apscheduler.schedulers.base import STATE_STOPPED, BaseScheduler

from singleton_jobs import Config, ConfigError, Leadership, Replica
from singleton_jobs.config import Seconds, seconds
from singleton_jobs.default import default_replica
from singleton_jobs.leading.core import core_of
from singleton_jobs.leading.participant import part_of
from singleton_jobs.leading.spread import SpreadLeases
from singleton_jobs.replica import replica_on
from singleton_jobs.reruns import MAX_ATTEMPTS, Interrupted, attempts

from .executor import ClaimingExecutor
from .internals import pending_jobs, stores_of
from .jobstore import SingletonJobStore
from .scheduler import GuardedScheduler, GuardedStore, adopt, refuse_bad_id
from .spread import Spread
from .spread_store import SpreadStore
from .unstarted import Unstarted

__all__ = ["SingletonExecutor", "guard"]


@overload
def guard(
    scheduler: BaseScheduler,
    lease: str,
    *,
    spread: Literal[False] = False,
    config: Config | None = None,
    replica: Replica | None = None,
    poll: Seconds = 1.0,
    interrupted: Interrupted = "skip",
    max_attempts: int = MAX_ATTEMPTS,
) -> Leadership: ...


@overload
def guard(
    scheduler: BaseScheduler,
    lease: str,
    *,
    spread: Literal[True],
    config: Config | None = None,
    replica: Replica | None = None,
    poll: Seconds = 1.0,
    interrupted: Interrupted = "skip",
    max_attempts: int = MAX_ATTEMPTS,
) -> Spread: ...


def guard(
    scheduler: BaseScheduler,
    lease: str,
    *,
    spread: bool = False,
    config: Config | None = None,
    replica: Replica | None = None,
    poll: Seconds = 1.0,
    interrupted: Interrupted = "skip",
    max_attempts: int = MAX_ATTEMPTS,
) -> Leadership | Spread:
    """Have every job of ``scheduler`` fire on the replica that holds ``lease``, each fire once.

    ``spread``: on any replica, each fire on one. Nobody leads: for each run the lease of that job alone is taken, whose
    name is ``lease``, a dot and the job's id, and no job overlaps itself, on whatever replicas. Gives a `Spread`.

    To be called before ``scheduler.start()``, before or after jobs, job stores and executors are added; it covers all
    of them. Candidacy starts with the scheduler and ends with its shutdown. The options as for `SingletonJobStore`.
    Gives the `Leadership`, to look at or to subscribe to.

    ``interrupted="rerun"``: a fire whose run was cut short is run again by whoever leads next, at once, up to
    ``max_attempts`` in all. A job that may not start again, or alone may, is decorated by `interrupted`.

    Raises ConfigError if the scheduler runs already or is guarded, is a QtScheduler or stands for another scheduler,
    for a bad lease name, and, here or in ``add_job``, for a job without an id of its own: replicas know a job by it.
    Warns if the scheduler is never started.
    """
    if not isinstance(scheduler, BaseScheduler):
        hint = "; of an extension, pass its .scheduler" if hasattr(scheduler, "scheduler") else ""
        raise TypeError(f"guard() takes a scheduler of APScheduler 3, not {scheduler!r}{hint}")
    seconds("poll", poll)
    most = attempts(interrupted, max_attempts)
    _refuse_stand_in(scheduler)
    if not isinstance(spread, bool):
        raise ConfigError(f"spread must be True or False, not {spread!r:.80}")
    if spread:
        return _spread(scheduler, SpreadLeases(core_of(replica or default_replica()), lease, config), poll, most)
    leadership = (replica or default_replica()).leadership(lease, config)
    options = {"poll": poll, "interrupted": interrupted, "max_attempts": max_attempts}
    _cover(scheduler, leadership, options)
    return leadership


class SingletonExecutor(ClaimingExecutor):
    """Runs the jobs of singleton job stores on ``inner``, each fire once; other jobs as ``inner`` always did.

    Plugin alias: ``singleton``. ``inner``: an executor, or the alias of one, with its ``options``; by default what
    the scheduler uses by default. With ``lease``, the whole scheduler is guarded as by `guard`.

    A fire is claimed when the scheduler submits it, and runs once the claim is granted; a refused one is told as
    `singleton_jobs.events.FireSkipped` and to no listener of the scheduler.
    """

    def __init__(
        self,
        inner: str | BaseExecutor | None = None,
        lease: str | None = None,
        *,
        config: Config | None = None,
        replica: Replica | None = None,
        **options: Any,
    ) -> None:
        super().__init__(inner, **options)
        self._leadership = (replica or default_replica()).leadership(lease, config) if lease else None

    def start(self, scheduler: BaseScheduler, alias: str) -> None:
        """Start with the scheduler, which is guarded from then on if a lease was named."""
        if self._leadership:
            _cover_once(scheduler, self._leadership)
        super().start(scheduler, alias)


def _cover(scheduler: BaseScheduler, leadership: Leadership, options: dict[str, Any] | None = None) -> None:
    """Guard all job stores and executors of ``scheduler``, present and later."""

    def guarded(store: BaseJobStore) -> SingletonJobStore:
        if not isinstance(store, SingletonJobStore):
            part = part_of(leadership)
            return SingletonJobStore(
                store, part.name, config=part.config, replica=replica_on(part.core), **options or {}
            )
        if store.leadership is not leadership:
            raise ConfigError(
                f"one scheduler, one lease: it is guarded by {leadership.lease!r}, "
                f"and a job store of it by {store.leadership.lease!r}"
            )
        return store

    _cover_stores(scheduler, guarded, leadership)


def _spread(scheduler: BaseScheduler, leases: SpreadLeases, poll: Seconds, most: int) -> Spread:
    def guarded(store: BaseJobStore) -> SpreadStore:
        if isinstance(store, GuardedStore):
            raise ConfigError(
                f"one scheduler, one guard: its jobs are spread under {leases.base!r}, and {store!r} has another"
            )
        return SpreadStore(store, leases, timedelta(seconds=seconds("poll", poll)), most)

    spread = Spread(leases)
    _cover_stores(scheduler, guarded, spread)
    return spread


def _cover_stores(
    scheduler: BaseScheduler, guarded: Callable[[BaseJobStore], GuardedStore], by: Leadership | Spread
) -> None:
    """Have all job stores ``guarded``, present and later."""
    if scheduler.state != STATE_STOPPED:
        raise ConfigError("the scheduler runs already: call guard(scheduler, lease=…) before scheduler.start()")
    if isinstance(scheduler, GuardedScheduler) and scheduler.cover:
        raise ConfigError("the scheduler is guarded already: one guard() covers all its jobs, in all its job stores")
    for job in pending_jobs(scheduler):
        refuse_bad_id(job.id, job.func)
    stores = {alias: guarded(store) for alias, store in stores_of(scheduler).items()}
    guarded_scheduler = adopt(scheduler)
    guarded_scheduler.cover, guarded_scheduler.covered_by = guarded, by
    guarded_scheduler.unstarted = Unstarted(scheduler, by.lease)
    stores_of(scheduler).update(stores)


def _refuse_stand_in(scheduler: BaseScheduler) -> None:
    """Raise ConfigError for what only hands on to a scheduler: that one would run unguarded."""
    kind = type(scheduler)
    if not issubclass(kind, BaseScheduler):
        raise ConfigError(f"guard() takes a scheduler itself, not a {kind.__name__} that stands for one")
    starts = getattr(scheduler.start, "__self__", scheduler)
    calls_super = "__class__" in getattr(getattr(kind.start, "__code__", None), "co_freevars", ())
    is_own = "_jobstores" in vars(scheduler) and (calls_super or kind.start.__module__.startswith("apscheduler."))
    if starts is scheduler and not is_own:
        starts = next((each for each in vars(scheduler).values() if isinstance(each, BaseScheduler)), scheduler)
    if starts is not scheduler:
        names = (f"scheduler.{name}" for name, value in vars(scheduler).items() if value is starts)
        raise ConfigError(
            f"the {kind.__name__} hands on to another scheduler, which would run unguarded: "
            f"guard that one, guard({next(names, starts)}, lease=…)"
        )


def _cover_once(scheduler: BaseScheduler, leadership: Leadership) -> None:
    """`_cover` for executors that name a lease; several may."""
    covered_by = scheduler.covered_by if isinstance(scheduler, GuardedScheduler) else None
    if covered_by is None:
        _cover(scheduler, leadership)
    elif covered_by is not leadership:
        raise ConfigError(
            f"one scheduler, one lease: it is guarded by {covered_by.lease!r}, and an executor by {leadership.lease!r}"
        )
