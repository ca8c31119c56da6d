"""LeaseLocker: a lock on a lease, renewed while it is held."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from ..concurrency.synchronization import run_blocking
from ..concurrency.threads import new_lock
from ..config import Config, Seconds, seconds
from ..errors import ConfigError, LeaseExpired
from ..renewal.entries import Use
from ..term import Term
from .core import AnyReplica, Core, core_of, default_core
from .keyed import NO_KEY, keyed_part
from .locker_part import LockerPart, caller
from .settings import Settings

if TYPE_CHECKING:
    from threading import Event as ThreadEvent
    from types import TracebackType

    from ..guards.decorators import Decorator

__all__ = ["LeaseLocker"]


class LeaseLocker:
    """A lock on ``lease``, shared by whoever uses the same store, namespace and lease name.

    With ``key`` (a str, int or UUID) it is one of many locks of that name, one for each key: its lease
    ``<lease>.<key>`` is there only while it is held. See `singleton_jobs.exclusive`.

    Each locker has an identity of its own and is not re-entrant: two lockers of one process exclude each other, and
    so do two threads or tasks that share one locker. ``replica`` is where it belongs; else the default replica, or
    one made for ``store``, ``namespace`` and ``identity``. Nothing is sent before the first lock.

    As a context manager it holds the lease as `hold` does, without a limit; ``async with`` as `ahold` does: the loss of
    the lease cancels the block, which then raises LeadershipLost.

    Raises ConfigError for a name, key or combination that cannot work.
    """

    def __init__(
        self,
        lease: str,
        *,
        key: Any = NO_KEY,
        namespace: str | None = None,
        identity: str | None = None,
        store: str | Any | None = None,
        config: Config | None = None,
        replica: AnyReplica | None = None,
    ) -> None:
        own = store is not None or namespace is not None or identity is not None
        if own and replica is not None:
            raise ConfigError("a LeaseLocker takes either a replica, or store, namespace and identity")
        if own:
            core = Core(Settings(store, namespace, identity))
        else:
            core = default_core() if replica is None else core_of(replica)
        self._part = LockerPart(core, lease, config) if key is NO_KEY else keyed_part(core, lease, key, config)

    def __repr__(self) -> str:
        return f"<LeaseLocker of {self.lease!r}{' (held)' if self.is_held else ''}>"

    @property
    def lease(self) -> str:
        """The lease's name as it is stored."""
        return self._part.lease

    @property
    def is_held(self) -> bool:
        """Whether this locker holds the lease at this instant; computed from the clock, without a lock or I/O."""
        return self._part.is_held

    @property
    def term(self) -> Term | None:
        """The term that is valid at this instant, or None."""
        term = self._part.term
        return term if term is not None and term.is_valid else None

    @property
    def lost(self) -> ThreadEvent:
        """Set when the hold ends without an unlock; a new one at each lock. A hint: `check` is the truth."""
        return self._part.lost

    def check(self, max_tolerable_expired_lease: Seconds = 0) -> None:
        """Raise LeaseExpired if the lock was taken and, without unlock, its hold ended more seconds ago than that."""
        tolerated = seconds("max_tolerable_expired_lease", max_tolerable_expired_lease, zero=True)
        term = self._part.term
        if term is None or term.is_valid:
            return
        ago = term.ended_ago
        if ago > tolerated:
            raise LeaseExpired(self.lease, f"{term.ending}, {ago:.1f} s ago" if math.isfinite(ago) else term.ending)

    def lock(self, timeout: Seconds | None = None) -> bool:
        """Wait for the lease and take it; False after ``timeout`` seconds (None: no limit), but not before one attempt.

        Raises AccessDenied at once if the store refuses, StoreError at the limit if it does not answer.
        """
        return self._keep(lambda use: self._part.lock(use, timeout, block=True))

    def try_lock(self) -> bool:
        """Take the lease if it is free: one attempt, which never waits a lease out. Raises StoreError, AccessDenied."""
        return self._keep(lambda use: self._part.try_lock(use, block=True))

    def unlock(self) -> bool:
        """End the hold and free the lease, in one try; whether this freed it. After False it runs out by itself."""
        return bool(run_blocking(self._part.unlock(None, block=True)))

    def unlock_with_retry(self, timeout: Seconds | None = None) -> bool:
        """`unlock`, tried again for ``timeout`` seconds (``Config.unlock_with_retry_period``); whether it freed it."""
        return run_blocking(self._part.unlock_with_retry(None, timeout, block=True))

    async def alock(self, timeout: Seconds | None = None) -> bool:
        """`lock` for coroutines."""
        return await self._akeep(lambda use: self._part.lock(use, timeout, block=False))

    async def atry_lock(self) -> bool:
        """`try_lock` for coroutines."""
        return await self._akeep(lambda use: self._part.try_lock(use, block=False))

    async def aunlock(self) -> bool:
        """`unlock` for coroutines."""
        return bool(await self._part.unlock(None, block=False))

    async def aunlock_with_retry(self, timeout: Seconds | None = None) -> bool:
        """`unlock_with_retry` for coroutines."""
        return await self._part.unlock_with_retry(None, timeout, block=False)

    @contextmanager
    def hold(self, timeout: Seconds | None = None) -> Iterator[Term]:
        """Hold the lease inside a ``with`` block, which gets the term; LeaseBusy after ``timeout`` seconds."""
        use = Use(new_lock(), caller(block=True))
        try:
            with use.entry:
                try:
                    term = run_blocking(self._part.enter_block(use, timeout, block=True))
                    yield term
                finally:
                    run_blocking(self._part.exit_block(use, block=True))
        finally:
            self._part.drop(use)

    @asynccontextmanager
    async def ahold(self, timeout: Seconds | None = None) -> AsyncIterator[Term]:
        """`hold` for coroutines; the loss of the lease cancels the block, which then raises LeadershipLost."""
        from .cancellation import Cancellation

        use = Use(new_lock(), caller(block=False))
        try:
            with use.entry:
                try:
                    term = await self._part.enter_block(use, timeout, block=False)
                    with Cancellation(term):
                        yield term
                finally:
                    await self._part.exit_block(use, block=False)
        finally:
            self._part.drop(use)

    def __enter__(self) -> Term:
        use = _kept_use(block=True)
        try:
            return run_blocking(self._part.enter_block(use, None, block=True))
        except BaseException:
            self._part.drop(use)
            raise

    def __exit__(self, *_: object) -> None:
        use = self._part.blocks.innermost(self._part.term, caller(block=True))
        try:
            run_blocking(self._part.exit_block(use, block=True))
        finally:
            self._part.drop(use)

    async def __aenter__(self) -> Term:
        use = _kept_use(block=False)
        try:
            term = await self._part.enter_block(use, None, block=False)
            self._part.blocks.cancel_on_loss(use, term)
            return term  # noqa: TRY300 (inside: an entry that was interrupted here has failed, too)
        except BaseException:
            self._part.drop(use)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        use = self._part.blocks.innermost(self._part.term, caller(block=False))
        try:
            try:
                if cancellation := self._part.blocks.cancellation(use):
                    cancellation.__exit__(kind, error, traceback)
            finally:
                await self._part.exit_block(use, block=False)
        finally:
            self._part.drop(use)

    @property
    def leader_only(self) -> Decorator:
        """Decorator: the function runs only while this locker holds its lease, and otherwise returns `Skipped`."""
        from ..guards.decorators import held_only

        return held_only(self._part)

    def _keep(self, attempt: Callable[[Use], Coroutine[Any, Any, bool]]) -> bool:
        """Take the lease by ``attempt``, until somebody unlocks it; not if the caller never learns of it."""
        self._part.rejoin()
        use = _kept_use(block=True)
        try:
            return run_blocking(attempt(use))
        except BaseException:
            use.ended = True
            raise

    async def _akeep(self, attempt: Callable[[Use], Coroutine[Any, Any, bool]]) -> bool:
        self._part.rejoin()
        use = _kept_use(block=False)
        try:
            return await attempt(use)
        except BaseException:
            use.ended = True
            raise


def _kept_use(*, block: bool) -> Use:
    """A use that lasts until somebody ends it."""
    entry = new_lock()
    entry.acquire()
    return Use(entry, caller(block=block))
