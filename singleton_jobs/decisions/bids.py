"""Bids: what a lease is wanted for at this moment, so that whoever takes it claims that in the same write.

A bid is asked with the marks of exactly the record that the write is to replace, which is a compare-and-swap: what it
judges by is what is stored, or nothing is written. No I/O, no clock, no chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from .ledger import Claim, Mark

__all__ = ["Bid", "PlannedBid", "Scout"]


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


class Scout:
    """Waits until the lease could be taken, and leaves it."""

    waits = True
    turn = 0.0

    def claims(self, marks: Mapping[str, Mark], time: datetime) -> Sequence[Claim] | None:
        return None


def _plan(mark: Mark | None) -> object:
    """What of a mark plans go by: whether its run has ended is none of it."""
    return mark and (mark.fire, mark.nonce, mark.attempts)
