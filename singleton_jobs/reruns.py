"""What becomes of a fire that was cut short, by the will of its job's owner."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from .errors import ConfigError
from .term import Term

__all__ = ["MAX_ATTEMPTS", "Interrupted", "InterruptedFire", "attempts", "was_cut"]

Interrupted = Literal["skip", "rerun"]

MAX_ATTEMPTS = 3
ENDS = {"SystemExit", "KeyboardInterrupt", "CancelledError", "GreenletExit"}  # not all of them need be imported here


class InterruptedFire(NamedTuple):
    """A fire that is to run again since it was cut short: its nominal time, and how many attempts it has had."""

    time: datetime
    attempts: int


def attempts(interrupted: str, max_attempts: int, again: str = "rerun") -> int:
    """How many attempts a fire has: 1 if ``"skip"``, else (``again``) ``max_attempts``. Raises ConfigError."""
    if interrupted not in ("skip", again):
        raise ConfigError(f"interrupted must be 'skip' or {again!r}, not {interrupted!r:.80}")
    if isinstance(max_attempts, bool) or not isinstance(max_attempts, int) or max_attempts < 1:
        raise ConfigError(f"max_attempts must be a whole number from 1 on, not {max_attempts!r:.80}")
    return max_attempts if interrupted == again else 1


def was_cut(error: BaseException | None, term: Term) -> bool:
    """Whether a run that has ended with ``error`` did not fail, but was cut short by the end of its task or process, or
    under a ``term`` that is lost: whatever it raised then, who leads by now takes it for cut short, too.
    """
    if error is None or (isinstance(error, SystemExit) and not error.code):  # a success may end like that
        return False
    return not term.is_valid or any(kind.__name__ in ENDS for kind in type(error).__mro__)
