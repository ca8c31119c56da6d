"""Which jobs run again when they were cut short: a property of their code, so functions carry it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from singleton_jobs.reruns import MAX_ATTEMPTS, Interrupted, attempts

__all__ = ["attempts_of", "interrupted"]

F = TypeVar("F", bound=Callable[..., Any])

NAME = "_singleton_jobs_attempts"


def interrupted(then: Interrupted, max_attempts: int = MAX_ATTEMPTS) -> Callable[[F], F]:
    """What becomes of a fire of a job with this function that was cut short, whatever `guard` says of other jobs.

    ``"rerun"``: it runs again, ``max_attempts`` times in all. ``"skip"``: nobody runs it again. Decorates the function,
    and changes nothing else of it. Raises ConfigError for anything else.
    """
    most = attempts(then, max_attempts)

    def decorate(function: F) -> F:
        setattr(getattr(function, "__func__", function), NAME, most)  # methods are told by their functions
        return function

    return decorate


def attempts_of(function: Callable[..., Any], otherwise: int) -> int:
    """How many attempts a fire of a job with ``function`` has."""
    found = getattr(function, NAME, None)
    if isinstance(found, int):
        return found
    return attempts_of(function.func, otherwise) if isinstance(function, partial) else otherwise
