"""Exceptions out of signal handlers, raised at one line of ours after the other."""

import linecache
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import singleton_jobs

HOME = str(Path(singleton_jobs.__file__).parent)


class SoftTimeLimitExceeded(Exception):
    """As Celery raises it."""


KINDS = (SoftTimeLimitExceeded, KeyboardInterrupt, SystemExit)


class Interruption:
    """Runs a call and raises ``kind`` at the ``number``-th line of ours that it comes to."""

    def __init__(self, number: int, kind: type[BaseException]) -> None:
        self.where = ""
        self._left = number
        self._kind = kind

    def __call__(self, call: Callable[[], object]) -> None:
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            call()
        except self._kind:
            pass
        finally:
            sys.settrace(before)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if self.where or not frame.f_code.co_filename.startswith(HOME):
            return None
        if event == "line" and not _gives_a_mutex_back(frame):
            self._left -= 1
            if self._left == 0:
                self.where = f"{frame.f_code.co_filename[len(HOME) + 1 :]}:{frame.f_lineno} {frame.f_code.co_qualname}"
                raise self._kind
        return self._trace


def interruptions(
    step: int = 1, first: int = 1, kinds: tuple[type[BaseException], ...] = KINDS
) -> Iterator[Interruption]:
    """One for each line, until a call comes to its end without."""
    number = first
    while True:
        one = Interruption(number, kinds[number // step % len(kinds)])
        yield one
        if not one.where:
            return
        number += step


def _gives_a_mutex_back(frame: FrameType) -> bool:
    """The end of ``with self._mutex`` is one instruction, before which no interpreter looks for signals."""
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    if not line.startswith("with ") or "mutex" not in line:
        return False
    return frame.f_lasti != min(at for at, _, number in frame.f_code.co_lines() if number == frame.f_lineno)
