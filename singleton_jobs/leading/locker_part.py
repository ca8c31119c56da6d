"""LockerPart: who uses a lock, from the attempt to the unlock; threads, tasks and guards come here alike."""

from __future__ import annotations

import _thread
import math
from collections.abc import Callable
from threading import Event as ThreadEvent
from threading import Lock
from typing import TYPE_CHECKING

from ..concurrency.forks import notice_fork
from ..config import Config, Seconds, seconds
from ..decisions.bids import SeldomBid
from ..decisions.ledger import Claim
from ..errors import AccessDenied, LeaseBusy, SingletonJobsError, StoreError
from ..renewal.entries import Use
from ..skipped import Reason, reason_of
from ..term import Term
from .blocks import Blocks, leave_term
from .participant import Participant

if TYPE_CHECKING:
    from ..renewal.candidacy import Candidacy
    from .core import Core

__all__ = ["Bidding", "LockerPart", "caller"]

Bidding = Callable[["Candidacy"], SeldomBid]

ATTEMPT_SLACK = 0.5  # seconds; a herd spreads, and requests may queue
RELEASE = 4  # requests that one release may take: again after a conflict
RETRIES = 8  # tries of unlock_with_retry in one retry period


class LockerPart(Participant):
    """One use at a time, by whichever thread or task came first; it competes only while somebody wants the lock."""

    role = "a locker"
    sticky = False
    attempt = 2  # requests that one takes: a read and a write

    def __init__(self, core: Core, name: str, config: Config | None) -> None:
        super().__init__(core, name, config)
        self._declare()
        self.blocks = Blocks()
        self._identity = ""  # what it is called outside of tasks
        self._use: Use | None = None  # the last
        self._ousted: set[object] = set()  # threads and tasks that lost the lock, and do not know yet
        self._unlocked_lost = ThreadEvent()  # `lost` while nobody has the lock
        core.add_locker(self)

    @property
    def term(self) -> Term | None:
        """The term of the lock that was taken and not yet unlocked, whether or not it lasts."""
        use = self._use
        return use.term if use is not None and use.locked() else None

    @property
    def in_use(self) -> bool:
        """Whether somebody is about to lock it, has locked it, or gives it back."""
        use, candidacy = self._use, self.candidacy
        return (use is not None and use.locked()) or (candidacy is not None and candidacy.candidate.releasing)

    @property
    def is_held(self) -> bool:
        """Whether the lock is taken and lasts."""
        term = self.term
        return term is not None and term.is_valid

    @property
    def lost(self) -> ThreadEvent:
        """Set when the hold ends without an unlock; a new one at each lock."""
        term = self.term
        return term.lost if term else self._unlocked_lost

    # Work under a lock, and locks for one call

    def enter(self, entry: object) -> Term | None:
        """Start a piece of work under the held lock; None if it is not held."""
        return self.candidacy.work.enter(entry) if self.candidacy and self.term else None

    def pretended(self) -> Term | Reason | None:
        """What a guard goes by in a fixed mode: a term for ever, or none; None in mode auto."""
        mode = self.core.mode
        if mode == "auto":
            return None
        return "mode" if mode == "never" else self.core.pretended(self.lease).work.enter(self) or "mode"

    async def free(self, entry: Lock, *, block: bool) -> None:
        """Unlock what `acquire` locked, if it came to that."""
        use = self._use
        if use is not None and use.entry is entry:
            await self.unlock_with_retry(use, None, block=block)

    async def acquire(
        self,
        entry: Lock,
        wait: float | None,
        task: str | None = None,
        bidding: Bidding | None = None,
        *,
        block: bool,
    ) -> Term | Reason:
        """The term of a lock taken for one call within ``wait`` seconds (None: no limit), or why there is none.

        It is held as long as ``entry`` is locked. ``task``: the id that the holder is to carry.
        ``bidding`` makes the bid that it is taken for: `claimed` tells what came of that.
        """
        notice_fork()
        if self.core.closed:
            return "draining"
        try:
            use = Use(entry, caller(block=block))
            use.bid = bidding and bidding(self._opened_now())
            if wait == 0:
                taken = await self.try_lock(use, task, block=block)
            else:
                taken = await self.lock(use, wait, task, block=block)
        except StoreError as error:
            return reason_of(error)
        if taken and use.term:
            return use.term
        if use.declined and not self.core.closed:
            return "too-soon"
        return "draining" if self.core.closed else "busy"

    def claimed(self, term: Term) -> Claim | None:
        """What was claimed by the write that began ``term``, if that is the one of the lock's use."""
        use = self._use
        return use.bid.claim if use is not None and use.term is term and use.bid else None

    # Locking

    def rejoin(self) -> None:
        """Take part again after the end of `running`. Raises SingletonJobsError on a closed replica."""
        if not self.core.rejoin():
            raise SingletonJobsError(f"the replica is closed: lease {self.lease!r} cannot be locked any more")

    async def lock(self, use: Use, timeout: Seconds | None, task: str | None = None, *, block: bool) -> bool:
        """Wait for the lease, up to ``timeout`` seconds (None: no limit), and take it for ``use``."""
        limit = math.inf if timeout is None else seconds("timeout", timeout, zero=True)
        candidacy = self._opened_now()
        use.patient = True
        known = self._use
        if known and known.caller == use.caller and self.is_held:
            raise SingletonJobsError(
                f"lease {self.lease!r} is held by this very locker and thread or task: it is not re-entrant"
            )
        until = candidacy.clock.now() + limit
        while not await candidacy.changed.wait(
            lambda: self._take(use, candidacy),
            min(until, candidacy.clock.now() + candidacy.config.retry_period),  # an interrupted use tells nobody
            block=block,
        ):
            if candidacy.clock.now() >= until:
                return False

        def decided() -> bool:
            over = candidacy.work.draining or candidacy.declined
            return candidacy.term is not None or over or isinstance(candidacy.error, AccessDenied)

        return await self._attempt(use, candidacy, decided, until, task, block=block)

    async def try_lock(self, use: Use, task: str | None = None, *, block: bool) -> bool:
        """Take the lease for ``use`` if it is free."""
        candidacy = self._opened_now()
        if not self._take(use, candidacy):
            return False
        until = self._one_attempt(candidacy)
        return await self._attempt(use, candidacy, lambda: candidacy.settled, until, task, block=block)

    async def unlock(self, only: Use | None, *, block: bool) -> bool | None:
        """Whether the lease was freed; None if there is nothing of ours (or of ``only``) to free."""
        notice_fork()
        candidacy, me = self.candidacy, caller(block=block)
        with self._mutex:
            use = self._use
            if only is None and me in self._ousted:
                self._ousted.discard(me)
                return None
            if candidacy is None or use is None or only not in (None, use):
                return None
            on, term = use.locked(), use.term
            if on and term is None:  # somebody else is about to lock it
                return None
            candidate = candidacy.candidate
            if not (on or candidate.may_be_stored) or (candidate.releasing and only is None and use.caller != me):
                return None
            use.ended = True  # that is the release: whatever becomes of this thread, the next step sees it
            if term and on:
                self._unlocked_lost = term.lost
        if not candidacy.work.draining:  # else that would release it already
            candidacy.work.exit(use)
        if on:
            candidacy.uses.end()
        elif not candidate.releasing:
            candidacy.uses.release(use)
        until = candidacy.clock.now() + RELEASE * candidacy.config.request_timeout
        candidacy.work.exit(use)  # a drain waits for that
        try:
            return await candidacy.uses.wait_released(until, block=block) and candidate.released
        finally:
            self._let_go(candidacy)
            self.blocks.unlocked(use)

    async def unlock_with_retry(self, only: Use | None, timeout: Seconds | None, *, block: bool) -> bool:
        """`unlock`, tried again for ``timeout`` seconds (None: as configured)."""
        notice_fork()
        candidacy = self.candidacy
        if candidacy is None:
            return False
        limit = candidacy.config.unlock_with_retry_period if timeout is None else seconds("timeout", timeout, zero=True)
        until = candidacy.clock.now() + limit
        while (freed := await self.unlock(only, block=block)) is False:
            now = candidacy.clock.now()
            if now >= until or not candidacy.candidate.may_be_stored:
                break
            pause = min(until, now + candidacy.config.retry_period / RETRIES)
            await candidacy.changed.wait(lambda: False, pause, block=block)
        return bool(freed)

    # ``with`` blocks

    async def enter_block(self, use: Use, timeout: Seconds | None, *, block: bool) -> Term:
        """Lock for a block. Raises LeaseBusy after ``timeout`` seconds (None: no limit)."""
        self.rejoin()
        if not await self.lock(use, timeout, block=block) or use.term is None:
            raise LeaseBusy(self.lease, self.holder, "draining" if self.core.closed else "busy")
        self.blocks.enter(use, use.term)
        return use.term

    async def exit_block(self, use: Use | None, *, block: bool) -> None:
        """Unlock what this very block locked: after a loss, another thread may hold the same locker."""
        if use is not None:
            leave_term(use)
            await self.unlock_with_retry(use, None, block=block)

    def drop(self, use: Use | None) -> None:
        """The use has ended, and its block, however their end was interrupted."""
        if use is not None:
            use.ended = True
            self.blocks.forget(use)

    # Inner parts

    def _declare(self) -> None:
        self.core.declare(self, self.config)

    def _one_attempt(self, candidacy: Candidacy) -> float:
        """When an attempt that begins now must have been answered."""
        return candidacy.clock.now() + self.attempt * candidacy.config.request_timeout + ATTEMPT_SLACK

    def after_fork(self) -> None:
        """The child holds nothing; a lock taken before stays known as lost."""
        super().after_fork()
        if self._use and self._use.term is None:
            self._use = None

    def _opened(self, candidacy: Candidacy) -> None:
        self._identity = candidacy.identity
        self.core.announce(candidacy)

    def _opened_now(self) -> Candidacy:
        with self._mutex:
            return self._open()

    def _take(self, use: Use, candidacy: Candidacy) -> bool:
        """Be the one use of this locker; neither before a release is through, nor stopped by a lock that was lost."""
        with self._mutex:
            before = self._use
            on = before is not None and before.locked()
            lost = before if before and on and before.term is not None and not before.term.is_valid else None
            if (on and lost is None) or candidacy.candidate.releasing:
                return False
            if lost is not None:
                self._ousted.add(lost.caller)
            self._use = use
            self.core.taken.add(self)
        if lost is not None:
            candidacy.work.exit(lost)
        return True

    def _let_go(self, candidacy: Candidacy) -> None:
        self.core.taken.discard(self)
        candidacy.changed.notify()

    async def _attempt(
        self,
        use: Use,
        candidacy: Candidacy,
        decided: Callable[[], bool],
        until: float,
        task: str | None,
        *,
        block: bool,
    ) -> bool:
        try:
            candidacy.rename(self.core.locker_identity(task) if task else self._identity)
            while True:
                if not candidacy.start(unless=lambda: self.core.closed, use=use, bid=use.bid):
                    return False
                taken = await candidacy.changed.wait(decided, until, block=block) and candidacy.term is not None
                # However short the limit is, one attempt is made; a settled one waits for nothing here.
                await candidacy.changed.wait(
                    lambda: candidacy.settled or candidacy.work.draining, self._one_attempt(candidacy), block=block
                )
                term = candidacy.work.enter(use)
                if term is not None:
                    self._ousted.discard(use.caller)
                    use.term = term
                    return True
                if not taken or candidacy.work.draining:  # else it was lost again before it was looked at
                    break
            use.declined = candidacy.declined
            if candidacy.error and not candidacy.work.draining:
                raise candidacy.error
            if not candidacy.settled and not candidacy.work.draining:
                raise StoreError(f"{candidacy.describe()}: the store did not answer in time")
            return False
        finally:
            if use.term is None:
                use.ended = True
                candidacy.uses.stop(use)
                self._let_go(candidacy)


def caller(*, block: bool) -> object:
    """The thread or task that calls."""
    if block:
        return _thread.get_ident()
    from asyncio import current_task

    return current_task()
