"""What decorated functions become: wrappers that ask for a term before each call."""

import inspect
from collections.abc import Callable
from importlib import import_module
from operator import attrgetter
from types import CoroutineType
from typing import TYPE_CHECKING, Any

import wrapt

from ..concurrency.synchronization import run_blocking
from ..concurrency.threads import lock_maker
from ..leading.cancellation import Cancellation
from ..leading.leadership import Leadership
from ..term import CURRENT_FIRE, CURRENT_TERMS, Term
from .at_most_every import Run
from .guards import Guard, LeaderGuard
from .keys import KeyedGuards

if TYPE_CHECKING:
    _FunctionWrapper = wrapt.FunctionWrapper[..., Any]
    _BoundFunctionWrapper = wrapt.BoundFunctionWrapper[..., Any]
else:
    _FunctionWrapper, _BoundFunctionWrapper = wrapt.FunctionWrapper, wrapt.BoundFunctionWrapper

__all__ = ["guard"]


def guard(function: Callable[..., Any], by: Guard | KeyedGuards) -> Any:
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
    make = _async_wrapper if any(inspect.iscoroutinefunction(form) for form in forms) else _wrapper
    if isinstance(by, KeyedGuards):
        return GuardedFunction(function, by, _keyed_wrapper(by, make))
    if make is _wrapper and isinstance(by, LeaderGuard) and by.every is None:
        return GuardedFunction(function, by, _leading_wrapper(by))
    return GuardedFunction(function, by, make(by))


def _leading_wrapper(by: LeaderGuard) -> Callable[..., Any]:
    """What is called most often, so that it makes as few calls of ours as it can."""
    new_entry, part = lock_maker(), by.part
    get_terms, set_terms = CURRENT_TERMS.get, CURRENT_TERMS.set

    def wrapper(wrapped: Callable[..., Any], instance: object, args: Any, kwargs: Any) -> Any:
        candidacy = part.candidacy
        if candidacy is not None and candidacy.term is None and (reason := by.refusal()):
            return by.skip(wrapped, reason)
        entry, outer = new_entry(), get_terms()
        try:
            with entry:  # whatever a signal's handler raises, and wherever: it is unlocked at the end
                try:
                    term = candidacy.work.enter(entry) if candidacy is not None else None
                    if term is None:
                        outcome = run_blocking(by.admit(entry, block=True))
                        if not isinstance(outcome, Term):
                            return by.skip(wrapped, outcome)
                        term = outcome
                    set_terms((*outer, term) if outer else (term,))
                    result = wrapped(*args, **kwargs)
                finally:
                    set_terms(outer)
                    if part.candidacy is not None:  # else this is a forked child
                        part.candidacy.work.exit(entry)
        finally:
            if get_terms() is not outer:  # what came before was interrupted
                set_terms(outer)
        return _ended(wrapped, result)

    return wrapper


def _keyed_wrapper(by: KeyedGuards, make: Callable[[Guard], Callable[..., Any]]) -> Callable[..., Any]:
    def wrapper(wrapped: Callable[..., Any], instance: object, args: Any, kwargs: Any) -> Any:
        return make(by.of(wrapped, args, kwargs))(wrapped, instance, args, kwargs)

    return wrapper


def _wrapper(by: Guard) -> Callable[..., Any]:
    new_entry, every = lock_maker(), by.every

    def wrapper(wrapped: Callable[..., Any], instance: object, args: Any, kwargs: Any) -> Any:
        entry, outer, fire = new_entry(), CURRENT_TERMS.get(), CURRENT_FIRE.get()
        try:
            with entry:
                try:
                    outcome = by.enter(entry) or run_blocking(by.admit(entry, block=True))
                    if not isinstance(outcome, Term):
                        return by.skip(wrapped, outcome)
                    CURRENT_TERMS.set((*outer, outcome))
                    if every is None:
                        return _ended(wrapped, wrapped(*args, **kwargs))
                    run = run_blocking(by.claim(outcome, every, block=True))
                    if not isinstance(run, Run):
                        return by.skip(wrapped, run)
                    with run:
                        return _ended(wrapped, wrapped(*args, **kwargs))
                finally:
                    CURRENT_TERMS.set(outer)
                    by.exit(entry)
        finally:
            CURRENT_TERMS.set(outer)
            CURRENT_FIRE.set(fire)

    return wrapper


def _ended(wrapped: Callable[..., Any], result: Any) -> Any:
    if result.__class__ is CoroutineType:
        result.close()
        raise TypeError(f"{wrapped!r} returns a coroutine, which would run unguarded: make it an async function")
    return result


def _async_wrapper(by: Guard) -> Callable[..., Any]:
    new_entry, part, every = lock_maker(), by.part, by.every
    enter, leave = by.enter, by.aexit
    get_terms, set_terms = CURRENT_TERMS.get, CURRENT_TERMS.set

    async def wrapper(wrapped: Callable[..., Any], instance: object, args: Any, kwargs: Any) -> Any:
        candidacy = part.candidacy
        if candidacy is not None and candidacy.term is None and (reason := by.refusal()):
            return by.skip(wrapped, reason)
        entry, outer, fire = new_entry(), get_terms(), CURRENT_FIRE.get()
        try:
            with entry:
                try:
                    term = enter(entry)
                    if term is None:
                        outcome = await by.admit(entry, block=False)
                        if not isinstance(outcome, Term):
                            return by.skip(wrapped, outcome)
                        term = outcome
                    set_terms((*outer, term) if outer else (term,))
                    with Cancellation(term):
                        if every is None:
                            return await wrapped(*args, **kwargs)
                        run = await by.claim(term, every, block=False)
                        if not isinstance(run, Run):
                            return by.skip(wrapped, run)
                        with run:
                            return await wrapped(*args, **kwargs)
                finally:
                    set_terms(outer)
                    leaving = leave(entry)
                    if leaving:
                        await leaving
        finally:
            if get_terms() is not outer:  # what came before was interrupted
                set_terms(outer)
            if CURRENT_FIRE.get() is not fire:
                CURRENT_FIRE.set(fire)

    return wrapper


class _Parts:
    """What the wrapper of a function and that of a bound method share."""

    _self_guard: Guard | KeyedGuards
    _self_wrapper: Any
    __wrapped__: Any
    __qualname__: str

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        # As wrapt calls a wrapper, but without finding out the instance, which takes longer than all that a guard does.
        return self._self_wrapper(self.__wrapped__, None, args, kwargs)

    @property
    def leadership(self) -> Leadership:
        """The candidacy that decides; lockers and `exclusive` have none."""
        if isinstance(self._self_guard, LeaderGuard):
            return self._self_guard.leadership
        raise AttributeError("only functions guarded by leader_only have a leadership")

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: object) -> Any:
        return self


class BoundGuardedFunction(_Parts, _BoundFunctionWrapper):
    """A guarded method of one object or class."""

    @property
    def _self_guard(self) -> Guard | KeyedGuards:  # type: ignore[override]
        guard: Guard | KeyedGuards = self._self_parent._self_guard  # noqa: SLF001 (wrapt keeps what is called _self_* on the wrapper)
        return guard

    def __reduce_ex__(self, protocol: object) -> Any:
        if self._self_instance is None:  # reached through its class
            return _find, (self.__module__, self.__qualname__)
        return getattr, (self._self_instance, self.__name__)


class GuardedFunction(_Parts, _FunctionWrapper):
    """A guarded function; pickled by name, as functions are."""

    __bound_function_wrapper__ = BoundGuardedFunction

    def __init__(self, wrapped: Callable[..., Any], by: Guard | KeyedGuards, wrapper: Callable[..., Any]) -> None:
        super().__init__(wrapped, wrapper)
        self._self_guard = by

    def __reduce_ex__(self, protocol: object) -> Any:
        return self.__qualname__


def _find(module: str, name: str) -> Any:
    return attrgetter(name)(import_module(module))
