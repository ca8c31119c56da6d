"""The process's own replica, which the module-level functions and decorators use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from .config import Config, Seconds
from .errors import ConfigError
from .leading.core import core_of, default_core
from .leading.settings import Mode, Settings
from .replica import Replica, replica_on
from .reruns import MAX_ATTEMPTS, Interrupted

if TYPE_CHECKING:
    from .events import Hook
    from .guards.decorators import Decorator, OnSkip, StrictDecorator
    from .leading.leadership import Leadership
    from .skipped import OnBusy

__all__ = ["configure", "default_replica", "exclusive", "leader_only", "leadership"]


def default_replica() -> Replica:
    """The process's own replica."""
    global _replica
    core = default_core()
    if _replica is None or core_of(_replica) is not core:
        _replica = replica_on(core)
    return _replica


_replica: Replica | None = None


def configure(
    store: str | Any | None = None,
    namespace: str | None = None,
    identity: str | None = None,
    prefix: str = "",
    config: Config | None = None,
    hooks: Sequence[Hook] = (),
    mode: Mode = "auto",
) -> Replica:
    """Set up the process's default replica; parameters as for `Replica`.

    To be called before anything was guarded, locked or asked; ConfigError afterwards, and for bad values.
    """
    if not default_core().configure(Settings(store, namespace, identity, prefix, config, hooks, mode)):
        raise ConfigError("configure() must be called before the first use of a guard, a leadership or a locker")
    return default_replica()


def leadership(lease: str, config: Config | None = None) -> Leadership:
    """The default replica's candidacy for ``lease``; inert until started. Same lease, same object."""
    return default_replica().leadership(lease, config)


@overload
def leader_only(
    lease: str,
    job: str | None = None,
    at_most_every: Seconds | None = None,
    on_skip: Literal["return"] = "return",
    *,
    interrupted: Interrupted = "skip",
    max_attempts: int = MAX_ATTEMPTS,
    config: Config | None = None,
    replica: Replica | None = None,
) -> Decorator: ...
@overload
def leader_only(
    lease: str,
    job: str | None = None,
    at_most_every: Seconds | None = None,
    *,
    on_skip: Literal["raise"],
    interrupted: Interrupted = "skip",
    max_attempts: int = MAX_ATTEMPTS,
    config: Config | None = None,
    replica: Replica | None = None,
) -> StrictDecorator: ...
def leader_only(
    lease: str,
    job: str | None = None,
    at_most_every: Seconds | None = None,
    on_skip: OnSkip = "return",
    *,
    interrupted: Interrupted = "skip",
    max_attempts: int = MAX_ATTEMPTS,
    config: Config | None = None,
    replica: Replica | None = None,
) -> Any:
    """Run the function only on the replica that holds ``lease``; elsewhere it returns `Skipped`, or raises NotLeader.

    For functions, coroutine functions, methods, static and class methods. The first call starts the candidacy and
    waits, at most one request timeout, for its first answer, so that a lone replica's first tick runs; called on a
    running event loop's thread a plain function does not wait but is ``Skipped("not-ready")``. When the term is lost
    while a coroutine runs, it is cancelled and its caller gets LeadershipLost; a plain function asks
    ``current_term().check()``.

    ``at_most_every`` (seconds, or a timedelta) runs it no more often than that, start to start, whichever replicas lead
    meanwhile and whatever their clocks say: the run is claimed in the lease first, so failures count too, and a call
    that comes earlier is ``Skipped("too-soon")``. ``job`` is its name there; by default the function's own. A claim
    waits for the store's answer: on an event loop, guard coroutine functions.

    ``interrupted="rerun"``, for a function that may safely start again: a run that a crash, a lost term or the end of
    its process has cut short is not lost, but runs again at the next call that leads, however soon that comes, as the
    same fire. It has ``max_attempts`` in all; ``current_fire().attempt`` counts them. What raised is not repeated.

    Raises ConfigError for a lease name that cannot be used, and TypeError for what cannot be guarded: generators,
    classes, Celery tasks (put this decorator under ``@app.task``).
    """
    from .guards.decorators import leader_only as through

    return through(
        (replica or default_replica()).leadership,
        lease,
        job,
        at_most_every,
        on_skip,
        interrupted=interrupted,
        max_attempts=max_attempts,
        config=config,
    )


@overload
def exclusive(
    lease: str,
    wait: Seconds | None = 0,
    on_busy: Literal["skip"] = "skip",
    at_most_every: Seconds | None = None,
    *,
    key: str | Callable[..., object] | None = None,
    job: str | None = None,
    interrupted: Interrupted = "skip",
    max_attempts: int = MAX_ATTEMPTS,
    config: Config | None = None,
    replica: Replica | None = None,
) -> Decorator: ...
@overload
def exclusive(
    lease: str,
    wait: Seconds | None = 0,
    *,
    on_busy: Literal["raise"],
    at_most_every: Seconds | None = None,
    key: str | Callable[..., object] | None = None,
    job: str | None = None,
    interrupted: Interrupted = "skip",
    max_attempts: int = MAX_ATTEMPTS,
    config: Config | None = None,
    replica: Replica | None = None,
) -> StrictDecorator: ...
@overload
def exclusive(
    lease: str,
    wait: Seconds | None = 0,
    *,
    on_busy: Literal["retry"],
    countdown: Seconds | None = None,
    at_most_every: Seconds | None = None,
    key: str | Callable[..., object] | None = None,
    job: str | None = None,
    interrupted: Interrupted = "skip",
    max_attempts: int = MAX_ATTEMPTS,
    config: Config | None = None,
    replica: Replica | None = None,
) -> Decorator: ...
def exclusive(
    lease: str,
    wait: Seconds | None = 0,
    on_busy: OnBusy = "skip",
    at_most_every: Seconds | None = None,
    *,
    countdown: Seconds | None = None,
    key: str | Callable[..., object] | None = None,
    job: str | None = None,
    interrupted: Interrupted = "skip",
    max_attempts: int = MAX_ATTEMPTS,
    config: Config | None = None,
    replica: Replica | None = None,
) -> Any:
    """Hold ``lease`` for each call: acquire it, renew it while the function runs, release it.

    A call that does not get it within ``wait`` seconds (None: no limit) returns `Skipped`; with ``on_busy="raise"``
    it raises LeaseBusy, which says why, or the StoreError that kept it from asking. ``at_most_every``, ``job``,
    ``interrupted`` and ``max_attempts`` as for `leader_only`. Refuses what `leader_only` refuses.

    ``key`` names a parameter of the function, or is a function of its arguments: calls with one key exclude each other,
    those with different keys (a str, int or UUID each) run side by side. A key's lease is called ``<lease>.<key>``, is
    there only while it is held, or while ``at_most_every`` counts, which it does for each key on its own, and is not to
    be deleted by hand meanwhile. ConfigError for a parameter that is not there, and for what can be no key.

    On a Celery task's function (under ``@app.task``) the holder carries the task's id, a redelivered message waits for
    its dead holder's lease to run out, and ``on_busy="retry"`` has Celery run the task again in ``countdown`` seconds
    (by default the lease's duration), as often as the task's own ``max_retries`` allows. Outside of a task that raises.
    """
    from .guards.decorators import exclusive as through

    return through(
        replica or default_replica(),
        lease,
        wait,
        on_busy,
        at_most_every,
        key=key,
        countdown=countdown,
        job=job,
        interrupted=interrupted,
        max_attempts=max_attempts,
        config=config,
    )
