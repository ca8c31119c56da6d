"""The claims of one term: which are open, and what became of them."""

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from ..locks.record import LEDGER_ANNOTATION, Stored
from .bids import Bid
from .ledger import (
    AHEAD,
    LIMIT,
    PEOPLES,
    Attempt,
    Claim,
    Mark,
    UnreadableLedger,
    advance,
    judge,
    lower,
    read_ledger,
    size,
)

__all__ = ["OpenClaims"]

ANNOTATIONS = 255 * 1024  # bytes of all annotations with their names; a store that has 256 KiB refuses whole renewals


class OpenClaims:
    """Open claims of a holder, oldest first; told what is seen and written, it settles them one by one."""

    def __init__(self) -> None:
        self.unreadable: str | None = None  # why the stored ledger cannot be read
        self.size = 0  # bytes of the ledger last written
        self.lowered: dict[str, Mark] = {}  # marks found in the future, as they were
        self.interrupted: dict[str, Mark] = {}  # fires whose runs were cut short, not told of yet
        self._open: list[Claim] = []  # without an outcome, in the order they were asked
        self._leading = False  # a term lasts
        self._running: set[tuple[str, str]] = set()  # jobs and nonces asked for here, whose runs may be yet to end
        self._done: set[tuple[str, str]] = set()  # jobs and nonces of ended runs, of which the ledger is to be told
        self._urgent = False  # some of these would run again, if this process died before the ledger is told
        self.introduced: dict[str, Mark] = {}  # jobs that were seen for the first time, and are not yet in the ledger
        self.known: set[str] = set()  # jobs of this program: their marks are kept however old they get
        self._telling: set[tuple[str, str]] = set()  # what is done and rides in the write under way
        self._lowering: dict[str, Mark] = {}  # marks in the future, as they were before the write under way lowers them
        self._from = math.inf  # from when on open claims are to be written
        self._not_before = -math.inf  # whatever is added meanwhile: the store failed
        self._text: str | None = None  # the ledger, as last seen
        self._marks: dict[str, Mark] = {}  # what it says
        self._bidden: Sequence[Claim] | None = None  # what is to be claimed by the write that takes the lease
        self._replaced: dict[str, Mark] = {}  # marks of runs that were cut short, which these claims take the place of
        self._undo: dict[str, tuple[set[str], Mark | None]] = {}  # by job: their nonces, and the mark that they replace

    @property
    def marks(self) -> dict[str, Mark]:
        """The marks last seen."""
        return self._marks

    @property
    def wanted(self) -> bool:
        """Whether this program has jobs whose fires are claimed."""
        return bool(self.known or self.introduced)

    def add(self, claim: Claim, now: float) -> None:
        """Have ``claim`` written as soon as possible."""
        self._add(claim)
        self._from = min(self._from, now)

    def bid(self, bid: Bid, ledger: str | None, time: datetime, now: float) -> None:
        """Have the claims of ``bid`` written by the write that takes the lease, whose ledger is this."""
        self._forget_bidden()
        self._look(ledger)
        self._bidden = None if self.unreadable else bid.claims(self._marks, time)
        claims = self._bidden or ()
        self._open = []
        for claim in claims:
            claim.outcome = None
            claim.asked_at = now if claim.asked_at is None else claim.asked_at
            self._add(claim)
            before = self._marks.get(claim.job)
            if before is None or not claim.is_in(before):
                self._undo[claim.job] = {each.nonce for each in claims}, before
        if replaced := {claim.job: mark for claim in claims if (mark := self._cut_mark(claim))}:
            self._replaced = replaced

    @property
    def bidden(self) -> bool:
        """Whether the lease is to be taken for what was bidden."""
        claims = self._bidden
        return claims is not None and (not claims or any(claim.outcome != "refused" for claim in claims))

    @property
    def hopeless(self) -> bool:
        """Whether what was bidden cannot be claimed, although the bid wants it."""
        return bool(self.unreadable) if self._bidden is None else not self.bidden

    def introduce(self, marks: dict[str, datetime]) -> None:
        """Have jobs that have no mark get one with the next write; none is sent for that alone."""
        self.introduced |= {job: Mark(time, "", "d") for job, time in marks.items() if job not in self._marks}

    def withdraw(self, claim: Claim) -> None:
        """Nobody waits for ``claim`` any more."""
        if claim in self._open:
            self._open.remove(claim)

    def give_up(self, claim: Claim) -> None:
        """``claim`` does not run here, not even if it has landed."""
        self._running.discard((claim.job, claim.nonce))
        if self._leading:
            self._find_interrupted()

    def done(self, job: str, nonce: str) -> bool:
        """The run claimed under ``nonce`` has ended; told to the ledger with the next write.

        Whether that is wanted now: who leads next must not take it for cut short, and run it again.
        """
        self._running.discard((job, nonce))
        self._done.add((job, nonce))
        self._hurry()
        return self._urgent

    def is_ours(self, job: str, nonce: str) -> bool:
        """Whether the run that was claimed under ``nonce`` goes on here, or has ended and the ledger is yet to know."""
        return (job, nonce) in self._running or (job, nonce) in self._done

    @property
    def untold(self) -> bool:
        """Whether runs have ended, and the ledger is yet to know."""
        return bool(self._done)

    def cut(self) -> dict[str, list[Attempt]]:
        """Runs of fires that may run again, by job, which no process goes on with; none unless a term lasts."""
        cut = {
            job: [each for each in mark.attempts if not self.is_ours(job, each.nonce)]
            for job, mark in self._marks.items()
            if mark.attempts and self._leading
        }
        return {job: attempts for job, attempts in cut.items() if attempts}

    def due(self) -> float:
        """When a write is wanted for the claims' sake."""
        return max(self._from, self._not_before) if self._open or self._urgent else math.inf

    def delay(self, until: float) -> None:
        """A write failed: claims wait for the next."""
        self._not_before = until

    def ledger(self, seen: Stored | None, time: datetime, last: str | None = None) -> str | None:
        """The ledger to write at ``time``, the store's; None to leave it as it is. Settles what needs no write.

        ``last``: the ledger of a lease that has vanished.
        """
        self.see(seen, last)
        self._telling, self._lowering = set(), {}
        if self.unreadable or not (self._open or self._done or self.introduced or self._marks):
            return None
        future = lower(self._marks, time)
        marks = {**self.introduced, **self._marks, **future}
        for claim in self._open:
            claim.outcome = judge(claim, marks)
        fresh = [claim for claim in self._open if not claim.carried]
        self._refuse(fresh, lambda claim: not claim.after and claim.fire > time + AHEAD)
        before = marks if self._bidden else self._undone(marks)
        if not (self._open or self._done or self.introduced or future) and before is marks:
            return None
        marks = before
        text = self._advance(marks, time)
        room = min(LIMIT, ANNOTATIONS - _others(seen))
        if size(text) > room:
            for job in self.introduced:
                del marks[job]
            self.introduced = {}
            # The ones that would make it grow:
            self._refuse(fresh, lambda claim: claim.job not in marks or (claim.repeats and not claim.after))
            text = self._advance(marks, time)
        if size(text) > room:
            self._refuse(fresh, lambda _: True)
            return None
        self.size = size(text)
        self._telling = set(self._done)
        self._lowering = {job: self._marks[job] for job in future}
        return text

    def begin(self, stored: Stored, now: float) -> None:
        """A term starts with ``stored``."""
        if self._bidden is not None:  # else what is yet to be told did not ride in that write
            self.wrote(stored, now)
        self.see(stored)
        self._leading, self._from = True, -math.inf
        self._hurry()
        self._find_interrupted()
        self.interrupted |= self._replaced
        self._bidden, self._replaced = None, {}

    def read(self, text: str | None) -> dict[str, Mark]:
        """The marks in ``text``, most often the ledger last seen, which is not read again. Raises UnreadableLedger."""
        return self._marks if text == self._text and not self.unreadable else read_ledger(text)

    def see(self, stored: Stored | None, last: str | None = None) -> None:
        """Settle what the stored ledger grants; what it refuses depends on the time, and is settled by `ledger`."""
        self._look(stored.ledger if stored else last)
        if not (self._open or self.introduced):
            return
        self.introduced = {job: mark for job, mark in self.introduced.items() if job not in self._marks}
        for claim in self._open:
            if self.unreadable:
                claim.outcome = "refused"
            elif judge(claim, self._marks) == "granted":
                claim.outcome = "granted"
        self._drop_settled()

    def wrote(self, stored: Stored | None, now: float) -> None:
        """A write was acknowledged in time: what rode in it is granted. None: the lease was deleted."""
        self._done -= self._telling
        self.lowered = self._lowering
        self._telling, self._lowering = set(), {}
        self._undo = {}
        self._from, self._not_before = now, -math.inf
        self.see(stored)
        self._hurry()

    def end(self) -> None:
        """The term has ended: claims without an outcome stay without one."""
        self._leading = self._urgent = False
        self._open, self._from, self.introduced = [], math.inf, {}
        self._forget_bidden()
        self._bidden, self._replaced = None, {}

    def _forget_bidden(self) -> None:
        self._running -= {(claim.job, claim.nonce) for claim in self._bidden or ()}

    def _look(self, text: str | None) -> None:
        if text != self._text:
            self._text = text
            try:
                self._marks, self.unreadable = read_ledger(text), None
            except UnreadableLedger as error:
                self._marks, self.unreadable = {}, str(error)

    def _hurry(self) -> None:
        self._urgent = bool(self._leading and self._done) and any(
            (job, each.nonce) in self._done for job, mark in self._marks.items() for each in mark.attempts
        )

    def _find_interrupted(self) -> None:
        """What was claimed and is neither done nor of this process will never be: tell of it, and the ledger."""
        found = {job: mark for job, mark in self._marks.items() if self._is_cut(job, mark)}
        self.interrupted |= found
        self._done |= {(job, mark.nonce) for job, mark in found.items()}  # later leaders need not tell again

    def _add(self, claim: Claim) -> None:
        self.known.add(claim.job)
        if claim.repeats or not claim.job.startswith(PEOPLES):
            self._running.add((claim.job, claim.nonce))
        self._open.append(claim)

    def _is_cut(self, job: str, mark: Mark) -> bool:
        return mark.state == "c" and not self.is_ours(job, mark.nonce) and not job.startswith(PEOPLES)

    def _cut_mark(self, claim: Claim) -> Mark | None:
        mark = self._marks.get(claim.job)
        return mark if mark and not claim.is_in(mark) and self._is_cut(claim.job, mark) else None

    def _undone(self, marks: dict[str, Mark]) -> dict[str, Mark]:
        """``marks`` as before a bid that was given up: what it claims was granted to nobody, and never will be."""
        for job, (nonces, before) in self._undo.items():
            mark = marks.get(job)
            if mark and not nonces.isdisjoint((mark.nonce, *(each.nonce for each in mark.attempts))):
                marks = {name: kept for name, kept in marks.items() if name != job} | ({job: before} if before else {})
        return marks

    def _advance(self, marks: dict[str, Mark], time: datetime) -> str:
        return advance(marks, self._open, self._done, self.known, time)

    def _refuse(self, fresh: Iterable[Claim], which: Callable[[Claim], bool]) -> None:
        """Refuse such of the claims that were never sent; any other may have been granted already."""
        for claim in fresh:
            if which(claim):
                claim.outcome = "refused"
        self._drop_settled()

    def _drop_settled(self) -> None:
        self._running -= {(claim.job, claim.nonce) for claim in self._open if claim.outcome == "refused"}
        self._open = [claim for claim in self._open if claim.outcome is None]


def _others(seen: Stored | None) -> int:
    """The room that others' annotations take."""
    annotations = ((seen.raw if seen else None) or {}).get("metadata", {}).get("annotations") or {}
    return sum(size(f"{name}{value}") for name, value in annotations.items() if name != LEDGER_ANNOTATION)
