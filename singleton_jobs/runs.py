"""Runs that need a claim: keys, instants, and functions that run at most every so often."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from .claiming import ClaimingCandidacy
from .config import Seconds, seconds
from .errors import ConfigError
from .ledger import PEOPLES, Claim
from .term import CURRENT_FIRE, Fire, Term

__all__ = ["Every", "Run", "app_key", "claim_run", "every", "instant"]

MAX_KEY = 253  # characters of a job's name
ENOUGH = 0.95  # of the interval: schedulers have jitter


def app_key(job: str) -> str:
    """The ledger's key for a job that people name themselves."""
    if not isinstance(job, str) or not 0 < len(job) <= MAX_KEY or not job.isprintable():
        raise ConfigError(f"a job's name must be 1 to {MAX_KEY} printable characters, not {job!r:.80}")
    return f"{PEOPLES}{job}"


def instant(time: datetime) -> datetime:
    """``time`` in UTC; ConfigError unless it says which instant it means."""
    if not isinstance(time, datetime) or time.utcoffset() is None:
        raise ConfigError(f"a fire needs an aware datetime, such as datetime.now(UTC), not {time!r}")
    return time.astimezone(UTC)


class Every(NamedTuple):
    """A function's key in the ledger, and the seconds between the starts of two runs."""

    key: str
    interval: float


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

    def __init__(self, fire: Fire, candidacy: ClaimingCandidacy, nonce: str) -> None:
        self._fire = fire
        self._candidacy = candidacy
        self._nonce = nonce

    def __enter__(self) -> None:
        self._token = CURRENT_FIRE.set(self._fire)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        CURRENT_FIRE.reset(self._token)
        self._candidacy.ended(self._fire.job, self._fire.time, self._nonce, ok=kind is None)


async def claim_run(candidacy: ClaimingCandidacy, term: Term, what: Every, nonce: str, *, block: bool) -> Run | None:
    """The run to do now; None if the last one began too short a while ago, by the store's time."""
    now = candidacy.store_time()
    claim = Claim(what.key, now, nonce, unless_since=now - timedelta(seconds=ENOUGH * what.interval))
    granted = await candidacy.claim(term, claim, block=block)
    return Run(Fire(what.key, now, term), candidacy, nonce) if granted else None
