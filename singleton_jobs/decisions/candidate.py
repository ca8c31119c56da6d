"""One lease's decisions: what to send next, given what was seen and when. No I/O, no clock, no thread.

Safety rests on four of the rules in rules.py. A hold is valid until ``sent_at + renew_deadline`` of the last own write
that was acknowledged, measured from *before* it was sent (1). A follower takes a record only after seeing it unchanged
for the record's own duration, measured from *after* it was received (7). The margin between the two
(``lease_duration - renew_deadline``) covers stalls and clock rates (3). And every write is a compare-and-swap, so of
two candidates that both believe they may write, one is refused (10).
"""

import math
from typing import Literal

from ..config import Config
from ..errors import StoreError
from ..locks.record import Stored
from ..locks.watching import Sight
from .actions import Action, Delete, Read, Wait
from .bids import Bid
from .hold import Ended, Hold
from .ledger import AHEAD, kept_until
from .observer import Observer
from .open_claims import OpenClaims
from .own_writes import OwnWrites
from .pace import Chance, Pace
from .store_clock import StoreClock

__all__ = ["Answer", "Candidate"]

PATIENT_CONFLICTS = 2  # met in a row before renewals give way a little

Answer = Literal["held", "busy", "failed", "declined"]


class Candidate:
    """Candidacy of one identity for one lease.

    `decide` says what to do; the caller does it, one request at a time, and reports with `saw`, `wrote` or `failed`.
    All instants are seconds of boot time. ``phase`` (seconds) aligns the renewals of many candidates, so that they
    share wake-ups. ``ephemeral``: the lease exists only while it is held, or a mark in its ledger counts; so it is
    created without a look, deleted when it is given back, and free when it has vanished.

    It stands in one of these states, the first that fits (``take_at`` is the observer's). Flags that a row does not
    name are free; no other product occurs.

    ==================== ==== ========= ======= ======= ===== ======= ================================
    state                hold releasing _wanted take_at _ours _reread besides
    ==================== ==== ========= ======= ======= ===== ======= ================================
    idle                 no   no        no              no    no
    barred               no   no        yes             no    no      barred
    resting              no   no        yes     no      no    no      ``now < _rest_until``
    about to take        no   no        yes     yes     no    no
    looking              no   no        yes     no      no    no      ``_next <= now``
    waiting              no   no        yes     no      no    no      ``now < _next``
    leading              yes  no        yes     no      no            not barred, answer is ``"held"``
    giving back: looking no   yes               no      no    no
    giving back: writing no   yes               no      yes   no
    ==================== ==== ========= ======= ======= ===== ======= ================================
    """

    def __init__(
        self,
        identity: str,
        config: Config,
        rng: Chance,
        phase: float = 0.0,
        *,
        ephemeral: bool = False,
        store_clock: StoreClock | None = None,
    ) -> None:
        self.identity = identity
        self.config = config
        self.hold: Hold | None = None
        self.barred = False  # by the caller: work of an ended term still runs, and would make a new one skip everything
        self.answer: Answer | None = None  # what came of the attempt under way
        self.releasing = False  # the record may name us, and is to be freed if it does
        self._release_until = -math.inf  # when the hold that is given back would have ended
        self.claims = OpenClaims()
        self.released = False  # whether the last release freed the lease
        self.doing: Literal["read", "acquire", "renew", "release"] = "read"  # the last request
        self.store_clock = store_clock or StoreClock()
        self._ephemeral = ephemeral
        self._pace = Pace(config, rng, phase)
        self._wanted = False
        self._bid: Bid | None = None  # what the lease is wanted for; None: for as long as somebody wants it
        self._bid_from = -math.inf  # others bid at the same instant
        self._unsure = False  # a write of the bid may have landed
        self.raced = False  # another was faster than a write of the last bid
        self._next = -math.inf  # a holder's next renewal, anyone else's next read
        self._last_hold: Hold | None = None  # the present or latest one, by which a release knows its record
        self._reread = False  # a holder's write met a conflict: the record is read before the next one
        self._conflicts = 0  # met in a row; any write of ours that is acknowledged ends the row
        self._rest = 0.0  # seconds of rest after the release under way
        self._rest_until = -math.inf  # another may lead meanwhile: we do not compete before
        self._ours: Stored | None = None  # what the release under way replaces: the record, as far as is known
        self._observer = Observer(identity, config, self._pace, ephemeral=ephemeral)
        self._own_writes = OwnWrites(identity, config)

    @property
    def seen(self) -> Stored | None:
        """What was last seen stored."""
        return self._observer.stored

    @property
    def last_ledger(self) -> str | None:
        """The ledger that was last seen, also of a lease that has vanished since."""
        return self._observer.ledger

    @property
    def wanted(self) -> bool:
        """Whether the program wants to lead, now or after the release under way."""
        return self._wanted

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
        skew = self.store_clock.skew
        return skew if self._carries and abs(skew) > AHEAD.total_seconds() else 0.0

    @property
    def _carries(self) -> bool:
        """Whether the lease has fires, or will have."""
        return self._observer.ledger is not None or self.claims.wanted

    def knows(self, now: float) -> bool:
        """Whether what was seen last is how the lease is, as far as one can know without asking."""
        return self._observer.is_seen and (
            self._pace.told or now - self._observer.received_at < self.config.retry_period
        )

    @property
    def is_seen(self) -> bool:
        """Whether it was ever seen, or seen not to exist."""
        return self._observer.is_seen

    def is_free(self, wall: float) -> bool:
        """Whether what was seen last may be taken."""
        observer, ours = self._observer, self.seen is not None and self._own_writes.is_ours(self.seen)
        busy = self.hold or self.releasing or self.clock_off
        return not busy and observer.free_at(wall, ours=ours) <= observer.received_at

    # What the program asks for

    def rename(self, identity: str) -> None:
        """Be called ``identity`` from the next acquisition on; what was written before stays known as ours."""
        if self.hold is None:
            self.identity = self._observer.identity = self._own_writes.identity = identity

    def start(self, now: float, bid: Bid | None = None) -> None:
        """Compete from now on, beginning at once with a read, or with the creation of what is presumed not to exist.

        For a ``bid`` the lease is taken once, by a write that claims, and by what was just seen, if that is known.
        """
        self._wanted = True
        self._bid, self._unsure, self.raced = bid, False, False
        self._bid_from = now + bid.turn if bid else -math.inf
        self.answer = "held" if self.hold else None
        if not self.hold:
            self._look_again(now)
            if bid:
                # Whoever waits may have to for long: what was seen busy, and nobody watches, is read again.
                busy = bid.waits and not self._pace.told and self.seen and self.seen.record.holder_identity
                if not self.releasing and self.knows(now) and not busy:
                    self._observer.unjudged = True
            if not self.releasing and now >= self._rest_until:
                self._observer.presume_free(now)

    def stop(self, now: float) -> None:
        """Compete no longer; an acquisition under way is handed back as soon as it is seen to have landed."""
        self._wanted = self.released = False
        self._drop_bid()
        if self.may_be_stored:
            self.release(now)

    def release(self, now: float, *, again: bool = False, rest: float = 0.0) -> None:
        """End the hold here, then free the lease if the stored record is ours.

        ``again`` keeps competing afterwards, but not within ``rest`` seconds, so that another may lead.
        """
        self._drop_bid()
        self._ours = self.seen if self.hold else None  # if that is not the newest, the write is refused
        self._release_until = self.hold.until if self.hold else max(self._release_until, now)  # it may be asked again
        self._end("released", "it was released", now)
        self._wanted = again
        self._rest = rest
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
        self.store_clock.compare(now, wall)
        self.doing = "read"
        if self.hold:
            return self._keep(self.hold, now, wall)
        if self.releasing:
            if self._ours:
                return self._give_back(self._ours, now, wall)
            return Read() if now >= self._next else Wait(self._next)
        if not self._wanted:
            return Wait(math.inf)
        if self.barred or now < self._rest_until:
            self.answer = self.answer or "busy"
            return Wait(math.inf if self.barred else self._rest_until)
        if self._observer.unjudged and self._judge(wall) and self._bid and not self._bid.waits:
            return self._end_bid("busy", now, wall)
        take_at = self._observer.take_at
        if take_at is not None:
            return self._take(max(take_at, self._bid_from), now, wall)
        return Read() if now >= self._next else Wait(self._next)

    def _take(self, at: float, now: float, wall: float) -> Action:
        if now < at:
            return Wait(at)
        if self._bid and not self._bids(self._bid, now, wall):
            return self._end_bid("declined", now, wall)
        # Whoever is told of everything has to ask for the time.
        ask = (
            self._carries
            and not self._observer.presumed
            and now - self.store_clock.asked_at > self.config.lease_duration
        )
        return Read() if ask else self._acquisition(now, wall)

    def _give_back(self, ours: Stored, now: float, wall: float) -> Action:
        self.doing = "release"
        time = self.store_clock.time(now, wall)
        ledger = self.claims.ledger(ours, time)  # of ended runs alone
        if self._ephemeral:
            kept = kept_until(ours.ledger if ledger is None else ledger)
            if kept is None or kept <= time:
                return Delete(ours)
        return self._own_writes.release(ours, ledger, now, wall)

    def _keep(self, hold: Hold, now: float, wall: float) -> Action:
        due = self.next_step(now)
        if now < due:
            return Wait(due)
        if self._reread:
            return Read()
        ledger = self.claims.ledger(self.seen, self.store_clock.time(now, wall))
        if ledger is None and now < self._next:  # the claims were settled without a write
            return Wait(min(self._next, hold.until))
        self.doing = "renew"
        return self._own_writes.renewal(hold, self.seen, ledger, now, wall)

    def _drop_bid(self) -> None:
        if self._bid and not self.hold:
            self.claims.end()  # what may have landed is taken back by the write that frees the lease
        self._bid = None

    def _bids(self, bid: Bid, now: float, wall: float) -> bool:
        """Whether the lease is wanted as it is; what for is what the write that takes it is to claim."""
        self.claims.bid(bid, self._observer.ledger, self.store_clock.time(now, wall), now)
        return self.claims.bidden

    def _end_bid(self, answer: Answer, now: float, wall: float) -> Action:
        """The lease is another's, or not wanted as it is; a write of ours that may have landed is undone."""
        self.answer = answer
        if self.claims.hopeless:  # by a clock, or by what others keep there: asking again at once is in vain
            self._rest_until = now + self._pace.poll()
        self.stop(now)
        return self.decide(now, wall)

    def next_step(self, now: float) -> float:
        """When `decide` is to be asked next, as far as that can be said without asking it."""
        hold = self.hold
        return min(self._next, self.claims.due(), hold.until) if hold else now

    def patience(self, now: float) -> float:
        """How many seconds a request sent at ``now`` may take: its timeout, clipped to what is left of the hold."""
        return min(self.config.request_timeout, self.held_until - now if self.hold else math.inf)

    # What came of it

    def saw(self, stored: Stored | None, received_at: float) -> None:
        """A read was answered. Reading never creates or extends a hold."""
        self.store_clock.tune(stored, received_at)
        self._saw(stored, received_at)

    def _saw(self, stored: Stored | None, received_at: float) -> None:
        self.expire(received_at)
        if self._observer.is_outdated(stored):  # a lagging cache answered: what was seen before is newer
            self._next = received_at + self._pace.poll()
            self.answer = self.answer or "busy"
            return
        self._observe(stored, received_at)
        reread, self._reread = self._reread, False
        if self.hold:
            if loss := self.hold.loss(stored):
                self._end(*loss, received_at)
            else:
                self.claims.see(stored)
                if reread and self._conflicts > PATIENT_CONFLICTS:  # somebody edits faster than we write
                    self._next = received_at + self.config.retry_period / 10
        elif self.releasing and stored is None and self._ephemeral:
            self._end_release(released=True, now=received_at)
        elif self.releasing:
            ours, last = stored is not None and self._own_writes.is_ours(stored), self._last_hold
            # The hold's record is known also when somebody else has edited when it was renewed.
            if stored and stored.record.holder_identity and (ours or (last is not None and last.is_in(stored))):
                self._ours = stored
            else:
                self._end_release(released=ours, now=received_at)

    def told(self, sight: Sight | None, now: float) -> bool:
        """A watch told, or can tell nothing for now (None); no request is under way. Whether that asks for a decision.

        It may lag, and so end a hold, but prove neither that one lasts nor what became of a release, nor tell the time.
        """
        before, hold, news = self.seen, self.hold, (sight is not None) is not self._pace.told
        self._pace.told = sight is not None
        if sight is None:
            if not self.hold:
                self._next = min(self._next, now + self._pace.poll())
        elif not self.releasing and not (before and self._is_old(sight, before)):
            stored = sight.stored
            self._saw(stored, now)
            news = news or not (before and stored and stored.record.holder_identity and before.is_renewed_by(stored))
        return news or self.hold is not hold

    def _is_old(self, sight: Sight, before: Stored) -> bool:
        """Whether there is something newer, as is known since it was seen, or as a write was refused."""
        refused = bool(self._conflicts) and sight.stored is not None and sight.stored.abandoned == before.abandoned
        return sight.version < before.version or (refused and sight.version == before.version)

    def wrote(self, stored: Stored, sent_at: float, now: float) -> None:
        """Our own write, sent at ``sent_at``, was acknowledged; ``now`` is when the answer was read."""
        if self.seen and stored.uid == self.seen.uid and stored.version <= self.seen.version:
            self.failed(StoreError("the store answered a write without storing anything new"), now)
            return
        self.expire(now)
        before = self.seen
        self.store_clock.tune(stored, now)
        self._observe(stored, now)
        self._conflicts = 0
        if not stored.record.holder_identity:
            self.claims.wrote(stored, now)
            self._end_release(released=True, now=now)
            return
        self._observer.dismiss()
        self._own_writes.acknowledged(stored)
        until = sent_at + self.config.renew_deadline
        if self.hold:
            self.hold.until = until
            self._next = self._pace.next_renewal(sent_at)
            self.claims.wrote(stored, now)
        elif self.releasing:
            self._ours = stored
        elif self.doing == "renew" or not self._wanted or now >= until:
            self._next = now  # too late to count; the record is ours, though, and the next read shows it
        else:
            self.hold = self._last_hold = Hold.begun(stored, before, until)
            self._pace.raced(refused=False)
            self._next = self._pace.next_renewal(sent_at)
            self.answer = "held"
            self._bid = None
            self.claims.begin(stored, now)

    def deleted(self, now: float) -> None:
        """Our own `Delete` was acknowledged, which frees the lease."""
        self._observe(None, now)
        self._conflicts = 0
        self.claims.wrote(None, now)
        self._end_release(released=True, now=now)

    def failed(self, error: StoreError, now: float) -> None:
        """A request was refused, not done, or its outcome is unknown; ``now`` is when that was known."""
        self.expire(now)
        if error.outcome == "conflict":
            self._conflicts += 1  # the store holds another version than we have seen
            presumed = self._observer.presumed
            self._observer.dismiss()
            self._reread = self.hold is not None
            self._ours = None
            self.raced = self._bid is not None
            if self.hold or self.releasing or presumed:
                self._next = now
            elif self._bid and (self._unsure or not self._pace.told):  # else a watch tells who was faster
                self._observer.lost_race(now)
                self._next = now
            else:  # a lost race: the next poll shows to whom, unless the lease is deleted before
                self._observer.lost_race(now)
                self._pace.raced(refused=True)
                self._next = now + self._pace.poll()
                self.answer = self.answer or "busy"
        elif self.releasing:
            if self.doing in ("acquire", "renew"):  # that write may have landed, and is then to be released
                self._next, self._ours = now, None
            elif self.claims.untold and now < self._release_until:  # a run that has ended would pass for cut short
                self._next, self._ours = now + self._pace.retry(error, self._release_until - now), None
            else:
                self._end_release(released=False, now=now)
        else:
            self._observer.dismiss()
            self._unsure = self._unsure or (self.doing == "acquire" and error.outcome == "unknown")
            self.answer = self.answer or "failed"
            self._next = now + self._pace.retry(error, self.hold.until - now if self.hold else None)
            self.claims.delay(self._next)

    # How it comes to that

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
        self._observer.dismiss()

    def _observe(self, stored: Stored | None, at: float) -> None:
        self._observer.see(stored, at, held=self.hold is not None)
        if stored:
            self._own_writes.forget_superseded(stored)

    def _judge(self, wall: float) -> bool:
        """Whether another is found to hold it."""
        seen = self.seen
        ours = seen is not None and self._own_writes.is_ours(seen)
        look_at = self._observer.judge(wall, ours=ours, shunned=bool(self.clock_off))
        if look_at is not None:
            self._next = look_at
            self.answer = self.answer or "busy"
        return look_at is not None

    def _acquisition(self, now: float, wall: float) -> Action:
        over = self.seen
        # A lease that was deleted is made anew with the ledger it had: what was claimed stays claimed.
        ledger = None if over else self._observer.last_ledger
        if self._bid:
            ledger = self.claims.ledger(over, self.store_clock.time(now, wall), ledger) or ledger
            if not self.claims.bidden:
                return self._end_bid("declined", now, wall)
        self.doing = "acquire"
        return self._own_writes.acquisition(over, ledger, now, wall)
