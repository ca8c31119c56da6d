"""LeaseLocker: a lock on a lease, renewed while it is held."""

from __future__ import annotations

import _thread
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import Event as ThreadEvent
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..concurrency.forks import notice_fork
from ..concurrency.synchronization import run_blocking
from ..concurrency.threads import new_lock
from ..config import Config, Seconds, seconds
from ..default import default_replica
from ..errors import AccessDenied, ConfigError, LeaseBusy, LeaseExpired, SingletonJobsError, StoreError
from ..renewal.entries import Use
from ..replica import Replica
from ..skipped import Reason
from ..term import CURRENT_TERMS, Term

if TYPE_CHECKING:
    from types import TracebackType

    from ..events import Event
    from ..guards.decorators import Decorator
    from ..renewal.candidacy import Candidacy
    from .cancellation import Cancellation

__all__ = ["LeaseLocker"]

ATTEMPT = 2  # requests that one attempt takes: a read and a write
ATTEMPT_SLACK = 0.5  # seconds; a herd spreads, and requests may queue
RELEASE = 4  # requests that one release may take: again after a conflict
RETRIES = 8  # tries of unlock_with_retry in one retry period


class LeaseLocker:
    """A lock on ``lease``, shared by whoever uses the same store, namespace and lease name.

    Each locker has an identity of its own and is not re-entrant: two lockers of one process exclude each other, and
    so do two threads or tasks that share one locker. ``replica`` is where it belongs; else the default replica, or
    one made for ``store``, ``namespace`` and ``identity``. Nothing is sent before the first lock.

    As a context manager it holds the lease as `hold` does, without a limit; ``async with`` as `ahold` does: the loss of
    the lease cancels the block, which then raises LeadershipLost.

    Raises ConfigError for a name or combination that cannot work.
    """

    def __init__(
        self,
        lease: str,
        *,
        namespace: str | None = None,
        identity: str | None = None,
        store: str | Any | None = None,
        config: Config | None = None,
        replica: Replica | None = None,
    ) -> None:
        own = store is not None or namespace is not None or identity is not None
        if own and replica is not None:
            raise ConfigError("a LeaseLocker takes either a replica, or store, namespace and identity")
        self.replica = Replica(store, namespace, identity) if own else replica or default_replica()
        self.name = lease
        self.candidacy: Candidacy | None = None
        self.callbacks: list[Callable[[Event], object]] = []
        self.jobs: set[str] = set()
        self._config = config
        self._identity = ""  # what it is called outside of tasks
        self._use: Use | None = None  # the last
        self._ousted: set[object] = set()  # threads and tasks that lost the lock, and do not know yet
        self._unlocked_lost = ThreadEvent()
        self._blocks: dict[Term, Use] = {}
        self._cancellations: dict[Use | None, Cancellation] = {}  # of the blocks that coroutines are in
        self._mutex = new_lock()
        self.replica.add_locker(self, lease, config)

    def __repr__(self) -> str:
        return f"<LeaseLocker of {self.lease!r}{' (held)' if self.is_held else ''}>"

    @property
    def lease(self) -> str:
        """The lease's name as it is stored."""
        return self.replica.full_name(self.name)

    @property
    def is_held(self) -> bool:
        """Whether this locker holds the lease at this instant; computed from the clock, without a lock or I/O."""
        return self.term is not None

    @property
    def term(self) -> Term | None:
        """The term that is valid at this instant, or None."""
        term = self._term
        return term if term is not None and term.is_valid else None

    @property
    def lost(self) -> ThreadEvent:
        """Set when the hold ends without an unlock; a new one at each lock. A hint: `check` is the truth."""
        return self._term.lost if self._term else self._unlocked_lost

    def check(self, max_tolerable_expired_lease: Seconds = 0) -> None:
        """Raise LeaseExpired if the lock was taken and, without unlock, its hold ended more seconds ago than that."""
        tolerated = seconds("max_tolerable_expired_lease", max_tolerable_expired_lease, zero=True)
        term = self._term
        if term is None or term.is_valid:
            return
        ago = term.ended_ago
        if ago > tolerated:
            raise LeaseExpired(self.lease, f"{term.ending}, {ago:.1f} s ago" if math.isfinite(ago) else term.ending)

    def lock(self, timeout: Seconds | None = None) -> bool:
        """Wait for the lease and take it; False after ``timeout`` seconds (None: no limit), but not before one attempt.

        Raises AccessDenied at once if the store refuses, StoreError at the limit if it does not answer.
        """
        return self._keep(lambda use: self._lock(use, timeout, block=True))

    def try_lock(self) -> bool:
        """Take the lease if it is free: one attempt, which never waits a lease out. Raises StoreError, AccessDenied."""
        return self._keep(lambda use: self._try_lock(use, block=True))

    def unlock(self) -> bool:
        """End the hold and free the lease, in one try; whether this freed it. After False it runs out by itself."""
        return bool(run_blocking(self._unlock(None, block=True)))

    def unlock_with_retry(self, timeout: Seconds | None = None) -> bool:
        """`unlock`, tried again for ``timeout`` seconds (``Config.unlock_with_retry_period``); whether it freed it."""
        return run_blocking(self._unlock_with_retry(None, timeout, block=True))

    async def alock(self, timeout: Seconds | None = None) -> bool:
        """`lock` for coroutines."""
        return await self._akeep(lambda use: self._lock(use, timeout, block=False))

    async def atry_lock(self) -> bool:
        """`try_lock` for coroutines."""
        return await self._akeep(lambda use: self._try_lock(use, block=False))

    async def aunlock(self) -> bool:
        """`unlock` for coroutines."""
        return bool(await self._unlock(None, block=False))

    async def aunlock_with_retry(self, timeout: Seconds | None = None) -> bool:
        """`unlock_with_retry` for coroutines."""
        return await self._unlock_with_retry(None, timeout, block=False)

    @contextmanager
    def hold(self, timeout: Seconds | None = None) -> Iterator[Term]:
        """Hold the lease inside a ``with`` block, which gets the term; LeaseBusy after ``timeout`` seconds."""
        use = Use(new_lock(), _caller(block=True))
        try:
            with use.entry:
                try:
                    term = run_blocking(self._enter_block(use, timeout, block=True))
                    yield term
                finally:
                    run_blocking(self._exit_block(use, block=True))
        finally:
            self._drop(use)

    @asynccontextmanager
    async def ahold(self, timeout: Seconds | None = None) -> AsyncIterator[Term]:
        """`hold` for coroutines; the loss of the lease cancels the block, which then raises LeadershipLost."""
        from .cancellation import Cancellation

        use = Use(new_lock(), _caller(block=False))
        try:
            with use.entry:
                try:
                    term = await self._enter_block(use, timeout, block=False)
                    with Cancellation(term):
                        yield term
                finally:
                    await self._exit_block(use, block=False)
        finally:
            self._drop(use)

    def __enter__(self) -> Term:
        use = _kept_use(block=True)
        try:
            return run_blocking(self._enter_block(use, None, block=True))
        except BaseException:
            self._drop(use)
            raise

    def __exit__(self, *_: object) -> None:
        use = self._block()
        try:
            run_blocking(self._exit_block(use, block=True))
        finally:
            self._drop(use)

    async def __aenter__(self) -> Term:
        from .cancellation import Cancellation

        use = _kept_use(block=False)
        try:
            term = await self._enter_block(use, None, block=False)
            self._cancellations[use] = Cancellation(term).__enter__()
            return term  # noqa: TRY300 (inside: an entry that was interrupted here has failed, too)
        except BaseException:
            self._drop(use)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        use = self._block()
        try:
            try:
                if use in self._cancellations:
                    self._cancellations[use].__exit__(kind, error, traceback)
            finally:
                await self._exit_block(use, block=False)
        finally:
            self._drop(use)

    @property
    def leader_only(self) -> Decorator:
        """Decorator: the function runs only while this locker holds its lease, and otherwise returns `Skipped`."""
        from ..guards.decorators import held_only

        return held_only(self)

    # What guards and the replica use

    def enter(self, entry: object) -> Term | None:
        """Start a piece of work under the held lock; None if it is not held."""
        return self.candidacy.enter(entry) if self.candidacy and self._term else None

    def pretended(self) -> Term | Reason | None:
        """What a guard goes by in a fixed mode: a term for ever, or none; None in mode auto."""
        mode = self.replica.mode
        if mode == "auto":
            return None
        return "mode" if mode == "never" else self.replica.pretended(self.name).enter(self) or "mode"

    async def free(self, entry: Lock, *, block: bool) -> None:
        """Unlock what `acquire` locked, if it came to that."""
        use = self._use
        if use is not None and use.entry is entry:
            await self._unlock_with_retry(use, None, block=block)

    async def acquire(self, entry: Lock, wait: float | None, task: str | None = None, *, block: bool) -> Term | Reason:
        """The term of a lock taken for one call within ``wait`` seconds (None: no limit), or why there is none.

        It is held as long as ``entry`` is locked. ``task``: the id that the holder is to carry.
        """
        notice_fork()
        if self.replica.closed:
            return "draining"
        try:
            use = Use(entry, _caller(block=block))
            if wait == 0:
                taken = await self._try_lock(use, task, block=block)
            else:
                taken = await self._lock(use, wait, task, block=block)
        except AccessDenied:
            return "access-denied"
        except StoreError:
            return "store-unreachable"
        if taken and use.term:
            return use.term
        return "draining" if self.replica.closed else "busy"

    @property
    def timing(self) -> Config:
        """The lease's timing."""
        return self._config or self.replica.default_config()

    def begin_close(self) -> None:
        """Refuse new locks; a held one counts as work until it is unlocked."""
        if self.candidacy:
            self.candidacy.drain(again=False, release=self.candidacy.config.release_on_cancel)

    def after_fork(self) -> None:
        """The child holds nothing; a lock taken before stays known as lost."""
        self.candidacy = None
        if self._use and self._use.term is None:
            self._use = None
        self._mutex = new_lock()

    # Inner parts

    @property
    def _term(self) -> Term | None:
        """The term of the lock that was taken and not yet unlocked, whether or not it lasts."""
        use = self._use
        return use.term if use is not None and use.locked() else None

    def _keep(self, attempt: Callable[[Use], Coroutine[Any, Any, bool]]) -> bool:
        """Take the lease by ``attempt``, until somebody unlocks it; not if the caller never learns of it."""
        self._rejoin()
        use = _kept_use(block=True)
        try:
            return run_blocking(attempt(use))
        except BaseException:
            use.ended = True
            raise

    async def _akeep(self, attempt: Callable[[Use], Coroutine[Any, Any, bool]]) -> bool:
        self._rejoin()
        use = _kept_use(block=False)
        try:
            return await attempt(use)
        except BaseException:
            use.ended = True
            raise

    async def _enter_block(self, use: Use, timeout: Seconds | None, *, block: bool) -> Term:
        self._rejoin()
        if not await self._lock(use, timeout, block=block) or use.term is None:
            holder = self.candidacy.holder if self.candidacy else None
            raise LeaseBusy(self.lease, holder, "draining" if self.replica.closed else "busy")
        CURRENT_TERMS.set((*CURRENT_TERMS.get(), use.term))
        self._blocks[use.term] = use
        return use.term

    async def _exit_block(self, use: Use | None, *, block: bool) -> None:
        """Unlock what this very block locked: after a loss, another thread may hold the same locker."""
        if use is not None:
            _forget(use)
            await self._unlock_with_retry(use, None, block=block)

    def _drop(self, use: Use | None) -> None:
        """However the end of a block was interrupted, it has ended."""
        if use is not None:
            use.ended = True
            self._blocks.pop(use.term, None)  # type: ignore[arg-type]
            self._cancellations.pop(use, None)
            _forget(use)

    def _block(self) -> Use | None:
        """The ``with`` block that ends here; a block may end on another thread than it began on."""
        here = [term for term in CURRENT_TERMS.get() if term in self._blocks]
        last = here[-1] if here else self._term if self._term in self._blocks else next(iter(self._blocks), None)
        return self._blocks[last] if last else None

    def _rejoin(self) -> None:
        if not self.replica.rejoin():
            raise SingletonJobsError(f"the replica is closed: lease {self.lease!r} cannot be locked any more")

    def _open(self) -> Candidacy:
        with self._mutex:
            if self.candidacy is None:
                candidacy = self.replica.open(self.name, "a locker", self._config, self, sticky=False)
                self._identity = candidacy.identity
                self.replica.announce(candidacy)
                self.candidacy = candidacy
            return self.candidacy

    def _take(self, use: Use, candidacy: Candidacy) -> bool:
        """Be the one use of this locker; neither before a release is through, nor stopped by a lock that was lost."""
        with self._mutex:
            before = self._use
            on = before is not None and before.locked()
            lost = before if before and on and before.term is not None and not before.term.is_valid else None
            if (on and lost is None) or candidacy.releasing:
                return False
            if lost is not None:
                self._ousted.add(lost.caller)
            self._use = use
            self.replica.taken.add(self)
        if lost is not None:
            candidacy.exit(lost)
        return True

    def _let_go(self, candidacy: Candidacy) -> None:
        self.replica.taken.discard(self)
        candidacy.changed.notify()

    async def _lock(self, use: Use, timeout: Seconds | None, task: str | None = None, *, block: bool) -> bool:
        limit = math.inf if timeout is None else seconds("timeout", timeout, zero=True)
        candidacy = self._open()
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
            return candidacy.term is not None or candidacy.draining or isinstance(candidacy.error, AccessDenied)

        return await self._attempt(use, candidacy, decided, until, task, block=block)

    async def _try_lock(self, use: Use, task: str | None = None, *, block: bool) -> bool:
        candidacy = self._open()
        if not self._take(use, candidacy):
            return False
        until = _one_attempt(candidacy)
        return await self._attempt(use, candidacy, lambda: candidacy.settled, until, task, block=block)

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
            candidacy.rename(self.replica.locker_identity(task) if task else self._identity)
            while True:
                if not candidacy.start(unless=lambda: self.replica.closed, use=use):
                    return False
                taken = await candidacy.changed.wait(decided, until, block=block) and candidacy.term is not None
                # However short the limit is, one attempt is made; a settled one waits for nothing here.
                await candidacy.changed.wait(
                    lambda: candidacy.settled or candidacy.draining, _one_attempt(candidacy), block=block
                )
                term = candidacy.enter(use)
                if term is not None:
                    self._ousted.discard(use.caller)
                    use.term = term
                    return True
                if not taken or candidacy.draining:  # else it was lost again before it was looked at
                    break
            if candidacy.error and not candidacy.draining:
                raise candidacy.error
            if not candidacy.settled and not candidacy.draining:
                raise StoreError(f"{candidacy.describe()}: the store did not answer in time")
            return False
        finally:
            if use.term is None:
                use.ended = True
                candidacy.stop(use)
                self._let_go(candidacy)

    async def _unlock(self, only: Use | None, *, block: bool) -> bool | None:
        """Whether the lease was freed; None if there is nothing of ours (or of ``only``) to free."""
        notice_fork()
        candidacy, caller = self.candidacy, _caller(block=block)
        with self._mutex:
            use = self._use
            if only is None and caller in self._ousted:
                self._ousted.discard(caller)
                return None
            if candidacy is None or use is None or only not in (None, use):
                return None
            on, term = use.locked(), use.term
            if on and term is None:  # somebody else is about to lock it
                return None
            if not (on or candidacy.unsettled) or (candidacy.releasing and only is None and use.caller != caller):
                return None
            use.ended = True  # that is the release: whatever becomes of this thread, the next step sees it
            if term and on:
                self._unlocked_lost = term.lost
        if on:
            candidacy.end_use()
        elif not candidacy.releasing:
            candidacy.release(use)
        until = candidacy.clock.now() + RELEASE * candidacy.config.request_timeout
        candidacy.exit(use)  # a drain waits for that
        try:
            return await candidacy.wait_released(until, block=block) and candidacy.released
        finally:
            self._let_go(candidacy)
            self._drop(use)

    async def _unlock_with_retry(self, only: Use | None, timeout: Seconds | None, *, block: bool) -> bool:
        notice_fork()
        candidacy = self.candidacy
        if candidacy is None:
            return False
        limit = candidacy.config.unlock_with_retry_period if timeout is None else seconds("timeout", timeout, zero=True)
        until = candidacy.clock.now() + limit
        while (freed := await self._unlock(only, block=block)) is False:
            now = candidacy.clock.now()
            if now >= until or not candidacy.unsettled:
                break
            pause = min(until, now + candidacy.config.retry_period / RETRIES)
            await candidacy.changed.wait(lambda: False, pause, block=block)
        return bool(freed)


def _kept_use(*, block: bool) -> Use:
    """A use that lasts until somebody ends it."""
    entry = new_lock()
    entry.acquire()
    return Use(entry, _caller(block=block))


def _forget(use: Use) -> None:
    """The code that runs here is not under the term of ``use`` any more."""
    CURRENT_TERMS.set(tuple(term for term in CURRENT_TERMS.get() if term is not use.term))


def _one_attempt(candidacy: Candidacy) -> float:
    """When an attempt that begins now must have been answered."""
    return candidacy.clock.now() + ATTEMPT * candidacy.config.request_timeout + ATTEMPT_SLACK


def _caller(*, block: bool) -> object:
    """The thread or task that calls."""
    if block:
        return _thread.get_ident()
    from asyncio import current_task

    return current_task()
