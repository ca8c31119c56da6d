"""Functions that run at most every so often, by a claim for each run."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from ..config import Seconds, seconds
from ..decisions.ledger import PEOPLES, Claim, Mark, app_key
from ..errors import ConfigError
from ..renewal.candidacy import Candidacy
from ..term import CURRENT_FIRE, Fire, Term

__all__ = ["Every", "Run", "claim_run", "every"]

ENOUGH = 0.95  # of the interval: schedulers have jitter


class Every(NamedTuple):
    """A function's key in the ledger, and the seconds between the starts of two runs."""

    key: str
    interval: float

    @property
    def pause(self) -> timedelta:
        """How long after the start of one run the next may start."""
        return timedelta(seconds=ENOUGH * self.interval)

    def after(self, last: Mark) -> datetime:
        """When the run after ``last`` may start, by the store's time."""
        return last.fire + self.pause


def every(function: Callable[..., object], job: str | None, interval: Seconds) -> Every:
    """``at_most_every`` of a decorated function; its name is its job's unless one is given."""
    inner = getattr(function, "__func__", function)
    if job is None:
        job = f"{getattr(inner, '__module__', '')}.{getattr(inner, '__qualname__', '')}"
        if "<" in job or job.endswith("."):
            raise ConfigError(f"at_most_every needs job='name' for {function!r}, whose own name is not one to keep")
    return Every(f"fn:{app_key(job).removeprefix(PEOPLES)}", seconds("at_most_every", interval))


class Run:
    """A claimed run: inside ``with run:`` `current_fire` tells what it is for, and its end is noted in the ledger."""

    def __init__(self, fire: Fire, candidacy: Candidacy, nonce: str) -> None:
        self._fire = fire
        self._candidacy = candidacy
        self._nonce = nonce

    def __enter__(self) -> None:
        self._token = CURRENT_FIRE.set(self._fire)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        CURRENT_FIRE.reset(self._token)
        self._candidacy.fires.ended(self._fire.job, self._fire.time, self._nonce, ok=kind is None)


async def claim_run(candidacy: Candidacy, term: Term, what: Every, nonce: str, *, block: bool) -> Run | None:
    """The run to do now; None if the last one began too short a while ago, by the store's time."""
    now = candidacy.fires.store_time()
    claim = Claim(what.key, now, nonce, unless_since=now - what.pause)
    granted = await candidacy.fires.claim(term, claim, block=block)
    return Run(Fire(what.key, now, term), candidacy, nonce) if granted else None
