"""The runs of one submission: what goes to the inner executor, and what a job sees of its fire while it runs."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple

from apscheduler.util import iscoroutinefunction_partial, ref_to_obj

from singleton_jobs.leading.cancellation import Cancellation
from singleton_jobs.term import CURRENT_FIRE, CURRENT_TERMS, Fire, Term

__all__ = ["NOT_RUN", "Run", "Runs", "guarded", "run_in_process"]

logger = logging.getLogger("singleton_jobs")


class _NotRun(Enum):
    """What a job that must not start any more returns; it stays itself when it comes out of another process."""

    NOT_RUN = "not run"


NOT_RUN = _NotRun.NOT_RUN


class Run(NamedTuple):
    """One run: its time as the scheduler knows it, and its fire, None if it is off schedule."""

    run_time: datetime
    term: Term
    fire: Fire | None


class Runs:
    """What executors take for a list of run times; it knows which of its runs is under way."""

    def __init__(self, runs: list[Run]) -> None:
        self.runs = runs
        self.current = runs[0]

    def __iter__(self) -> Iterator[datetime]:
        for run in self.runs:
            self.current = run
            yield run.run_time


@contextmanager
def _under(run: Run) -> Iterator[None]:
    terms = CURRENT_TERMS.set((*CURRENT_TERMS.get(), run.term))
    fire = CURRENT_FIRE.set(run.fire)
    try:
        yield
    finally:
        CURRENT_FIRE.reset(fire)
        CURRENT_TERMS.reset(terms)


def guarded(function: Callable[..., Any], runs: Runs) -> Callable[..., Any]:
    """``function`` under the current one of ``runs``: it does not start once the term is lost."""
    if iscoroutinefunction_partial(function):

        async def call_async(*args: Any, **kwargs: Any) -> Any:
            run = runs.current
            if not run.term.is_valid:
                return NOT_RUN
            with _under(run), Cancellation(run.term):
                return await function(*args, **kwargs)

        return call_async

    def call(*args: Any, **kwargs: Any) -> Any:
        run = runs.current
        if not run.term.is_valid:
            return NOT_RUN
        with _under(run):
            return function(*args, **kwargs)

    return call


def run_in_process(runs: Runs, reference: str, *args: Any, **kwargs: Any) -> Any:
    """What a pool's process calls: the function that ``reference`` names, under a copy of the term.

    Its pool would not tell of an end that it cannot bring back, and may break over it. So None stands for such a
    result; RuntimeError is raised for such an exception, and says what it was.
    """
    try:
        result = guarded(ref_to_obj(reference), runs)(*args, **kwargs)
    except BaseException as error:
        if _comes_back(error):
            raise
        told = "".join(traceback.format_exception_only(error)).strip()
        raise RuntimeError(told).with_traceback(error.__traceback__) from None
    if _comes_back(result):
        return result
    logger.warning("what %s has returned, %s, does not survive pickle, and is left out", reference, type(result))
    return None


def _comes_back(value: object) -> bool:
    """Whether the process that has a pool can be given ``value``."""
    try:
        pickle.loads(ForkingPickler.dumps(value))  # noqa: S301 (it is our own)
    except Exception:  # noqa: BLE001 (a class raises whatever it likes there)
        return False
    return True
