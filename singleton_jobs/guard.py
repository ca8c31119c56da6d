"""What decorated functions become: wrappers that ask for a term before each call."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from operator import attrgetter
from types import CoroutineType
from typing import TYPE_CHECKING, Any

import wrapt

from .cancellation import Cancellation
from .errors import LeadershipLost, LeaseBusy, NotLeader, StoreError
from .events import RunSkipped
from .leaderships import Leadership
from .locker import LeaseLocker
from .runs import Every, Run, claim_run
from .signals import on_event_loop, run_blocking
from .skipped import Reason, Skipped
from .term import CURRENT_TERMS, Term

if TYPE_CHECKING:
    _FunctionWrapper = wrapt.FunctionWrapper[..., Any]
    _BoundFunctionWrapper = wrapt.BoundFunctionWrapper[..., Any]
else:
    _FunctionWrapper, _BoundFunctionWrapper = wrapt.FunctionWrapper, wrapt.BoundFunctionWrapper

__all__ = ["ExclusiveGuard", "Guard", "HeldGuard", "LeaderGuard", "guard"]


class Guard(ABC):
    """Lets calls in, or says why not; every call let in is to be let out."""

    def __init__(self, subject: Leadership | LeaseLocker, *, strict: bool, every: Every | None = None) -> None:
        self.subject = subject
        self.strict = strict
        self.every = every
        if every:
            subject.jobs.add(every.key)

    @abstractmethod
    def enter(self, entry: object) -> Term | None:
        """The term to run under, if that is known without waiting; ``entry`` stands for the call."""

    @abstractmethod
    async def admit(self, entry: object, *, block: bool) -> Term | Reason:
        """The term to run under, or why not."""

    def exit(self, entry: object, term: Term | None) -> None:
        """The call has ended, or was interrupted while it entered."""
        if term is not None:
            term._exit(entry)
        elif self.subject.candidacy is not None:
            self.subject.candidacy.exit(entry)

    async def aexit(self, entry: object, term: Term | None) -> None:
        """The coroutine has ended."""
        self.exit(entry, term)

    async def claim(self, term: Term, every: Every, *, block: bool) -> Run | Reason:
        """The run to do under ``term``, of a function that runs at most every so often; or why not."""
        candidacy = self.subject.candidacy or self.subject.replica.pretended(self.subject.name)
        try:
            return await claim_run(candidacy, term, every, self.subject.replica.nonce(), block=block) or "too-soon"
        except LeadershipLost:
            return "not-leader"

    def skip(self, function: Callable[..., Any], reason: Reason) -> Skipped:
        """Report a call that does not run; raises if the guard is strict."""
        subject, candidacy = self.subject, self.subject.candidacy
        skipped = Skipped(subject.lease, reason, candidacy.holder if candidacy else None)
        name = getattr(function, "__qualname__", repr(function))
        event = RunSkipped(subject.lease, candidacy.identity if candidacy else "", name, reason)
        subject.replica.emit(event, subject)
        if self.strict:
            raise self.refusal(skipped)
        return skipped

    def refusal(self, skipped: Skipped) -> Exception:
        """What a strict guard raises."""
        return NotLeader(skipped.lease, skipped.reason, skipped.holder)


class LeaderGuard(Guard):
    """Runs while the replica leads."""

    subject: Leadership

    def enter(self, entry: object) -> Term | None:
        candidacy = self.subject.candidacy
        return candidacy.enter(entry) if candidacy else None

    async def admit(self, entry: object, *, block: bool) -> Term | Reason:
        return await self.subject.admit(entry, block=block, wait=not (block and on_event_loop()))


class HeldGuard(Guard):
    """Runs while a locker is held."""

    subject: LeaseLocker

    def __init__(self, locker: LeaseLocker) -> None:
        super().__init__(locker, strict=False)

    def enter(self, entry: object) -> Term | None:
        return self.subject.enter(entry)

    async def admit(self, entry: object, *, block: bool) -> Term | Reason:
        return self.subject.pretended() or ("draining" if self.subject.replica.closed else "not-leader")


class ExclusiveGuard(Guard):
    """Locks for each call."""

    subject: LeaseLocker

    def __init__(self, locker: LeaseLocker, wait: float | None, *, strict: bool, every: Every | None = None) -> None:
        super().__init__(locker, strict=strict, every=every)
        self._wait = wait

    def enter(self, entry: object) -> Term | None:
        return None

    async def admit(self, entry: object, *, block: bool) -> Term | Reason:
        return self.subject.pretended() or await self.subject.acquire(self._wait, block=block)

    def exit(self, entry: object, term: Term | None) -> None:
        if term is not None:
            run_blocking(self.subject.free(term, block=True))

    async def aexit(self, entry: object, term: Term | None) -> None:
        if term is not None:
            await self.subject.free(term, block=False)

    def refusal(self, skipped: Skipped) -> Exception:
        error = self.subject.candidacy.error if self.subject.candidacy else None
        if isinstance(error, StoreError) and skipped.reason in ("store-unreachable", "access-denied"):
            return error
        return LeaseBusy(skipped.lease, skipped.holder)


def guard(function: Callable[..., Any], by: Guard) -> Any:
    """``function`` guarded; TypeError if it is nothing that runs once per call."""
    inner = function.__func__ if isinstance(function, (staticmethod, classmethod)) else function
    if any(kind.__module__.partition(".")[0] == "celery" for kind in type(inner).__mro__):
        raise TypeError("a Celery task cannot be guarded: put this decorator under @app.task, next to the function")
    if inspect.isclass(inner):
        raise TypeError(f"a class cannot be guarded: decorate the methods of {inner.__qualname__} that do the work")
    if not callable(inner):
        raise TypeError(f"only functions can be guarded, not {inner!r}")
    forms = (inner, type(inner).__call__)  # an object may be callable by its class
    if any(inspect.isgeneratorfunction(form) or inspect.isasyncgenfunction(form) for form in forms):
        raise TypeError(f"a generator cannot be guarded, since it runs after its call: {inner!r}")
    is_async = any(inspect.iscoroutinefunction(form) for form in forms)
    if is_async:
        return GuardedFunction(function, by, _async_wrapper(by))
    return GuardedFunction(function, by, _claiming_wrapper(by, by.every) if by.every else _wrapper(by))


def _wrapper(by: Guard) -> Callable[..., Any]:
    enter, leave = by.enter, by.exit
    get_terms, set_terms = CURRENT_TERMS.get, CURRENT_TERMS.set

    def wrapper(wrapped: Callable[..., Any], instance: object, args: Any, kwargs: Any) -> Any:
        entry, term, outer = object(), None, get_terms()
        try:  # whatever a signal handler raises between here and the end, the entry is taken back
            term = enter(entry)
            if term is None:
                outcome = run_blocking(by.admit(entry, block=True))
                if not isinstance(outcome, Term):
                    return by.skip(wrapped, outcome)
                term = outcome
            set_terms((*outer, term))
            result = wrapped(*args, **kwargs)
        finally:
            set_terms(outer)
            leave(entry, term)
        if result.__class__ is CoroutineType:
            result.close()
            raise TypeError(f"{wrapped!r} returns a coroutine, which would run unguarded: make it an async function")
        return result

    return wrapper


def _claiming_wrapper(by: Guard, every: Every) -> Callable[..., Any]:
    def wrapper(wrapped: Callable[..., Any], instance: object, args: Any, kwargs: Any) -> Any:
        entry, term, outer = object(), None, CURRENT_TERMS.get()
        try:
            outcome = by.enter(entry) or run_blocking(by.admit(entry, block=True))
            if not isinstance(outcome, Term):
                return by.skip(wrapped, outcome)
            term = outcome
            CURRENT_TERMS.set((*outer, term))
            run = run_blocking(by.claim(term, every, block=True))
            if not isinstance(run, Run):
                return by.skip(wrapped, run)
            with run:
                return wrapped(*args, **kwargs)
        finally:
            CURRENT_TERMS.set(outer)
            by.exit(entry, term)

    return wrapper


def _async_wrapper(by: Guard) -> Callable[..., Any]:
    async def wrapper(wrapped: Callable[..., Any], instance: object, args: Any, kwargs: Any) -> Any:
        entry, term, outer = object(), None, CURRENT_TERMS.get()
        try:
            outcome = by.enter(entry) or await by.admit(entry, block=False)
            if not isinstance(outcome, Term):
                return by.skip(wrapped, outcome)
            term = outcome
            CURRENT_TERMS.set((*outer, term))
            with Cancellation(term):
                if by.every is None:
                    return await wrapped(*args, **kwargs)
                run = await by.claim(term, by.every, block=False)
                if not isinstance(run, Run):
                    return by.skip(wrapped, run)
                with run:
                    return await wrapped(*args, **kwargs)
        finally:
            CURRENT_TERMS.set(outer)
            await by.aexit(entry, term)

    return wrapper


class _Parts:
    """What the wrapper of a function and that of a bound method share."""

    _self_guard: Guard
    __wrapped__: Any
    __qualname__: str

    @property
    def leadership(self) -> Leadership:
        """The candidacy that decides; lockers and `exclusive` have none."""
        if isinstance(self._self_guard.subject, Leadership):
            return self._self_guard.subject
        raise AttributeError("only functions guarded by leader_only have a leadership")

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: object) -> Any:
        return self


class BoundGuardedFunction(_Parts, _BoundFunctionWrapper):
    """A guarded method of one object or class."""

    @property
    def _self_guard(self) -> Guard:  # type: ignore[override]
        guard: Guard = self._self_parent._self_guard
        return guard

    def __reduce_ex__(self, protocol: object) -> Any:
        if self._self_instance is None:  # reached through its class
            return _find, (self.__module__, self.__qualname__)
        return getattr, (self._self_instance, self.__name__)


class GuardedFunction(_Parts, _FunctionWrapper):
    """A guarded function; pickled by name, as functions are."""

    __bound_function_wrapper__ = BoundGuardedFunction

    def __init__(self, wrapped: Callable[..., Any], by: Guard, wrapper: Callable[..., Any]) -> None:
        super().__init__(wrapped, wrapper)
        self._self_guard = by

    def __reduce_ex__(self, protocol: object) -> Any:
        return self.__qualname__


def _find(module: str, name: str) -> Any:
    return attrgetter(name)(import_module(module))
