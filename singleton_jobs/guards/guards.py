"""Guards: they let a call in, under a term, or say why not."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from datetime import datetime
from logging import DEBUG
from threading import Lock
from typing import Any

from ..concurrency.synchronization import on_event_loop, run_blocking
from ..config import JITTER
from ..decisions.ledger import Claim
from ..errors import LeadershipLost, LeaseBusy, NotLeader, StoreError
from ..events import RunSkipped
from ..hooks.log import logger
from ..identity import readable
from ..leading.leader_part import LeaderPart
from ..leading.leadership import Leadership
from ..leading.locker_part import LockerPart
from ..leading.participant import Participant, part_of
from ..skipped import OnBusy, Reason, Skipped
from ..term import Term
from .at_most_every import Every, Run, bid_for, claim_run
from .task_queue import RunningTask, running_task

__all__ = ["ExclusiveGuard", "Guard", "HeldGuard", "LeaderGuard"]


class Guard(ABC):
    """Lets calls in, or says why not; every call let in is to be let out."""

    soon = True  # the end of a run is noted at once; no release follows

    def __init__(self, part: Participant, *, strict: bool, every: Every | None = None) -> None:
        self.part = part
        self.strict = strict
        self.every = every
        if every:
            part.jobs.add(every.key)

    @abstractmethod
    def enter(self, entry: Lock) -> Term | None:
        """The term to run under, if that is known without waiting; ``entry`` is locked as long as the call lasts."""

    def refusal(self) -> Reason | None:
        """Why a call is skipped that has no term to enter, if that is known without starting or awaiting anything."""
        return None

    @abstractmethod
    async def admit(self, entry: Lock, *, block: bool) -> Term | Reason:
        """The term to run under, or why not."""

    def exit(self, entry: Lock) -> None:
        """The call has ended, or was interrupted while it entered."""
        candidacy = self.part.candidacy
        if candidacy is not None:
            candidacy.work.exit(entry)

    def aexit(self, entry: Lock) -> Coroutine[Any, Any, None] | None:
        """The coroutine has ended; what comes back is to be awaited."""
        self.exit(entry)
        return None

    async def claim(self, term: Term, every: Every, *, block: bool) -> Run | Reason:
        """The run to do under ``term``, of a function that runs at most every so often; or why not."""
        candidacy = self.part.candidacy or self.part.core.pretended(self.part.lease)
        try:
            nonce, claim = self.part.core.nonce(), self.claimed(term)
            return await claim_run(candidacy, term, every, nonce, claim, soon=self.soon, block=block) or "too-soon"
        except LeadershipLost:
            return "not-leader"

    def claimed(self, term: Term) -> Claim | None:
        """What was claimed by the write that began ``term``."""
        return None

    def skip(self, function: Callable[..., Any], reason: Reason) -> Skipped:
        """Report a call that does not run; raises if the guard is strict."""
        part, candidacy = self.part, self.part.candidacy
        lease = candidacy.lease if candidacy else part.lease
        skipped = Skipped(lease, reason, candidacy.holder if candidacy else None)
        if part.callbacks or part.core.settings.hooks or logger.isEnabledFor(DEBUG):  # else nobody hears of it
            name = getattr(function, "__qualname__", repr(function))
            identity, base = (candidacy.identity, candidacy.base) if candidacy else ("", part.base)
            part.emit(RunSkipped(lease, identity, name, reason, base=base))
        if self.strict:
            raise self.error(skipped)
        return skipped

    def error(self, skipped: Skipped) -> Exception:
        """What a strict guard raises."""
        return NotLeader(skipped.lease, skipped.reason, skipped.holder, self.retry_at(skipped.reason))

    def retry_at(self, reason: Reason) -> datetime | None:
        """When a call that came too soon may run, by the store's time; None if that is not known or not the reason."""
        if reason != "too-soon" or self.every is None or self.part.candidacy is None:
            return None
        last = self.part.candidacy.fires.mark(self.every.key)
        return self.every.after(last) if last else None


class LeaderGuard(Guard):
    """Runs while the replica leads."""

    part: LeaderPart
    _warned = False

    def __init__(self, leadership: Leadership, *, strict: bool, every: Every | None) -> None:
        super().__init__(part_of(leadership), strict=strict, every=every)
        self.leadership = leadership

    def enter(self, entry: Lock) -> Term | None:
        candidacy = self.part.candidacy
        return candidacy.work.enter(entry) if candidacy else None

    def refusal(self) -> Reason | None:
        return self.part.refusal() if self._warned or running_task() is None else None

    async def admit(self, entry: Lock, *, block: bool) -> Term | Reason:
        if not self._warned and (task := running_task()):
            self._warned = True
            warnings.warn(
                f"the task {task.name} is guarded by leader_only(lease={self.part.name!r}): any worker may get its "
                "messages, and those that do not lead drop them. Use exclusive(lease=...) for a task that must not run "
                "twice at once, or guard what sends it: celery beat --scheduler singleton",
                RuntimeWarning,
                stacklevel=2,
            )
        return await self.part.admit(entry, block=block, wait=not (block and on_event_loop()))


class HeldGuard(Guard):
    """Runs while a locker is held."""

    part: LockerPart

    def __init__(self, locker: LockerPart) -> None:
        super().__init__(locker, strict=False)

    def enter(self, entry: Lock) -> Term | None:
        return self.part.enter(entry)

    async def admit(self, entry: Lock, *, block: bool) -> Term | Reason:
        return self.part.pretended() or ("draining" if self.part.core.closed else "not-leader")


class ExclusiveGuard(Guard):
    """Locks for each call; one that runs at most every so often is claimed by the write that locks."""

    part: LockerPart
    soon = False

    def __init__(
        self,
        locker: LockerPart,
        wait: float | None,
        on_busy: OnBusy = "skip",
        countdown: float | None = None,
        *,
        every: Every | None = None,
    ) -> None:
        super().__init__(locker, strict=on_busy != "skip", every=every)
        self._wait = wait
        self._retries = on_busy == "retry"
        self._countdown = countdown

    def enter(self, entry: Lock) -> Term | None:
        return None

    async def admit(self, entry: Lock, *, block: bool) -> Term | Reason:
        if pretended := self.part.pretended():
            return pretended
        task = running_task()
        every, nonce = self.every, self.part.core.nonce
        bidding = (lambda candidacy: bid_for(every, nonce(), candidacy)) if every else None
        taken = await self.part.acquire(entry, self._wait, task.id if task else None, bidding, block=block)
        if taken == "busy" and task and self._may_be_dead(task):
            taken = await self.part.acquire(entry, self._patience(), task.id, bidding, block=block)
        return taken

    def claimed(self, term: Term) -> Claim | None:
        return self.part.claimed(term)

    def _may_be_dead(self, task: RunningTask) -> bool:
        """Whether the lease may still name an earlier run of ``task``, whose worker died."""
        holder = (self.part.candidacy.holder if self.part.candidacy else None) or ""
        return task.redelivered or f"_{readable(task.id)}_" in holder

    def _patience(self) -> float | None:
        """How long to wait for a dead holder's lease, but no shorter than for any: it runs out, and that is seen."""
        timing = self.part.timing
        dead = timing.lease_duration + JITTER * timing.retry_period + 2 * timing.request_timeout
        return None if self._wait is None else max(self._wait, dead)

    def exit(self, entry: Lock) -> None:
        run_blocking(self.part.free(entry, block=True))

    def aexit(self, entry: Lock) -> Coroutine[Any, Any, None]:
        return self.part.free(entry, block=False)

    def skip(self, function: Callable[..., Any], reason: Reason) -> Skipped:
        try:
            return super().skip(function, reason)
        except (LeaseBusy, StoreError) as error:
            if not self._retries:
                raise
            if reason in ("too-soon", "mode"):  # asking again would not help
                return Skipped(self.part.lease, reason)
            if task := running_task():
                task.retry(error, self.part.timing.lease_duration if self._countdown is None else self._countdown)
            raise

    def error(self, skipped: Skipped) -> Exception:
        error = self.part.candidacy.error if self.part.candidacy else None
        if isinstance(error, StoreError) and skipped.reason in ("store-unreachable", "access-denied"):
            return error
        return LeaseBusy(skipped.lease, skipped.holder, skipped.reason, self.retry_at(skipped.reason))
