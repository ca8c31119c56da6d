"""One lease's decisions: what to send next, given what was seen and when. No I/O, no clock, no thread.

Safety rests on four of the rules in rules.py. A hold is valid until ``sent_at + renew_deadline`` of the last own write
that was acknowledged, measured from *before* it was sent (1). A follower takes a record only after seeing it unchanged
for the record's own duration, measured from *after* it was received (7). The margin between the two
(``lease_duration - renew_deadline``) covers stalls and clock rates (3). And every write is a compare-and-swap, so of
two candidates that both believe they may write, one is refused (10).
"""

import math
from datetime import datetime
from typing import Literal, Protocol

from ..config import JITTER, Config
from ..errors import AccessDenied, StoreError
from ..locks.record import Stored
from .actions import Action, Ended, Hold, Read, Wait, Write
from .ledger import AHEAD
from .observer import Observer
from .open_claims import OpenClaims
from .own_writes import OwnWrites

__all__ = ["Answer", "Candidate", "CandidateState", "Chance"]

HERD_SPREAD = 0.05  # seconds over which followers spread after a seen release
DENIED_RETRY = 30.0  # seconds between tries while access is denied to a follower
PATIENT_CONFLICTS = 2  # met in a row before renewals give way a little

Answer = Literal["held", "busy", "failed"]

CandidateState = Literal[
    "idle",
    "resting",
    "barred",
    "looking",
    "waiting",
    "about to take",
    "leading",
    "giving back: looking",
    "giving back: writing",
]


class Chance(Protocol):
    """What is used of ``random.Random``."""

    def uniform(self, a: float, b: float, /) -> float:
        """A number between ``a`` and ``b``."""


class Candidate:
    """Candidacy of one identity for one lease.

    `decide` says what to do; the caller does it, one request at a time, and reports with `saw`, `wrote` or `failed`.
    All instants are seconds of boot time. ``phase`` (seconds) aligns the renewals of many candidates, so that they
    share wake-ups.
    """

    def __init__(self, identity: str, config: Config, rng: Chance, phase: float = 0.0) -> None:
        self.identity = identity
        self.config = config
        self.hold: Hold | None = None
        self.barred = False  # by the caller: work of an ended term still runs, and would make a new one skip everything
        self.answer: Answer | None = None  # what came of the attempt under way
        self.releasing = False  # the record may name us, and is to be freed if it does
        self.claims = OpenClaims()
        self.released = False  # whether the last release freed the lease
        self.doing: Literal["read", "acquire", "renew", "release"] = "read"  # the last request
        self._rng = rng
        self._phase = phase
        self._wanted = False  # the program wants to lead, now or after the release under way
        self._next = -math.inf  # a holder's next renewal, anyone else's next read
        self._take_at: float | None = None  # the lease was seen free, and may be taken from then on
        self._unjudged = False  # nobody has decided yet whether what was seen last may be taken
        self._last_hold: Hold | None = None  # the present or latest one, by which a release knows its record
        self._reread = False  # a holder's write met a conflict: the record is read before the next one
        self._conflicts = 0  # met in a row; any write of ours that is acknowledged ends the row
        self._rest = 0.0  # seconds of rest after the release under way
        self._rest_until = -math.inf  # another may lead meanwhile: we do not compete before
        self._ours: Stored | None = None  # fetched during a release and found to be ours: what the release replaces
        self._observer = Observer(identity, config)
        self._own_writes = OwnWrites(identity, config)

    def state(self, now: float) -> CandidateState:  # noqa: PLR0911 (a table of states)
        """Where this candidate stands at ``now``. Flags that a row does not name are free; no other product occurs.

        ==================== ==== ========= ======= ======== ===== ======= ================================
        state                hold releasing _wanted _take_at _ours _reread besides
        ==================== ==== ========= ======= ======== ===== ======= ================================
        idle                 no   no        no               no    no
        barred               no   no        yes              no    no      barred
        resting              no   no        yes     no       no    no      ``now < _rest_until``
        about to take        no   no        yes     yes      no    no
        looking              no   no        yes     no       no    no      ``_next <= now``
        waiting              no   no        yes     no       no    no      ``now < _next``
        leading              yes  no        yes     no       no            not barred, answer is ``"held"``
        giving back: looking no   yes               no       no    no
        giving back: writing no   yes               no       yes   no
        ==================== ==== ========= ======= ======== ===== ======= ================================
        """
        if self.hold:
            return "leading"
        if self.releasing:
            return "giving back: writing" if self._ours else "giving back: looking"
        if not self._wanted:
            return "idle"
        if self.barred:
            return "barred"
        if now < self._rest_until:
            return "resting"
        if self._take_at is not None:
            return "about to take"
        return "looking" if self._next <= now else "waiting"

    @property
    def seen(self) -> Stored | None:
        """What was last seen stored."""
        return self._observer.stored

    @property
    def held_until(self) -> float:
        """Leadership is ``now < held_until``."""
        return self.hold.until if self.hold else -math.inf

    @property
    def may_be_stored(self) -> bool:
        """Whether the stored record may still name us."""
        return self._own_writes.may_be_stored

    @property
    def asked_to_step_down(self) -> bool:
        """Whether somebody asks the holder that we are to let another lead; our next write drops the request."""
        hold, seen = self.hold, self.seen  # another thread may end the hold in between
        return hold is not None and seen is not None and seen.asked_to_step_down == hold.identity

    @property
    def clock_off(self) -> float:
        """Seconds that the host's clock is ahead of the store's (negative: behind), if too many to claim fires; else 0.

        Whoever holds the lease then steps down: others dispatch the fires in time.
        """
        skew = self._observer.skew
        carries = self._observer.ledger is not None or self.claims.wanted
        return skew if carries and abs(skew) > AHEAD.total_seconds() else 0.0

    def store_time(self, now: float, wall: float) -> datetime:
        """The store's own time at ``now``; the host's where the store does not tell."""
        return self._observer.store_time(now, wall)

    # What the program asks for

    def rename(self, identity: str) -> None:
        """Be called ``identity`` from the next acquisition on; what was written before stays known as ours."""
        if self.hold is None:
            self.identity = self._observer.identity = self._own_writes.identity = identity

    def start(self, now: float) -> None:
        """Compete from now on, beginning with a read at once."""
        self._wanted = True
        self.answer = "held" if self.hold else None
        if not self.hold:
            self._look_again(now)

    def stop(self, now: float) -> None:
        """Compete no longer; an acquisition under way is handed back as soon as it is seen to have landed."""
        self._wanted = self.released = False
        if self.may_be_stored:
            self.release(now)

    def release(self, now: float, *, again: bool = False, rest: float = 0.0) -> None:
        """End the hold here, then free the lease if the stored record is ours.

        ``again`` keeps competing afterwards, but not within ``rest`` seconds, so that another may lead.
        """
        self._end("released", "it was released", now)
        self._wanted = again
        self._rest = rest
        self._ours = None
        self.releasing = True
        self.released = False
        self._look_again(now)

    def abandon(self, now: float, why: str) -> None:
        """End the hold here and let the record run out: work under it may still be running."""
        self._end("abandoned", why, now)
        self._wanted = self.releasing = False
        self._ours = None

    def rest(self, now: float, *, again: bool, seconds: float) -> None:
        """Compete again (or not), but not within ``seconds``."""
        self._wanted = again
        self._rest_until = now + seconds
        self._look_again(now)

    def expire(self, now: float) -> None:
        """Latch the loss if the deadline has passed; a late acknowledgement revives nothing after that."""
        if self.hold and now >= self.hold.until:
            self._end("expired", "its renewals were not acknowledged in time", self.hold.until)
            self._look_again(now)

    # What to do next

    def decide(self, now: float, wall: float) -> Action:  # noqa: PLR0911 (a table of cases)
        """The next request, or how long to wait. ``now`` is boot time; no hold depends on ``wall``."""
        self.expire(now)
        self._observer.compare_clocks(now, wall)
        self.doing = "read"
        if self.hold:
            return self._keep(self.hold, now, wall)
        if self.releasing:
            if self._ours:
                self.doing = "release"
                ledger = self.claims.ledger(self._ours, self.store_time(now, wall))  # ended runs; nothing else is open
                return self._own_writes.release(self._ours, ledger, now, wall)
            return Read() if now >= self._next else Wait(self._next)
        if not self._wanted:
            return Wait(math.inf)
        if self.barred or now < self._rest_until:
            self.answer = self.answer or "busy"
            return Wait(math.inf if self.barred else self._rest_until)
        if self._unjudged:
            self._judge(wall)
        if self._take_at is not None:
            return self._acquisition(now, wall) if now >= self._take_at else Wait(self._take_at)
        return Read() if now >= self._next else Wait(self._next)

    def _keep(self, hold: Hold, now: float, wall: float) -> Action:
        due = min(self._next, self.claims.due())
        if now < due:
            return Wait(min(due, hold.until))
        if self._reread:
            return Read()
        ledger = self.claims.ledger(self.seen, self.store_time(now, wall))
        if ledger is None and now < self._next:  # the claims were settled without a write
            return Wait(min(self._next, hold.until))
        self.doing = "renew"
        return self._own_writes.renewal(hold, self.seen, ledger, now, wall)

    def patience(self, now: float) -> float:
        """How many seconds a request sent at ``now`` may take: its timeout, clipped to what is left of the hold."""
        return min(self.config.request_timeout, self.held_until - now if self.hold else math.inf)

    # What came of it

    def saw(self, stored: Stored | None, received_at: float) -> None:
        """A read was answered, or a watch told. Reading never creates or extends a hold."""
        self.expire(received_at)
        if self._observer.is_outdated(stored):  # a lagging cache answered: what was seen before is newer
            self._next = received_at + self._poll()
            self.answer = self.answer or "busy"
            return
        self._observe(stored, received_at)
        self._reread = False
        if self.hold:
            if stored is None:
                self._end("deleted", "the lease was deleted", received_at)
            elif not self.hold.is_in(stored):
                if holder := stored.record.holder_identity:
                    self._end("taken", f"the record now names {holder!r:.80}", received_at)
                else:
                    self._end("freed", "the record was freed", received_at)
            else:
                self.claims.see(stored)
            if self.hold and self._conflicts > PATIENT_CONFLICTS:  # somebody edits faster than we write
                self._next = received_at + self.config.retry_period / 10
        elif self.releasing:
            if stored and self._is_ours(stored):
                self._ours = stored
            else:
                freed = stored is not None and not stored.record.holder_identity and self._own_writes.is_ours(stored)
                self._end_release(released=freed, now=received_at)

    def wrote(self, stored: Stored, sent_at: float, now: float) -> None:
        """Our own write, sent at ``sent_at``, was acknowledged; ``now`` is when the answer was read."""
        if self.seen and stored.uid == self.seen.uid and stored.version <= self.seen.version:
            self.failed(StoreError("the store answered a write without storing anything new"), now)
            return
        self.expire(now)
        before = self.seen
        self._observe(stored, now)
        self._conflicts = 0
        if not stored.record.holder_identity:
            self.claims.wrote(stored, now)
            self._end_release(released=True, now=now)
            return
        self._unjudged = False
        self._take_at = None
        self._own_writes.acknowledged(stored)
        until = sent_at + self.config.renew_deadline
        if self.hold:
            self.hold.until = until
            self._next = self._next_renewal(sent_at)
            self.claims.wrote(stored, now)
        elif self.doing == "renew" or self.releasing or not self._wanted or now >= until:
            self._next = now  # too late to count; the record is ours, though, and the next read shows it
        else:
            self.hold = Hold(
                until=until,
                token=stored.version,
                uid=stored.uid,
                acquire_time=stored.record.acquire_time,
                transitions=stored.record.lease_transitions,
                identity=stored.record.holder_identity,
                taken_from=before.record.holder_identity if before else "",
                written_before=(before.written_at or before.record.renew_time) if before else None,
            )
            self._last_hold = self.hold
            self._next = self._next_renewal(sent_at)
            self.answer = "held"
            self.claims.begin(stored)

    def failed(self, error: StoreError, now: float) -> None:
        """A request was refused, not done, or its outcome is unknown; ``now`` is when that was known."""
        self.expire(now)
        if error.outcome == "conflict":
            self._conflicts += 1  # the store holds another version than we have seen
            self._take_at = None
            self._reread = self.hold is not None
            self._ours = None
            if self.hold or self.releasing:
                self._next = now
            else:  # a lost race: the next poll shows to whom, unless the lease is deleted before
                self._observer.lost_race(now)
                self._next = now + self._poll()
                self.answer = self.answer or "busy"
        elif self.releasing:
            if self.doing in ("acquire", "renew"):  # that write may have landed, and is then to be released
                self._next = now
            else:
                self._end_release(released=False, now=now)
        else:
            self._take_at = None
            self._unjudged = False
            self.answer = self.answer or "failed"
            # A holder goes on trying: a server that has just started denies everything before it knows its roles.
            denied = isinstance(error, AccessDenied) and not self.hold
            self._next = now + (DENIED_RETRY if denied else self._delay(error, now))
            self.claims.delay(self._next)

    # How it comes to that

    def _delay(self, error: StoreError, now: float) -> float:
        wish = error.retry_after or 0.0
        if not self.hold:
            return max(self._poll(), min(wish, DENIED_RETRY))
        backoff = self.config.retry_period / 2 * self._rng.uniform(1, JITTER)
        # A holder heeds the store's wish only while that leaves it time for one more request.
        fits = wish <= self.hold.until - now - self.config.request_timeout
        return max(backoff, wish) if fits else backoff

    def _end(self, ended: Ended, why: str, at: float) -> None:
        hold = self.hold
        if hold:
            self.claims.end()
            self._reread = False
            self._next = at
            hold.ended_at, hold.ended, hold.reason = at, ended, why
            hold.until, self.hold = -math.inf, None  # in one statement: whoever is interrupted before it begins anew

    def _end_release(self, *, released: bool, now: float) -> None:
        self.released = released
        self.releasing = False
        self._ours = None
        # Whoever rests must not take its own record back as if it had never let go.
        if released or self._rest:
            self._own_writes.forget()
        self._rest_until = now + self._rest
        self._look_again(now)

    def _look_again(self, now: float) -> None:
        """Act on nothing that was seen before."""
        self._next = now
        self._take_at = None
        self._unjudged = False

    def _observe(self, stored: Stored | None, at: float) -> None:
        self._observer.see(stored, at, held=self.hold is not None)
        if stored:
            self._own_writes.forget_superseded(stored)
        self._unjudged = True

    def _judge(self, wall: float) -> None:
        """May what was seen be taken, and if not, when to look again."""
        self._unjudged = False
        seen, at = self.seen, self._observer.received_at
        free_at = self._observer.free_at(wall, ours=seen is not None and self._is_ours(seen))
        if self.clock_off:
            free_at = math.inf
        if free_at <= at:  # followers that saw the same release at the same time take it one after the other
            self._take_at = at + (self._rng.uniform(0, HERD_SPREAD) if self._observer.freed_by_another else 0.0)
        else:
            self._take_at = None
            self._next = min(at + self._poll(), free_at)
            self.answer = self.answer or "busy"

    def _is_ours(self, stored: Stored) -> bool:
        if not stored.record.holder_identity:
            return False
        # A release knows its hold's record also when somebody else has edited when it was renewed.
        last = self._last_hold if self.releasing else None
        return self._own_writes.is_ours(stored) or (last is not None and last.is_in(stored))

    def _acquisition(self, now: float, wall: float) -> Write:
        self.doing = "acquire"
        over = self._observer.stored
        # A lease that was deleted is made anew with the ledger it had: what was claimed stays claimed.
        return self._own_writes.acquisition(over, None if over else self._observer.last_ledger, now, wall)

    def _next_renewal(self, sent_at: float) -> float:
        """The next point of the common grid: one renewal per retry period, in company."""
        period = self.config.retry_period
        ahead = period - (sent_at - self._phase) % period
        return sent_at + (ahead if ahead > period / 100 else ahead + period)  # sent just before a point counts as at it

    def _poll(self) -> float:
        return self.config.retry_period * self._rng.uniform(1, JITTER)
