"""Leadership: a replica's continuous candidacy for a lease, sticky until it ends."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from ..concurrency.synchronization import run_blocking
from ..concurrency.threads import new_lock
from ..config import Config, Seconds, seconds
from ..errors import AccessDenied, LeadershipLost
from ..reruns import MAX_ATTEMPTS, Interrupted, InterruptedFire, attempts
from ..term import CURRENT_TERMS, Term
from .leader_part import LeaderPart

if TYPE_CHECKING:
    from datetime import datetime

    from ..decisions.ledger import Attempt, Claim
    from ..events import Event
    from ..renewal.candidacy import Candidacy
    from .core import Core

__all__ = ["Leadership"]

T = TypeVar("T")

OTHERS = 10.0  # seconds that the end of a main waits for other work under its lease


class Leadership:
    """Candidacy of one replica for one lease; made by `leadership`, `Replica.leadership` and the guards.

    Inert until `start`, a wait, or the first call of a guard.
    """

    def __init__(self, core: Core, lease: str, config: Config | None) -> None:
        self._part = LeaderPart(core, lease, config)
        self._repeating: dict[tuple[str, datetime], tuple[Claim, Term]] = {}  # granted to `claim`, and not `done`

    def __repr__(self) -> str:
        return f"<Leadership of {self.lease!r}{' (leading)' if self.is_leader else ''}>"

    @property
    def lease(self) -> str:
        """The lease's name as it is stored."""
        return self._part.lease

    def start(self) -> None:
        """Compete for the lease from now on. Raises ConfigError if there is no store to compete in."""
        self._part.prepare()
        self._part.begin()

    @property
    def is_leader(self) -> bool:
        """Whether the lease is held here at this instant; computed from the clock, without a lock or I/O."""
        return self.term is not None

    @property
    def term(self) -> Term | None:
        """The term that is valid at this instant, or None."""
        return self._part.term

    @property
    def holder(self) -> str | None:
        """Who was last seen to hold the lease; None if nobody was."""
        return self._part.holder

    def wait(self, timeout: Seconds | None = None) -> bool:
        """Compete, and wait until the lease is held here; False after ``timeout`` seconds (None: no limit).

        Raises AccessDenied at once if the store refuses, StoreError at the limit if it does not answer.
        """
        return run_blocking(self._wait(timeout, block=True))

    async def wait_async(self, timeout: Seconds | None = None) -> bool:
        """`wait` for coroutines."""
        return await self._wait(timeout, block=False)

    def subscribe(self, callback: Callable[[Event], object]) -> Callable[[], None]:
        """Call ``callback(event)`` for each event of this lease, in order, on the thread that hooks are called on.

        The result takes it back.
        """
        callbacks = self._part.callbacks
        callbacks.append(callback)

        def unsubscribe() -> None:
            if callback in callbacks:
                callbacks.remove(callback)

        return unsubscribe

    def claim(
        self, job: str, fire_time: datetime, *, interrupted: Interrupted = "skip", max_attempts: int = MAX_ATTEMPTS
    ) -> bool:
        """Claim the run of ``job`` for its nominal time ``fire_time`` (aware): nobody else will be granted it.

        True: granted, to the term that is valid now. False: refused (it, or a later one, was claimed before, or it lies
        more than 60 s ahead of the store's time), or not leading. Raises LeadershipLost if the term ends undecided.

        ``interrupted="rerun"``: the ledger keeps it until you say that it is `done`. If this process dies before, or
        leads no more, the next leader finds it in `interrupted` and is granted it again, ``max_attempts`` times in all.
        """
        most = attempts(interrupted, max_attempts)
        return run_blocking(self._claim(job, fire_time, most, block=True))

    async def claim_async(
        self, job: str, fire_time: datetime, *, interrupted: Interrupted = "skip", max_attempts: int = MAX_ATTEMPTS
    ) -> bool:
        """`claim` for coroutines."""
        most = attempts(interrupted, max_attempts)
        return await self._claim(job, fire_time, most, block=False)

    def done(self, job: str, fire_time: datetime) -> None:
        """The run that was claimed with ``interrupted="rerun"`` has ended, well or not; of others nothing is kept."""
        from ..decisions.ledger import app_key, instant

        claimed = self._repeating.pop((app_key(job), instant(fire_time)), None)
        if claimed and self._part.candidacy:
            self._part.candidacy.fires.done(claimed[0].job, claimed[0].nonce)

    def interrupted(self, job: str, max_attempts: int = MAX_ATTEMPTS) -> list[InterruptedFire]:
        """Fires of ``job`` to be claimed again, and run before any later one; oldest first, none unless leading.

        They were claimed with ``interrupted="rerun"`` and are not done, though the term that claimed them is over: also
        those of this process. Those that have had ``max_attempts`` are told as
        `singleton_jobs.events.FireInterrupted`, and given up.
        """
        from ..decisions.ledger import app_key

        key, most = app_key(job), attempts("rerun", max_attempts)
        if self._part.candidacy is None or not self.is_leader:
            return []
        cut = self._cut(self._part.candidacy, key, most)
        return sorted(InterruptedFire(attempt.fire, attempt.number) for attempt in cut)

    def last_fire(self, job: str) -> datetime | None:
        """The last claimed fire of ``job`` (UTC), as far as it was seen here; None if there is none. Asks nobody."""
        from ..decisions.ledger import app_key

        candidacy = self._part.candidacy
        mark = candidacy.fires.mark(app_key(job)) if candidacy else None
        return mark.fire if mark else None

    def step_down(self, drain: Seconds = 10) -> None:
        """Let another replica lead: finish the running work (up to ``drain`` seconds), release, and compete again
        after two retry periods. Called by that work itself, or on a running event loop, it returns at once and happens
        when the work has ended.
        """
        candidacy = self._part.candidacy
        if candidacy and candidacy.started:
            rest = candidacy.step_down_rest
            run_blocking(self._part.leave(seconds("drain", drain, zero=True), rest, again=True, block=True))

    def close(self, drain: Seconds = 10) -> None:
        """Compete no longer: finish the running work (up to ``drain`` seconds) and release; guards skip from now on."""
        candidacy = self._part.candidacy
        if candidacy and candidacy.started:
            run_blocking(self._part.leave(seconds("drain", drain, zero=True), 0, again=False, block=True))

    async def run(self, main: Callable[[Term], Awaitable[T]]) -> T | None:
        """Await ``main(term)`` while this replica leads: cancelled on loss, called again on regain.

        When ``main`` returns, the lease is released and its value returned; when it raises, the lease is released
        and the exception goes on. None if the leadership was closed meanwhile.
        """
        from .cancellation import Cancellation

        with self._mains() as (candidacy, entry):
            while candidacy and (term := await self._next_term(candidacy, entry, block=False)):
                cancellation = Cancellation(term)
                try:
                    with cancellation, self._main(candidacy, term, entry, cancellation.cancel):
                        result = await main(term)
                except BaseException as error:
                    term._exit(entry)  # it may not have come to its main
                    if isinstance(error, LeadershipLost) and (cancellation.called or not term.is_valid):
                        continue
                    await self._part.leave(OTHERS, 0, again=False, block=False)
                    raise
                await self._part.leave(OTHERS, 0, again=False, block=False)
                return result
        return None

    def run_sync(self, main: Callable[[Term], T]) -> T | None:
        """Call ``main(term)`` while this replica leads, and again on regain.

        A thread cannot be cancelled: ``main`` watches ``term.lost`` (also set when the replica closes) or calls
        ``term.check()``, and returns when the term is lost. Otherwise as `run`.
        """
        with self._mains() as (candidacy, entry):
            while candidacy and (term := run_blocking(self._next_term(candidacy, entry, block=True))):
                try:
                    with self._main(candidacy, term, entry, term.lost.set):
                        result = main(term)
                except BaseException as error:
                    term._exit(entry)
                    if isinstance(error, LeadershipLost) and term.lost.is_set():
                        continue
                    run_blocking(self._part.leave(OTHERS, 0, again=False, block=True))
                    raise
                if not term.lost.is_set():
                    run_blocking(self._part.leave(OTHERS, 0, again=False, block=True))
                    return result
        return None

    # Inner parts

    async def _claim(self, job: str, fire_time: datetime, most: int, *, block: bool) -> bool:
        from ..decisions.ledger import Claim, app_key, instant

        key, fire = app_key(job), instant(fire_time)
        candidacy, term = self._part.candidacy, self.term
        if candidacy is None or term is None or (candidacy.work.draining and term not in CURRENT_TERMS.get()):
            return False
        cut = self._cut(candidacy, key, most)
        after = next((attempt for attempt in cut if attempt.fire == fire), None)
        claim = Claim(key, fire, self._part.core.nonce(), repeats=most > 1, after=after)
        granted = await candidacy.fires.claim(term, claim, block=block)
        if granted and claim.repeats:
            self._repeating[key, fire] = claim, term
        return granted

    def _cut(self, candidacy: Candidacy, key: str, most: int) -> list[Attempt]:
        """What is to be claimed again. A claim of ours belongs to its term, and may still be told to be `done`."""
        for (job, _), (claim, term) in tuple(self._repeating.items()):
            if job == key and not term.is_valid:
                candidacy.fires.interrupted(claim)
        return candidacy.fires.cut_of(key, most)

    async def _wait(self, timeout: Seconds | None, *, block: bool) -> bool:
        limit = math.inf if timeout is None else seconds("timeout", timeout, zero=True)
        self._part.prepare()
        candidacy = self._part.begin()
        if self._part.core.mode == "never":
            return False

        def decided() -> bool:
            leads = self.is_leader and not candidacy.work.draining
            return leads or candidacy.work.ending or isinstance(candidacy.error, AccessDenied)

        await candidacy.changed.wait(decided, candidacy.clock.now() + limit, block=block)
        if not self.is_leader and candidacy.error:
            raise candidacy.error
        return self.is_leader

    @contextmanager
    def _mains(self) -> Iterator[tuple[Candidacy | None, Lock]]:
        """Round the runs of a main: an end that was interrupted, or its beginning, is made up for by the next step."""
        part, entry, outer = self._part, new_lock(), CURRENT_TERMS.get()
        if not part.core.rejoin() or part.core.mode == "never":
            yield None, entry
            return
        with entry:
            try:
                yield part.begin(entry), entry
            finally:
                CURRENT_TERMS.set(outer)  # as the end of a main may have been interrupted before it did
                if part.candidacy and part.candidacy.work.ending:
                    part.candidacy.work.mains.discard(entry)

    async def _next_term(self, candidacy: Candidacy, entry: Lock, *, block: bool) -> Term | None:
        """The next term to run a main under, entered; None once the candidacy is ended."""
        while not candidacy.work.ending:
            await candidacy.changed.wait(lambda: candidacy.work.admits or candidacy.work.ending, math.inf, block=block)
            if term := candidacy.work.enter(entry):
                return term
        return None

    @contextmanager
    def _main(self, candidacy: Candidacy, term: Term, entry: Lock, stop: Callable[[], object]) -> Iterator[None]:
        outer = CURRENT_TERMS.get()
        try:
            CURRENT_TERMS.set((*outer, term))
            candidacy.work.stops.append(stop)
            if candidacy.work.draining:  # since the term was entered
                stop()
            yield
        finally:
            CURRENT_TERMS.set(outer)
            term._exit(entry)
            with suppress(ValueError):  # it was interrupted before
                candidacy.work.stops.remove(stop)
