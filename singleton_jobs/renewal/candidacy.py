"""A candidate at work: its resource lock, the term it holds, and what other threads may see and ask of them."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from ..concurrency.clock import Clock
from ..concurrency.synchronization import Signal
from ..concurrency.threads import new_owned_lock
from ..decisions.actions import Hold, Wait, Write
from ..decisions.candidate import Candidate
from ..errors import AccessDenied, StoreError
from ..events import (
    Event,
    HolderChanged,
    Measurement,
    RequestEnded,
    StoreFailed,
    StoreRecovered,
    TermEnded,
    TermStarted,
)
from ..health import State
from ..locks.record import ResourceLock, Stored
from ..renewal.entries import Use, is_over
from ..term import CURRENT_TERMS, Term
from .requests import kind, send

__all__ = ["Candidacy", "Driver"]

STEP_DOWN_REST = 2  # retry periods

Measure = Callable[[Measurement], None]


class Driver(Protocol):
    """Whoever calls `Candidacy.step` when something is to do."""

    def wake(self, candidacy: "Candidacy", /) -> None:
        """Have `Candidacy.step` called soon; from any thread."""

    def unanswered(self) -> float:
        """Seconds that a sign of life has been waited for."""


@dataclass(frozen=True, slots=True)
class _Leaving:
    again: bool
    rest: float
    release: bool


class Candidacy:
    """Binds one `Candidate` to the world: `step` carries out its decisions, one request at a time.

    ``term`` is what guards read, without a lock. ``active`` has an entry for each piece of guarded work running now:
    it is entered *before* the term is checked and ``draining`` is looked at, so that a drain never overlooks work.

    Whoever asks for something may be interrupted anywhere by a signal's handler. So a wish is one store, and is
    carried out again from its beginning, at the latest by the next step, until one more store says that it is done.
    """

    def __init__(
        self,
        lease: str,
        candidate: Candidate,
        lock: ResourceLock,
        clock: Clock,
        driver: Driver,
        emit: Callable[[Event], None],
        *,
        sticky: bool,
        lane: object = None,
        measure: Measure | None = None,
    ) -> None:
        self.lease = lease
        self.lane = lane  # candidacies of one store share its connections
        self.identity = candidate.identity
        self.config = candidate.config
        self.clock = clock
        self.changed = Signal(clock)
        self.term: Term | None = None
        self.last_term: Term | None = None
        self.active: set[object] = set()
        self.stops: list[Callable[[], object]] = []  # of running work that ends only when it is told to
        self.settled = False  # the attempt under way has led to something: a hold, a refusal or a failure
        self.draining = False
        self.unfit = False  # not to lead meanwhile
        self.ending = False
        self.error: StoreError | None = None
        self.answered_by: float | None = None  # the first answer is waited for until then
        self.last_contact: float | None = None
        self._candidate = candidate
        self._lock = lock
        self._driver = driver
        self._emit = emit
        self._measure = measure  # None: nobody wants to know
        self._sticky = sticky
        self._mutex = new_owned_lock()
        self._leaving: _Leaving | None = None
        self._use: Use | None = None  # what a lock is held, or competed for, for
        self.mains: set[threading.Lock] = set()  # when one is not locked any more, its leadership ends
        self._pretending = False
        self._failures = 0
        self._holder: str | None = None

    def describe(self) -> str:
        """The lease's full name, for people."""
        return self._lock.describe()

    @property
    def holder(self) -> str | None:
        """Who was last seen to hold the lease."""
        seen = self._candidate.seen
        return (seen.record.holder_identity or None) if seen else None

    @property
    def step_down_rest(self) -> float:
        """Seconds for which a replica that stepped down does not compete, so that another leads."""
        return STEP_DOWN_REST * self.config.retry_period

    @property
    def held_until(self) -> float:
        """When the hold ends if no further renewal is acknowledged; minus infinity without one."""
        return self._candidate.held_until

    @property
    def started(self) -> bool:
        """Whether this candidacy has been started and not ended."""
        return self.answered_by is not None

    @property
    def state(self) -> State:
        """How it stands, in a word."""
        if self.draining:
            return "draining"
        if self.admits:
            return "leading"
        if self.error:
            return "access-denied" if isinstance(self.error, AccessDenied) else "store-unreachable"
        return "following" if self.settled else "starting"

    @property
    def released(self) -> bool:
        """Whether the last release freed the lease."""
        return self._candidate.released

    @property
    def releasing(self) -> bool:
        """Whether a release is under way."""
        return self._candidate.releasing

    @property
    def unsettled(self) -> bool:
        """Whether the stored record may still name this identity."""
        return self._candidate.unsettled

    def rename(self, identity: str) -> None:
        """Compete as ``identity`` from now on; a hold keeps its own."""
        with self._mutex:
            self._candidate.rename(identity)
            self.identity = self._candidate.identity

    # Guarded work

    @property
    def busy(self) -> bool:
        """Whether guarded work is running."""
        return any(not is_over(entry) for entry in tuple(self.active))

    @property
    def admits(self) -> bool:
        """Whether guarded work may start now."""
        term = self.term
        return term is not None and not self.draining and term.is_valid

    def enter(self, entry: object) -> Term | None:
        """Start a piece of guarded work: the term it runs under, or None. To be ended with `exit`, in any case."""
        term = self.term
        if term is None:
            return None
        self.active.add(entry)
        # Work that is running calls other guarded functions: a drain lets it come to its end.
        if (not self.draining or term in CURRENT_TERMS.get()) and term.is_valid:
            return term
        self.exit(entry)
        return None

    def exit(self, entry: object) -> None:
        """End a piece of guarded work; once is enough."""
        if entry not in self.active:
            return
        self.active.discard(entry)
        if not self.active and (self._leaving is not None or self.term is None):
            self.work_ended()

    # What the program asks for; from any thread

    def start(self, unless: Callable[[], bool] = bool, use: Use | None = None) -> bool:
        """Compete from now on, ``unless`` says otherwise; the first answer is due within one request timeout.

        A lock is competed for and held for as long as ``use`` lasts.
        """
        with self._mutex:
            if unless():
                return False
            now = self.clock.now()
            self._end_use(now)
            self._settle()
            self._use = use
            self.draining, self.ending, self._leaving, self.error = False, False, None, None
            self._candidate.start(now)
            self.settled = self._candidate.answer is not None
            self._driver.wake(self)
            self.answered_by = now + self.config.request_timeout  # last: now it is started, and the driver knows
        return True

    def stay(self) -> None:
        """Compete again after the drain under way, which was to be the last."""
        with self._mutex:
            self._stay()

    def reopen(self) -> None:
        """Forget that the candidacy was ended, so that the next guarded call starts it again."""
        with self._mutex:
            self._stay()
            if self._leaving is None:
                self.draining, self.ending = False, False

    def pretend(self) -> None:
        """Lead for ever without asking anybody: for tests and one-off shells."""
        hold = Hold(until=math.inf, token=0, uid="", acquire_time=None, transitions=0)
        self.term = self.last_term = self._new_term(hold)
        self.answered_by = self.clock.now()
        self._pretending = self.settled = True

    def stop(self, use: Use | None = None) -> None:
        """Compete no longer, and undo what may have landed; unless another use than ``use`` has begun meanwhile."""
        self._change(lambda now: self._unless_used(use, self._candidate.stop, now))

    def end_use(self) -> None:
        """Give the lease back if its use has ended; nothing is left to do if the driver was faster."""
        self._change(self._end_use)

    def release(self, use: Use | None = None) -> None:
        """End the hold here and free the lease, without regard to running work: the caller knows that it ended.

        Nothing happens if another use than ``use`` has begun meanwhile.
        """
        self._change(lambda now: self._unless_used(use, self._candidate.release, now))

    def abandon(self, why: str) -> None:
        """End the hold here and let the record run out."""
        self._change(lambda now: self._candidate.abandon(now, why))

    def expire(self) -> None:
        """Latch a loss that the clock has brought."""
        if not self._mutex._is_owned():  # else a signal handler asks, in the midst of a change; a later check does it
            self._change(lambda _: None, wake=False)

    def drain(self, *, again: bool, rest: float = 0.0, release: bool = True) -> None:
        """Refuse new work now; once the running work has ended, end the term and (``release``) free the lease."""
        with self._mutex:
            if not self.ending:
                self._begin_drain(_Leaving(again, rest, release))
        if self._leaving:  # perhaps of an earlier drain, which was interrupted here
            for stop in tuple(self.stops):
                stop()
            self.work_ended()

    def cut_drain(self) -> None:
        """The drain limit: work is still running, so the term is lost and the lease is left to run out."""
        leaving = self._leaving
        if leaving:
            self._change(lambda now: self._cut(leaving, now))

    async def wait_idle(self, until: float, *, block: bool) -> bool:
        """Wait until the work that a drain waits for has ended."""
        return await self.changed.wait(lambda: self._leaving is None, until, block=block)

    async def wait_left(self, until: float, *, block: bool) -> bool:
        """Wait until a drain's release is through."""

        def left() -> bool:
            with self._mutex:
                return self._leaving is None and not self._candidate.releasing

        return await self.changed.wait(left, until, block=block)

    async def wait_released(self, until: float, *, block: bool) -> bool:
        """Wait until the release under way is through."""

        def through() -> bool:
            with self._mutex:
                return not self._candidate.releasing

        return await self.changed.wait(through, until, block=block)

    def work_ended(self) -> None:
        """The last running piece of guarded work has ended."""
        leaving = self._leaving
        if leaving:
            self._change(lambda now: self._leave(leaving, now))
        else:
            self.wake()  # work of an ended term barred the way

    def wake(self) -> None:
        """Have it decided anew what to do."""
        self._driver.wake(self)

    # What the driver does

    async def step(self) -> float:
        """Carry out one decision. The time at which the next is due; now or earlier: at once."""
        with self._mutex:
            now = self.clock.now()
            self._candidate.expire(now)
            self._settle()
            self._catch_up(now)
            busy = self._sticky and (self.unfit or bool(self.active))
            self._candidate.barred = busy and self._candidate.hold is None
            action = self._candidate.decide(now, self.clock.wall())
            self._settle()
            waiting = self._leaving is not None or bool(self.active)
        self.changed.notify()
        if isinstance(action, Wait):  # work that ends may have no time to say so
            return min(action.until, now + self.config.retry_period) if waiting else action.until
        sent_at = self.clock.now()
        request = self._candidate.doing
        outcome = await send(action, self._lock, self._candidate.patience(sent_at))
        with self._mutex:
            now = self.clock.now()
            if self._measure:
                self._measure(RequestEnded(self.lease, self.identity, request, kind(outcome), now - sent_at))
            if isinstance(outcome, StoreError):
                self._candidate.failed(outcome, now)
            elif isinstance(action, Write) and outcome:
                self._candidate.wrote(outcome, sent_at, now)
            else:
                self._candidate.saw(outcome, now)
            self._contact(outcome, now)
            self._settle()
            self._report()
        self.changed.notify()
        return now

    def _contact(self, outcome: Stored | StoreError | None, now: float) -> None:
        if isinstance(outcome, StoreError) and outcome.outcome != "conflict":
            self._failures += 1
            news = self.error is None or type(self.error) is not type(outcome)
            self.error = outcome
            if news:
                self._emit(StoreFailed(self.lease, self.identity, outcome))
            return
        self.last_contact = now
        self.error = None
        failures, self._failures = self._failures, 0
        if failures:
            self._emit(StoreRecovered(self.lease, self.identity, failures))

    # Inner parts; the mutex is held

    def _report(self) -> None:
        """Tell what else the last answer brought."""

    def _change(self, change: Callable[[float], None], *, wake: bool = True) -> None:
        with self._mutex:
            now = self.clock.now()
            self._candidate.expire(now)
            self._settle()
            change(now)
            self._settle()
        self.changed.notify()
        if wake:
            self._driver.wake(self)

    def _catch_up(self, now: float) -> None:
        """Do what whoever asked for it, or whose work ended, was kept from doing."""
        self.active.difference_update([entry for entry in tuple(self.active) if is_over(entry)])
        self._end_use(now)
        for main in [main for main in tuple(self.mains) if not main.locked()]:
            if not self.ending:
                self._begin_drain(_Leaving(again=False, rest=0.0, release=self.config.release_on_cancel))
            self.mains.discard(main)
        if self._leaving:
            self._leave(self._leaving, now)

    def _end_use(self, now: float) -> None:
        if self._use and not self._use.locked():
            self._unless_used(self._use, self._candidate.stop, now)

    def _unless_used(self, use: Use | None, change: Callable[[float], None], now: float) -> None:
        if self._use is None or self._use is use:
            change(now)
            self._use = None

    def _stay(self) -> None:
        if self._leaving and self.ending:
            self._leaving, self.ending = replace(self._leaving, again=True), False

    def _begin_drain(self, leaving: _Leaving) -> None:
        self._leaving, self.draining, self.ending = leaving, True, not leaving.again

    def _leave(self, leaving: _Leaving, now: float) -> None:
        if self._leaving is not leaving or self.active:
            return
        if leaving.release:
            if self._candidate.hold or self._candidate.unsettled:
                self._candidate.release(now, again=leaving.again, rest=leaving.rest)
            else:
                self._candidate.rest(now, again=leaving.again, seconds=leaving.rest)
        else:
            self._candidate.abandon(now, "the replica is closing")
        self._left(leaving)

    def _cut(self, leaving: _Leaving, now: float) -> None:
        if self._leaving is leaving:
            self._candidate.abandon(now, "its work did not end within the drain limit")
            self._candidate.rest(now, again=leaving.again, seconds=leaving.rest)
            self._left(leaving)

    def _left(self, leaving: _Leaving) -> None:
        answered_by = self.answered_by if leaving.again else None
        self._leaving, self.draining, self.answered_by = None, not leaving.again, answered_by

    def _settle(self) -> None:
        """Let everybody see what has become of the hold; events are queued here, so that they keep their order."""
        if self._pretending:
            return
        hold = self._candidate.hold
        term = self.term
        if term and term._hold is not hold:
            lost = term._hold.ended != "released"
            if lost and not self._sticky:
                self._candidate.abandon(self.clock.now(), "")
            if lost or self._sticky or self.busy:  # other work runs under a lock that is given back
                term._lose()
            self._emit(TermEnded(self.lease, self.identity, term.fencing_token, lost, term.ending, term.ended))
            self.term = None
        if hold and self.term is None:
            self.term = self.last_term = self._new_term(hold)
            self._emit(TermStarted(self.lease, self.identity, hold.token, hold.taken_from or None))
        holder = self.holder
        if holder != self._holder:
            self._holder = holder
            if holder != self.identity:
                self._emit(HolderChanged(self.lease, self.identity, holder))
        self.settled = self._candidate.answer is not None  # last: whoever sees it looks at the rest

    def _new_term(self, hold: Hold) -> Term:
        return Term(self.lease, self.identity, hold, self.clock.now, self)
