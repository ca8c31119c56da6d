"""Leadership: a replica's continuous candidacy for a lease, sticky until it ends."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from ..concurrency.forks import notice_fork
from ..concurrency.synchronization import on_event_loop, run_blocking
from ..concurrency.threads import new_lock
from ..config import Config, Seconds, seconds
from ..default import default_replica
from ..errors import AccessDenied, LeadershipLost, SingletonJobsError
from ..replica import Replica
from ..skipped import Reason
from ..term import CURRENT_TERMS, Term

if TYPE_CHECKING:
    from datetime import datetime

    from ..events import Event
    from ..renewal.candidacy import Candidacy

__all__ = ["Leadership", "leadership"]

T = TypeVar("T")

OTHERS = 10.0  # seconds that the end of a main waits for other work under its lease


class Leadership:
    """Candidacy of one replica for one lease; made by `leadership`, `Replica.leadership` and the guards.

    Inert until `start`, a wait, or the first call of a guard.
    """

    def __init__(self, replica: Replica, lease: str, config: Config | None) -> None:
        self.replica = replica
        self.name = lease
        self.candidacy: Candidacy | None = None
        self.callbacks: list[Callable[[Event], object]] = []
        self.jobs: set[str] = set()
        self.config = config
        self._mutex = new_lock()

    def __repr__(self) -> str:
        return f"<Leadership of {self.lease!r}{' (leading)' if self.is_leader else ''}>"

    @property
    def lease(self) -> str:
        """The lease's name as it is stored."""
        return self.replica.full_name(self.name)

    def start(self) -> None:
        """Compete for the lease from now on. Raises ConfigError if there is no store to compete in."""
        self.prepare()
        self._begin()

    @property
    def is_leader(self) -> bool:
        """Whether the lease is held here at this instant; computed from the clock, without a lock or I/O."""
        return self.term is not None

    @property
    def term(self) -> Term | None:
        """The term that is valid at this instant, or None."""
        candidacy = self.candidacy
        term = candidacy.term if candidacy else None
        return term if term is not None and term.is_valid else None

    @property
    def holder(self) -> str | None:
        """Who was last seen to hold the lease; None if nobody was."""
        return self.candidacy.holder if self.candidacy else None

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
        self.callbacks.append(callback)

        def unsubscribe() -> None:
            if callback in self.callbacks:
                self.callbacks.remove(callback)

        return unsubscribe

    def claim(self, job: str, fire_time: datetime) -> bool:
        """Claim the run of ``job`` for its nominal time ``fire_time`` (aware): nobody else will be granted it.

        True: granted, to the term that is valid now. False: refused (it, or a later one, was claimed before, or it lies
        more than 60 s ahead of the store's time), or not leading. Raises LeadershipLost if the term ends undecided.
        """
        return run_blocking(self._claim(job, fire_time, block=True))

    async def claim_async(self, job: str, fire_time: datetime) -> bool:
        """`claim` for coroutines."""
        return await self._claim(job, fire_time, block=False)

    def last_fire(self, job: str) -> datetime | None:
        """The last claimed fire of ``job`` (UTC), as far as it was seen here; None if there is none. Asks nobody."""
        from ..decisions.ledger import app_key

        mark = self.candidacy.mark(app_key(job)) if self.candidacy else None
        return mark.fire if mark else None

    def step_down(self, drain: Seconds = 10) -> None:
        """Let another replica lead: finish the running work (up to ``drain`` seconds), release, and compete again
        after two retry periods. Called by that work itself, or on a running event loop, it returns at once and happens
        when the work has ended.
        """
        if self.candidacy and self.candidacy.started:
            rest = self.candidacy.step_down_rest
            run_blocking(self._leave(seconds("drain", drain, zero=True), rest, again=True, block=True))

    def close(self, drain: Seconds = 10) -> None:
        """Compete no longer: finish the running work (up to ``drain`` seconds) and release; guards skip from now on."""
        if self.candidacy and self.candidacy.started:
            run_blocking(self._leave(seconds("drain", drain, zero=True), 0, again=False, block=True))

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
                    await self._leave(OTHERS, 0, again=False, block=False)
                    raise
                await self._leave(OTHERS, 0, again=False, block=False)
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
                    run_blocking(self._leave(OTHERS, 0, again=False, block=True))
                    raise
                if not term.lost.is_set():
                    run_blocking(self._leave(OTHERS, 0, again=False, block=True))
                    return result
        return None

    # What guards, schedulers and the replica use

    def prepare(self) -> Candidacy:
        """Find the store without asking it anything. Raises ConfigError if there is none."""
        if not self.replica.rejoin():
            raise SingletonJobsError(f"the replica is closed: it cannot compete for lease {self.lease!r} any more")
        with self._mutex:
            return self._open()

    async def admit(self, entry: object, *, block: bool, wait: bool = True) -> Term | Reason:
        """The term to run under now, entered; or why not.

        The first call may ``wait`` for the first answer: one request timeout, in seconds, at most.
        """
        notice_fork()
        if self.replica.mode == "never":
            return "mode"
        candidacy = self.candidacy
        if self.replica.closed or (candidacy and candidacy.draining):
            return "draining"
        if candidacy is None or not candidacy.started:
            candidacy = self._begin()
        first_answer_due = candidacy.answered_by
        if wait and first_answer_due is not None and not candidacy.settled:
            await candidacy.changed.wait(lambda: candidacy.settled, first_answer_due, block=block)
        return candidacy.enter(entry) or self.reason()

    def reason(self) -> Reason:
        """Why guarded work does not run here now."""
        candidacy = self.candidacy
        if self.replica.closed:
            return "draining"
        if candidacy is None or not candidacy.settled:
            return "not-ready"
        if candidacy.draining:
            return "draining"
        if candidacy.error is None:
            return "not-leader"
        return "access-denied" if isinstance(candidacy.error, AccessDenied) else "store-unreachable"

    def begin_close(self) -> None:
        """Refuse new work, and leave once what runs has ended."""
        if self.candidacy:
            self.candidacy.drain(again=False, release=self.candidacy.config.release_on_cancel)

    def after_fork(self) -> None:
        """Forget what belongs to the parent process."""
        self.candidacy = None
        self._mutex = new_lock()

    # Inner parts

    def _begin(self, main: Lock | None = None) -> Candidacy:
        with self._mutex:
            candidacy = self._open()
            if main:
                candidacy.mains.add(main)
            if candidacy.started and not self.replica.closed:
                candidacy.stay()
            if candidacy.started or self.replica.mode == "never":
                return candidacy
            if self.replica.mode == "always":
                candidacy.pretend()
            else:
                self.replica.announce(candidacy)
                candidacy.start(unless=lambda: self.replica.closed)
            return candidacy

    def _open(self) -> Candidacy:
        if self.candidacy is None:
            self.candidacy = self.replica.open(self.name, "a leadership", self.config, self, sticky=True)
        return self.candidacy

    async def _claim(self, job: str, fire_time: datetime, *, block: bool) -> bool:
        from ..decisions.ledger import Claim, app_key, instant

        key, fire = app_key(job), instant(fire_time)
        candidacy, term = self.candidacy, self.term
        if candidacy is None or term is None or (candidacy.draining and term not in CURRENT_TERMS.get()):
            return False
        return await candidacy.claim(term, Claim(key, fire, self.replica.nonce()), block=block)

    async def _wait(self, timeout: Seconds | None, *, block: bool) -> bool:
        limit = math.inf if timeout is None else seconds("timeout", timeout, zero=True)
        self.prepare()
        candidacy = self._begin()
        if self.replica.mode == "never":
            return False

        def decided() -> bool:
            leads = self.is_leader and not candidacy.draining
            return leads or candidacy.ending or isinstance(candidacy.error, AccessDenied)

        await candidacy.changed.wait(decided, candidacy.clock.now() + limit, block=block)
        if not self.is_leader and candidacy.error:
            raise candidacy.error
        return self.is_leader

    @contextmanager
    def _mains(self) -> Iterator[tuple[Candidacy | None, Lock]]:
        """Round the runs of a main: an end that was interrupted, or its beginning, is made up for by the next step."""
        entry = new_lock()
        if not self.replica.rejoin() or self.replica.mode == "never":
            yield None, entry
            return
        with entry:
            try:
                yield self._begin(entry), entry
            finally:
                if self.candidacy and self.candidacy.ending:
                    self.candidacy.mains.discard(entry)

    async def _next_term(self, candidacy: Candidacy, entry: Lock, *, block: bool) -> Term | None:
        """The next term to run a main under, entered; None once the candidacy is ended."""
        while not candidacy.ending:
            await candidacy.changed.wait(lambda: candidacy.admits or candidacy.ending, math.inf, block=block)
            if term := candidacy.enter(entry):
                return term
        return None

    @contextmanager
    def _main(self, candidacy: Candidacy, term: Term, entry: Lock, stop: Callable[[], object]) -> Iterator[None]:
        outer = CURRENT_TERMS.get()
        try:
            CURRENT_TERMS.set((*outer, term))
            candidacy.stops.append(stop)
            if candidacy.draining:  # since the term was entered
                stop()
            yield
        finally:
            CURRENT_TERMS.set(outer)
            term._exit(entry)
            with suppress(ValueError):  # it was interrupted before
                candidacy.stops.remove(stop)

    async def _leave(self, drain: float, rest: float, *, again: bool, block: bool) -> None:
        notice_fork()
        candidacy = self.candidacy
        if candidacy is None or not candidacy.started:
            return
        candidacy.drain(again=again, rest=rest, release=again or candidacy.config.release_on_cancel)
        if candidacy.last_term in CURRENT_TERMS.get() or (block and on_event_loop()):
            return  # called by the work itself, or on its loop: it happens when that has ended
        now = candidacy.clock.now
        if not await candidacy.wait_idle(now() + drain, block=block):
            candidacy.cut_drain()
        await candidacy.wait_left(now() + candidacy.config.renew_deadline, block=block)


def leadership(lease: str, config: Config | None = None) -> Leadership:
    """The default replica's candidacy for ``lease``; inert until started. Same lease, same object."""
    return default_replica().leadership(lease, config)
