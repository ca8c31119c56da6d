"""Bids: what a lease is wanted for at this moment, so that whoever takes it claims that in the same write.

A bid is asked with the marks of exactly the record that the write is to replace, which is a compare-and-swap: what it
judges by is what is stored, or nothing is written. No I/O, no clock, no chance.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Protocol

from .ledger import AHEAD, Claim, Mark, judge

__all__ = ["Bid", "PlannedBid", "Scout", "SeldomBid"]


class Bid(Protocol):
    """``waits``: go on while another holds the lease; else the bid is over as soon as one is seen to hold it.

    ``turn``: seconds for which others that bid at the same instant are let go first.
    """

    @property
    def waits(self) -> bool: ...

    @property
    def turn(self) -> float: ...

    def claims(self, marks: Mapping[str, Mark], time: datetime) -> Sequence[Claim] | None:
        """What to claim if the lease is taken now, at ``time`` by the store's clock, be it nothing; None: it is left.

        Asked again after a write whose outcome is unknown: the same claims are then to keep their nonces.
        """


@dataclass(frozen=True, slots=True)
class PlannedBid:
    """Runs of one ``job`` that were planned by its ``mark``: any other mark asks for another plan.

    Without claims, the lease is wanted for a run off schedule, or to tell its ledger something.
    """

    job: str
    mark: Mark | None
    planned: tuple[Claim, ...]
    turn: float = 0.0
    waits: bool = False

    def claims(self, marks: Mapping[str, Mark], time: datetime) -> Sequence[Claim] | None:
        found = marks.get(self.job)
        landed = found is not None and any(claim.is_in(found) for claim in self.planned)
        return self.planned if landed or _plan(found) == _plan(self.mark) else None


@dataclass(slots=True, eq=False)
class SeldomBid:
    """One run of a ``job`` that starts no sooner than ``pause`` after the last did, unless that was cut short: then it
    is run again, up to ``most`` attempts in all.

    ``for_key``: its mark is to count no longer than ``pause``, since it keeps the lease of a key. ``is_ours`` tells by
    its nonce whether a run goes on in this process, and ``is_timed`` whether the time is the store's.
    """

    waits: ClassVar[bool] = True
    turn: ClassVar[float] = 0.0
    job: str
    pause: timedelta
    most: int
    nonce: str  # the same however often it is asked
    for_key: bool
    is_ours: Callable[[str, str], bool]
    is_timed: Callable[[], bool]
    claim: Claim | None = None  # what the lease is to be taken for, or was; None: for what is claimed under the term
    _sent: list[Claim] = field(default_factory=list)

    def claims(self, marks: Mapping[str, Mark], time: datetime) -> Sequence[Claim] | None:
        mark = marks.get(self.job)
        self._sent = [claim for claim in self._sent if claim.carried]
        self.claim = next((claim for claim in self._sent if mark and _stands(claim, mark)), None)
        if self.claim:
            return (self.claim,)
        if not self.is_timed():  # the answer to the write that takes it will tell
            return ()
        cut = [each for each in mark.attempts if not self.is_ours(self.job, each.nonce)] if mark else []
        again = next((each for each in cut if each.number < self.most), None)
        if again:
            claim = Claim(self.job, again.fire, self.nonce, repeats=True, after=again)
        else:
            since, until = time - self.pause, time + self.pause if self.for_key else None
            claim = Claim(self.job, time, self.nonce, unless_since=since, repeats=self.most > 1, until=until)
            if judge(claim, marks) == "refused":  # attempts to be given up, and a mark to be lowered, ask for a write
                return () if cut or (mark and mark.fire > time + AHEAD) else None
        self.claim = claim
        self._sent.append(claim)
        return (claim,)


class Scout:
    """Waits until the lease could be taken, and leaves it."""

    waits = True
    turn = 0.0

    def claims(self, marks: Mapping[str, Mark], time: datetime) -> Sequence[Claim] | None:
        return None


def _stands(claim: Claim, mark: Mark) -> bool:
    """Whether ``claim`` has landed just so, and nobody has taken its run for cut short since."""
    same = claim.attempt in mark.attempts if claim.repeats else mark.fire == claim.fire and mark.state == "c"
    return same and claim.is_in(mark)


def _plan(mark: Mark | None) -> object:
    """What of a mark plans go by: whether its run has ended is none of it."""
    return mark and (mark.fire, mark.nonce, mark.attempts)
