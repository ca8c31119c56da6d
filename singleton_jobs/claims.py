"""The claims of one term: which are open, and what became of them."""

import math
from datetime import datetime

from .ledger import AHEAD, LIMIT, Claim, Mark, UnreadableLedger, advance, judge, lower, read_ledger
from .locks.record import Stored

__all__ = ["Claims"]


class Claims:
    """Open claims of a holder, oldest first; told what is seen and written, it settles them one by one."""

    def __init__(self) -> None:
        self.unreadable: str | None = None  # why the stored ledger cannot be read
        self.size = 0  # characters of the ledger last written
        self.lowered: dict[str, Mark] = {}  # marks found in the future, as they were
        self._open: list[Claim] = []
        self._done: dict[str, str] = {}
        self._known: set[str] = set()
        self._from = math.inf
        self._marks: dict[str, Mark] = {}

    @property
    def marks(self) -> dict[str, Mark]:
        """The marks last seen."""
        return self._marks

    def add(self, claim: Claim, now: float) -> None:
        """Have ``claim`` written as soon as possible."""
        self._known.add(claim.job)
        self._open.append(claim)
        self._from = min(self._from, now)

    def withdraw(self, claim: Claim) -> None:
        """Nobody waits for ``claim`` any more."""
        if claim in self._open:
            self._open.remove(claim)

    def done(self, job: str, nonce: str) -> None:
        """The run claimed under ``nonce`` has ended; told to the ledger with the next write."""
        self._done[job] = nonce

    def due(self) -> float:
        """When a write is wanted for the claims' sake."""
        return self._from if self._open else math.inf

    def delay(self, until: float) -> None:
        """A write failed: claims wait for the next."""
        self._from = until

    def ledger(self, seen: Stored | None, time: datetime) -> str | None:
        """The ledger to write at ``time``, the store's; None to leave it as it is. Settles what needs no write."""
        self.see(seen)
        if self.unreadable or not (self._open or self._done):
            return None
        marks = self._marks
        future = lower(marks, time)
        for claim in self._open:
            if claim.fire > time + AHEAD:
                claim.outcome = "refused"
        self._drop_settled()
        text = advance({**marks, **future}, self._open, self._done, self._known, time)
        if len(text) > LIMIT:
            for claim in self._open:
                claim.outcome = "refused"
            self._drop_settled()
            return None
        self.size = len(text)
        self.lowered = {job: marks[job] for job in future}
        return text

    def see(self, stored: Stored | None) -> None:
        """Settle what the stored ledger says."""
        try:
            self._marks = read_ledger(stored.ledger if stored else None)
            self.unreadable = None
        except UnreadableLedger as error:
            self._marks, self.unreadable = {}, str(error)
        for claim in self._open:
            claim.outcome = "refused" if self.unreadable else judge(claim, self._marks)
        self._drop_settled()

    def wrote(self, stored: Stored, now: float) -> None:
        """A write was acknowledged in time: what rode in it is granted."""
        self._done = {}
        self._from = now
        self.see(stored)

    def end(self) -> None:
        """The term has ended: claims without an outcome stay without one."""
        self._open, self._from = [], math.inf

    def _drop_settled(self) -> None:
        self._open = [claim for claim in self._open if claim.outcome is None]
