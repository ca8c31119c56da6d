"""Functions that run at most every so often, by a claim for each run."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from ..config import Seconds, seconds
from ..decisions.bids import SeldomBid
from ..decisions.ledger import PEOPLES, Claim, Mark, app_key
from ..errors import ConfigError
from ..renewal.candidacy import Candidacy
from ..reruns import was_cut
from ..term import CURRENT_FIRE, Fire, Term

__all__ = ["Every", "Run", "bid_for", "claim_run", "every"]

ENOUGH = 0.95  # of the interval: schedulers have jitter


class Every(NamedTuple):
    """A function's key in the ledger, the seconds between the starts of two runs, and the attempts that one has."""

    key: str
    interval: float
    attempts: int = 1

    @property
    def pause(self) -> timedelta:
        """How long after the start of one run the next may start."""
        return timedelta(seconds=ENOUGH * self.interval)

    def after(self, last: Mark) -> datetime:
        """When the run after ``last`` may start, by the store's time."""
        return last.fire + self.pause


def every(function: Callable[..., object], job: str | None, interval: Seconds, attempts: int = 1) -> Every:
    """``at_most_every`` of a decorated function; its name is its job's unless one is given."""
    inner = getattr(function, "__func__", function)
    if job is None:
        job = f"{getattr(inner, '__module__', '')}.{getattr(inner, '__qualname__', '')}"
        if "<" in job or job.endswith("."):
            raise ConfigError(f"at_most_every needs job='name' for {function!r}, whose own name is not one to keep")
    return Every(f"fn:{app_key(job).removeprefix(PEOPLES)}", seconds("at_most_every", interval), attempts)


class Run:
    """A claimed run: inside ``with run:`` `current_fire` tells what it is for, and its end is noted in the ledger."""

    def __init__(self, claim: Claim, term: Term, candidacy: Candidacy, *, soon: bool) -> None:
        self._claim = claim
        self._term = term
        self._candidacy = candidacy
        self._soon = soon  # its end is to be noted at once, not with a release that follows

    def __enter__(self) -> None:
        claim = self._claim
        self._token = CURRENT_FIRE.set(Fire(claim.job, claim.fire, self._term, claim.attempt.number))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_: object) -> None:
        CURRENT_FIRE.reset(self._token)
        claim, fires = self._claim, self._candidacy.fires
        if claim.repeats and was_cut(error, self._term):
            fires.interrupted(claim)
        else:
            fires.ended(claim.job, claim.fire, claim.nonce, ok=kind is None, soon=self._soon)


def bid_for(what: Every, nonce: str, candidacy: Candidacy) -> SeldomBid:
    """What a lease is wanted for that is taken for one run of ``what``."""
    candidate = candidacy.candidate
    return SeldomBid(
        what.key,
        what.pause,
        what.attempts,
        nonce,
        for_key=bool(candidacy.base),
        is_ours=candidate.claims.is_ours,
        is_timed=lambda: candidate.store_clock.is_told,
    )


async def claim_run(
    candidacy: Candidacy, term: Term, what: Every, nonce: str, claim: Claim | None, *, soon: bool, block: bool
) -> Run | None:
    """The run to do now, first of all one that was cut short and is to run again; ``claim``, if that was made already.

    None if the last one began too short a while ago, by the store's time. ``soon``: its end is noted at once.
    """
    cut = candidacy.fires.cut_of(what.key, what.attempts)  # also tells of those that are given up
    if claim:
        granted = await candidacy.fires.decision(term, claim, block=block)
        return Run(claim, term, candidacy, soon=soon) if granted else None
    now = candidacy.fires.store_time()
    if cut:
        claim = Claim(what.key, cut[0].fire, nonce, repeats=True, after=cut[0])
    else:
        until = now + what.pause if candidacy.base else None  # the lease of a key is kept for its marks alone
        claim = Claim(what.key, now, nonce, unless_since=now - what.pause, repeats=what.attempts > 1, until=until)
    granted = await candidacy.fires.claim(term, claim, block=block)
    return Run(claim, term, candidacy, soon=soon) if granted else None
