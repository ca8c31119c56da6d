"""`leader_only` and `exclusive`: the one line that most programs need."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, Protocol, TypeVar, get_args, overload

from ..config import Config, Seconds, seconds
from ..default import default_replica
from ..errors import ConfigError
from ..replica import Replica
from ..skipped import OnBusy, Skipped

if TYPE_CHECKING:
    from ..leading.leadership import Leadership
    from ..leading.locker import LeaseLocker
    from .at_most_every import Every

__all__ = ["Decorator", "Guarded", "OnSkip", "StrictDecorator", "exclusive", "held_only", "leader_only"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")
T = TypeVar("T")

OnSkip = Literal["return", "raise"]


class Guarded(Generic[P, R_co]):
    """What the decorators return, to type checkers: a function, or method, with its guard's parts."""

    __wrapped__: Callable[..., Any]
    __name__: str
    __qualname__: str
    leadership: Leadership

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Run the function if this replica may; else skip."""
        raise TypeError("made by decorators only")

    @overload
    def __get__(self, instance: None, owner: Any = None) -> Guarded[P, R_co]: ...
    @overload
    def __get__(self: Guarded[Concatenate[S, Q], T], instance: S, owner: Any = None) -> Guarded[Q, T]: ...
    @overload  # a static method, seen through an instance
    def __get__(self, instance: object, owner: Any = None) -> Guarded[P, R_co]: ...
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Bind like a function."""
        return self


class Decorator(Protocol):
    """A decorator whose functions may return `Skipped` instead of running."""

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> Guarded[P, Coroutine[Any, Any, T | Skipped]]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> Guarded[P, T | Skipped]: ...
    def __call__(self, function: Any, /) -> Any:
        """Guard ``function``."""


class StrictDecorator(Protocol):
    """A decorator whose functions raise instead of skipping."""

    def __call__(self, function: Callable[P, T], /) -> Guarded[P, T]:
        """Guard ``function``."""


@overload
def leader_only(
    lease: str,
    job: str | None = None,
    at_most_every: Seconds | None = None,
    on_skip: Literal["return"] = "return",
    *,
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
    config: Config | None = None,
    replica: Replica | None = None,
) -> StrictDecorator: ...
def leader_only(
    lease: str,
    job: str | None = None,
    at_most_every: Seconds | None = None,
    on_skip: OnSkip = "return",
    *,
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

    Raises ConfigError for a lease name that cannot be used, and TypeError for what cannot be guarded: generators,
    classes, Celery tasks (put this decorator under ``@app.task``).
    """
    if not isinstance(lease, str):
        raise TypeError('write @leader_only(lease="name"), with a lease name and parentheses')
    if on_skip not in ("return", "raise"):
        raise ConfigError(f"on_skip must be 'return' or 'raise', not {on_skip!r}")
    leadership = (replica or default_replica()).leadership(lease, config)

    def decorate(function: Callable[..., Any]) -> Any:
        from .guards import LeaderGuard
        from .wrappers import guard

        every = _every(function, job, at_most_every)
        return guard(function, LeaderGuard(leadership, strict=on_skip == "raise", every=every))

    return decorate


@overload
def exclusive(
    lease: str,
    wait: Seconds | None = 0,
    on_busy: Literal["skip"] = "skip",
    at_most_every: Seconds | None = None,
    *,
    job: str | None = None,
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
    job: str | None = None,
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
    job: str | None = None,
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
    job: str | None = None,
    config: Config | None = None,
    replica: Replica | None = None,
) -> Any:
    """Hold ``lease`` for each call: acquire it, renew it while the function runs, release it.

    A call that does not get it within ``wait`` seconds (None: no limit) returns `Skipped`; with ``on_busy="raise"``
    it raises LeaseBusy, which says why, or the StoreError that kept it from asking. ``at_most_every`` and ``job`` as
    for `leader_only`. Refuses what `leader_only` refuses.

    On a Celery task's function (under ``@app.task``) the holder carries the task's id, a redelivered message waits for
    its dead holder's lease to run out, and ``on_busy="retry"`` has Celery run the task again in ``countdown`` seconds
    (by default the lease's duration), as often as the task's own ``max_retries`` allows. Outside of a task that raises.
    """
    if not isinstance(lease, str):
        raise TypeError('write @exclusive(lease="name"), with a lease name and parentheses')
    if on_busy not in get_args(OnBusy):
        raise ConfigError(f"on_busy must be 'skip', 'raise' or 'retry', not {on_busy!r}")
    if countdown is not None and on_busy != "retry":
        raise ConfigError("countdown is for on_busy='retry' only")
    limit = None if wait is None else seconds("wait", wait, zero=True)
    again = None if countdown is None else seconds("countdown", countdown, zero=True)
    locker = (replica or default_replica()).locker(lease, config)

    def decorate(function: Callable[..., Any]) -> Any:
        from .guards import ExclusiveGuard
        from .wrappers import guard

        every = _every(function, job, at_most_every)
        return guard(function, ExclusiveGuard(locker, limit, on_busy, again, every=every))

    return decorate


def _every(function: Callable[..., Any], job: str | None, interval: Seconds | None) -> Every | None:
    from .at_most_every import every

    if interval is None:
        if job is not None:
            raise ConfigError("job names a claim, which only at_most_every makes")
        return None
    return every(function, job, interval)


def held_only(locker: LeaseLocker) -> Decorator:
    """The decorator behind `LeaseLocker.leader_only`."""

    def decorate(function: Callable[..., Any]) -> Any:
        from .guards import HeldGuard
        from .wrappers import guard

        return guard(function, HeldGuard(locker))

    return decorate
