"""`leader_only` and `exclusive`: the one line that most programs need."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, Protocol, TypeVar, get_args, overload

from ..config import Config, Seconds, seconds
from ..errors import ConfigError
from ..leading.core import AnyReplica, core_of
from ..leading.keyed import KeyedLeases
from ..leading.locker_part import LockerPart
from ..reruns import MAX_ATTEMPTS, Interrupted, attempts
from ..skipped import OnBusy, Skipped

if TYPE_CHECKING:
    from ..leading.leadership import Leadership
    from .at_most_every import Every
    from .guards import ExclusiveGuard

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


def leader_only(
    leadership: Callable[[str, Config | None], Leadership],
    lease: str,
    job: str | None = None,
    at_most_every: Seconds | None = None,
    on_skip: OnSkip = "return",
    *,
    interrupted: Interrupted = "skip",
    max_attempts: int = MAX_ATTEMPTS,
    config: Config | None = None,
) -> Any:
    """`singleton_jobs.leader_only`, by what `Replica.leadership` gives."""
    _refuse_bare(lease, "leader_only")
    if on_skip not in get_args(OnSkip):
        raise ConfigError(f"on_skip must be 'return' or 'raise', not {on_skip!r}")
    most = attempts(interrupted, max_attempts)
    leads = leadership(lease, config)

    def decorate(function: Callable[..., Any]) -> Any:
        from .guards import LeaderGuard
        from .wrappers import guard

        every = _every(function, job, at_most_every, most)
        return guard(function, LeaderGuard(leads, strict=on_skip == "raise", every=every))

    return decorate


def exclusive(
    replica: AnyReplica,
    lease: str,
    wait: Seconds | None = 0,
    on_busy: OnBusy = "skip",
    at_most_every: Seconds | None = None,
    *,
    key: str | Callable[..., object] | None = None,
    countdown: Seconds | None = None,
    job: str | None = None,
    interrupted: Interrupted = "skip",
    max_attempts: int = MAX_ATTEMPTS,
    config: Config | None = None,
) -> Any:
    """`singleton_jobs.exclusive`, through ``replica``."""
    _refuse_bare(lease, "exclusive")
    if on_busy not in get_args(OnBusy):
        raise ConfigError(f"on_busy must be 'skip', 'raise' or 'retry', not {on_busy!r}")
    if countdown is not None and on_busy != "retry":
        raise ConfigError("countdown is for on_busy='retry' only")
    limit = None if wait is None else seconds("wait", wait, zero=True)
    again = None if countdown is None else seconds("countdown", countdown, zero=True)
    most = attempts(interrupted, max_attempts)
    core = core_of(replica)
    uses = LockerPart(core, lease, config) if key is None else KeyedLeases(core, lease, config)

    def decorate(function: Callable[..., Any]) -> Any:
        from .guards import ExclusiveGuard
        from .wrappers import guard

        every = _every(function, job, at_most_every, most)

        def exclusively(part: LockerPart) -> ExclusiveGuard:
            return ExclusiveGuard(part, limit, on_busy, again, every=every)

        if isinstance(uses, LockerPart):
            return guard(function, exclusively(uses))
        from .keys import KeyedGuards, key_of

        return guard(function, KeyedGuards(uses, key_of(function, key), exclusively))

    return decorate


def held_only(locker: LockerPart) -> Decorator:
    """The decorator behind `LeaseLocker.leader_only`."""

    def decorate(function: Callable[..., Any]) -> Any:
        from .guards import HeldGuard
        from .wrappers import guard

        return guard(function, HeldGuard(locker))

    return decorate


def _refuse_bare(lease: object, name: str) -> None:
    if not isinstance(lease, str):  # the function itself, of a decorator without parentheses
        raise TypeError(f'write @{name}(lease="name"), with a lease name and parentheses')


def _every(function: Callable[..., Any], job: str | None, interval: Seconds | None, attempts: int) -> Every | None:
    from .at_most_every import every

    if interval is None:
        if job is not None:
            raise ConfigError("job names a claim, which only at_most_every makes")
        if attempts > 1:
            raise ConfigError("interrupted='rerun' repeats a claimed run, and only at_most_every claims runs")
        return None
    return every(function, job, interval, attempts)
