"""A candidate at work: its resource lock, the term it holds, and what other threads may see and ask of them."""

import math
from collections.abc import Callable

from ..concurrency.clock import Clock
from ..concurrency.synchronization import Signal
from ..concurrency.threads import new_owned_lock
from ..decisions.actions import Delete, Wait, Write
from ..decisions.bids import Bid
from ..decisions.candidate import Candidate
from ..decisions.hold import Hold
from ..errors import StoreError
from ..events import ClockOff, Event, HolderChanged, RequestEnded, StepDownRequested, TermEnded, TermStarted
from ..health import State
from ..locks.record import ResourceLock
from ..locks.watching import Sight
from ..skipped import reason_of
from ..term import Term
from .contact import Contact
from .driving import Driver
from .entries import Use
from .fire_claims import FireClaims
from .following import Following
from .guarded_work import GuardedWork
from .lock_uses import LockUses
from .reporter import Measure, Reporter
from .requests import kind, send

__all__ = ["Candidacy"]

STEP_DOWN_REST = 2  # retry periods


class Candidacy:
    """Binds one `Candidate` to the world: `step` carries out its decisions, one request at a time.

    ``term`` is what guards read, without a lock; ``work`` runs under it, and ``fires`` are claimed under it; a lock's
    candidacy is started for each of its ``uses``, and ends with it.
    ``sticky``: it is for a leadership, which competes again after a loss, lets work of ended terms bar the way, and
    heeds requests to step down.
    ``standing``: it is told of its lease also while it neither competes nor holds it. ``listener`` is called on the
    driver's thread after each step, and when a watch has told news.

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
        base: str = "",
        standing: bool = False,
    ) -> None:
        self.lease = lease
        self.base = base  # of a key's lease: metrics and the log go by it
        self.lane = lane  # equal for the candidacies of one store, which share its connections
        self.identity = candidate.identity  # what the next acquisition writes
        self.config = candidate.config
        self.clock = clock
        self.candidate = candidate  # changed only under the mutex
        self.mutex = new_owned_lock()  # held for microseconds
        self.changed = Signal(clock)
        self.term: Term | None = None  # the one held, or whose end was not told yet
        self.last_term: Term | None = None  # the present one, or the latest
        self.settled = False  # the attempt under way has led to something: a hold, a refusal or a failure
        self.unfit = False  # the condition of `only_while` does not hold, so this process is not to lead meanwhile
        self.started = False  # it competes, and was not ended since
        self.first_answer_due: float | None = None  # after a start the first answer is waited for until then
        self.pretending = False  # it leads for ever without asking anybody, and the candidate has no say
        self.listener: Callable[[], None] | None = None
        self.reporter = Reporter(lease, self.identity, emit, measure, base)
        self.work = GuardedWork(self)
        self.fires = FireClaims(self)
        self.uses = LockUses(self)
        self.following = Following(lock, self._told)
        self._lock = lock
        self._driver = driver
        self._contact = Contact(self.reporter)
        self._sticky = sticky
        self.standing = standing
        self._is_fit: Callable[[float], bool] | None = None
        self._clock_off = False  # people were told that the clock is
        self._holder: str | None = None  # whom `HolderChanged` told of last

    @property
    def error(self) -> StoreError | None:
        """What the store said or did instead of an answer, if that was the last heard of it."""
        return self._contact.error

    @property
    def contacted_at(self) -> float | None:
        """When the store last answered (boot time); None if it never did."""
        return self._contact.at

    @property
    def declined(self) -> bool:
        """Whether the lease was left as it is, since the bid did not want it so."""
        return self.candidate.answer == "declined"

    def describe(self) -> str:
        """The lease's full name, for people."""
        return self._lock.describe()

    @property
    def holder(self) -> str | None:
        """Who was last seen to hold the lease."""
        seen = self.candidate.seen
        return (seen.record.holder_identity or None) if seen else None

    @property
    def step_down_rest(self) -> float:
        """Seconds for which a replica that stepped down does not compete, so that another leads."""
        return STEP_DOWN_REST * self.config.retry_period

    @property
    def held_until(self) -> float:
        """When the hold ends if no further renewal is acknowledged; minus infinity without one."""
        return self.candidate.held_until

    @property
    def state(self) -> State:
        """How it stands, in a word."""
        if self.work.draining:
            return "draining"
        if self.work.admits:
            return "leading"
        if self.error:
            return reason_of(self.error)
        return "following" if self.settled else "starting"

    def rename(self, identity: str) -> None:
        """Compete as ``identity`` from now on; a hold keeps its own."""
        with self.mutex:
            self.candidate.rename(identity)
            self.identity = self.reporter.identity = self.candidate.identity

    # What the program asks for; from any thread

    def start(self, unless: Callable[[], bool] = bool, use: Use | None = None, bid: Bid | None = None) -> bool:
        """Compete from now on, ``unless`` says otherwise; the first answer is due within one request timeout.

        A lock is competed for and held for as long as ``use`` lasts. With a ``bid``, it is taken for its claims.
        """
        with self.mutex:
            if unless():
                return False
            now = self.clock.now()
            self.uses.begin(use, now)
            self._settle()
            self.work.admit()
            self._contact.error = None
            self.candidate.start(now, bid)
            self.settled = self.candidate.answer is not None
            self._driver.wake(self)
            self.first_answer_due = now + self.config.request_timeout
            self.started = True  # last: the driver knows
        return True

    def pretend(self) -> None:
        """Lead for ever without asking anybody: for tests and one-off shells."""
        hold = Hold(until=math.inf, token=0, uid="", acquire_time=None, transitions=0)
        self.term = self.last_term = self._new_term(hold)
        self.pretending = self.settled = self.started = True

    def abandon(self, why: str) -> None:
        """End the hold here and let the record run out."""
        self.change(lambda now: self.candidate.abandon(now, why))

    def expire(self) -> None:
        """Latch a loss that the clock has brought."""
        if not self.mutex._is_owned():  # else a signal handler asks, in the midst of a change; a later check does it
            self.change(lambda _: None, wake=False)

    def only_while(self, is_fit: Callable[[float], bool]) -> None:
        """Hold the lease only while ``is_fit(now)``, which is asked before each request; `wake` when it is again."""
        self._is_fit = is_fit

    def wake(self) -> None:
        """Have it decided anew what to do."""
        self._driver.wake(self)

    def change(self, change: Callable[[float], None], *, wake: bool = True) -> None:
        """Call ``change(now)`` under the mutex, and see to what comes of it: events, waiters, the next step."""
        with self.mutex:
            now = self.clock.now()
            self.candidate.expire(now)
            self._settle()
            change(now)
            self._settle()
        self.changed.notify()
        if wake:
            self._driver.wake(self)

    # What the driver does

    async def step(self) -> float:
        """Carry out one decision. The time (boot time, seconds) at which the next is due; now or earlier: at once."""
        self.unfit = self._is_fit is not None and not self._is_fit(self.clock.now())
        if self.unfit and self.term and not self.work.draining:  # at once: the lease runs out if its work goes on
            self.work.drain(again=True)
            self.work.cut_drain()
        self._heed()  # of what a watch has told, before a renewal drops it
        due = await self._carry_out()
        self._heed()
        if self.listener:
            self.listener()
        # A lock that is tried for, or held, needs nobody to tell it of others; a leadership is asked to step down.
        wanted = self.candidate.wanted and (self._sticky or (self.uses.patient and self.candidate.hold is None))
        standing = self.standing and not self.work.ending
        self.following.keep(wanted=standing or (wanted and self.contacted_at is not None))
        return due

    async def _carry_out(self) -> float:
        with self.mutex:
            now = self.clock.now()
            self.candidate.expire(now)
            self._settle()
            self.uses.catch_up(now)
            self.work.catch_up(now, release=self.config.release_on_cancel)
            busy = self._sticky and (self.unfit or bool(self.work.active))
            self.candidate.barred = busy and self.candidate.hold is None
            action = self.candidate.decide(now, self.clock.wall())
            self._settle()
            if self.declined:  # perhaps for what was found in the ledger
                self.fires.report()
        self.changed.notify()
        if isinstance(action, Wait):
            return self._by(action.until, now)
        # A hold is counted from before the send, however late the answer is.
        sent_at = self.clock.now()
        request = self.candidate.doing
        self.following.ask()
        read = wrote = None
        try:
            outcome = await send(action, self._lock, self.candidate.patience(sent_at))
            with self.mutex:
                now = self.clock.now()
                self.reporter.measure(RequestEnded, request, kind(outcome), now - sent_at)
                if isinstance(outcome, StoreError):
                    self.candidate.failed(outcome, now)
                elif isinstance(action, Write) and outcome:
                    self.candidate.wrote(outcome, sent_at, now)
                    wrote = outcome
                elif isinstance(action, Delete):
                    self.candidate.deleted(now)
                else:
                    self.candidate.saw(outcome, now)
                    read = outcome
                # At once: until the next decision a machine may sleep, and some count that on one of its clocks only.
                self.candidate.store_clock.compare(now, self.clock.wall())
                self._contact.note(outcome, now)
                self._settle()
                self.fires.report()
            self.changed.notify()
        finally:
            self.following.answered(read=read, wrote=wrote)
        return self._by(self.candidate.next_step(now), now)

    def _by(self, until: float, now: float) -> float:
        """Work that ends may be interrupted before it says so: look again by then."""
        return min(until, now + self.config.retry_period) if self.work.awaited else until

    def _heed(self) -> None:
        """Let another lead once the running work has ended, if the clock is off or somebody asks for it."""
        off = self.candidate.clock_off
        if off and not self._clock_off:
            self.reporter.tell(ClockOff, off)
        self._clock_off = bool(off)
        if off and self.term and self._sticky and not self.work.draining:
            self.work.drain(again=True)
        if self.candidate.asked_to_step_down and self._sticky and not self.work.draining:
            self.reporter.tell(StepDownRequested)
            self.work.drain(again=True, rest=self.step_down_rest)

    def _told(self, sight: Sight | None) -> None:
        """The watch told, on the driver's loop."""
        with self.mutex:
            now = self.clock.now()
            news = self.error is not None
            if sight and self.candidate.hold is None:
                self._contact.note(sight.stored, now)
            elif sight:  # whether the hold can be renewed is another question
                self._contact.at = now
            news |= self.candidate.told(sight, now)
            if news:
                self._settle()
        if news:  # most tell no more than that the holder lives
            self.changed.notify()
            self._driver.wake(self)
            if self.listener:
                self.listener()

    # Inner parts; the mutex is held

    def _settle(self) -> None:
        """Let everybody see what has become of the hold; events are queued here, so that they keep their order."""
        if self.pretending:
            return
        hold = self.candidate.hold
        term = self.term
        if term and term._hold is not hold:
            lost = term._hold.ended != "released"
            if lost and not self._sticky:
                self.candidate.abandon(self.clock.now(), "")
            if lost or self._sticky or self.work.busy:  # a lock that is given back, too, may have other work under it
                term._lose()
            self.reporter.tell(TermEnded, term.fencing_token, lost, term.ending, term.ended)
            self.term = None
        if hold and self.term is None:
            self.term = self.last_term = self._new_term(hold)
            self.reporter.tell(TermStarted, hold.token, hold.taken_from or None)
        holder = self.holder
        if holder != self._holder:
            self._holder = holder
            if holder != self.identity:
                self.reporter.tell(HolderChanged, holder)
        self.settled = self.candidate.answer is not None  # last: whoever sees it looks at the rest

    def _new_term(self, hold: Hold) -> Term:
        return Term(self.lease, self.identity, hold, self.clock.now, self.work)
