"""Actors that take the lease for fires of one job, as the replicas of a spread guard do."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from singleton_jobs.decisions.actions import Wait
from singleton_jobs.decisions.bids import PlannedBid, Scout
from singleton_jobs.decisions.hold import Hold
from singleton_jobs.decisions.ledger import Claim, Mark, UnreadableLedger, read_ledger
from singleton_jobs.locks.watching import Sight

from simulation.world import START, Actor

JOB = "aps:a"
INTERVAL = timedelta(seconds=10)  # from one run to the next, counted from the mark
RUN = 2.0  # seconds of each
SHORT = 4.0  # seconds that are waited for the next request


class Bidder(Actor):
    """One replica: it plans by the mark that it has seen, bids for what is due, and runs it under its term."""

    repeats = False  # runs that were cut short run again

    def begin(self) -> None:
        """A new process knows nothing, and wants nothing."""
        self.plan: Mark | None = None
        self.bidden: tuple[Claim, ...] | None = None  # what the attempt under way is for; None: there is none
        self.running: list[Claim] = []
        self.won: list[Claim] = []  # granted, in all
        self.watching = True
        self.term: Hold | None = None
        self._told: int | None = None

    @property
    def wishes(self) -> list[Claim]:
        return self.won

    @property
    def mark(self) -> Mark | None:
        """The job's mark, as far as it was seen here."""
        seen = self.candidate.seen
        try:
            return read_ledger(seen.ledger if seen else None).get(JOB)
        except UnreadableLedger:
            return None

    @property
    def busy(self) -> bool:
        return self.bidden is not None or self.candidate.releasing

    # What a scheduler does

    def see(self) -> None:
        """Plan by the present mark."""
        self.plan = self.mark

    def bid(self, count: int = 1, *, turn: float = 0.0, waits: bool = False) -> None:
        """Bid for the next ``count`` fires by the plan, or to run again what was cut short, if nothing is under way."""
        if self.busy:
            return
        plan = self.plan
        if plan and plan.attempts:
            cut = plan.attempts[0]
            claims = [self._claim(cut.fire, after=cut)]
        else:
            before = (plan.fire if plan else START) + timedelta(seconds=self.number)  # triggers differ, as by a jitter
            claims = [self._claim(before + INTERVAL * number) for number in range(1, count + 1)]
        self._start(claims, turn, waits=waits)

    def bid_for_nothing(self, first: datetime | None = None) -> None:
        """Take the lease to tell its ledger something."""
        if not self.busy:
            if first:
                self.candidate.claims.introduce({JOB: first})
            self._start(())

    def scout(self) -> None:
        """Look whether it may be taken, or when it may be."""
        if not self.busy and not self.candidate.wanted:
            self.candidate.start(self.now, Scout())

    def finish(self) -> None:
        """What runs has come to its end."""
        for claim in self.running:
            self.candidate.claims.done(claim.job, claim.nonce)
            self.world.done.add(claim.nonce)
        self.leave()

    def cut(self) -> None:
        """What runs is cut short, in a process that lives on."""
        for claim in self.running:
            if claim.repeats:
                self.candidate.claims.give_up(claim)
            else:
                self.candidate.claims.done(claim.job, claim.nonce)
                self.world.told.add(claim.nonce)
        self.leave()

    def leave(self) -> None:
        """The attempt is over."""
        self.running, self.bidden = [], None
        if self.candidate.hold or self.candidate.wanted:
            self.candidate.stop(self.now)
        self.settle()

    def hear_of(self, versions_back: int = 0) -> None:
        """A watch tells, perhaps late; nothing is told while a request is under way."""
        history = self.world.store.history
        if self.flight is None:
            found = history[max(0, len(history) - 1 - versions_back)]
            self.candidate.told(Sight(found, found.version if found else 0), self.now)
            self.settle()

    def go_blind(self) -> None:
        """The watch can tell nothing for now."""
        self._told = None
        if self.flight is None:
            self.candidate.told(None, self.now)
            self.settle()

    def schedule(self) -> None:
        """What a scheduler does by itself."""
        if self.flight:
            return
        version = len(self.world.store.history)
        if self.watching and version != self._told:
            self._told = version
            self.hear_of()
        candidate = self.candidate
        if self.term:
            if not self.running or self.now - self._since > RUN:
                self.finish()
        elif self.running:
            self.cut()
        elif self.bidden is not None:
            if not candidate.wanted:
                self.leave()
        elif not (candidate.releasing or candidate.wanted):
            if not (candidate.knows(self.now) and candidate.is_free(self.wall)):
                self.scout()
            else:
                self.see()
                if self.due:
                    self.bid()

    @property
    def due(self) -> bool:
        """Whether its plan has something to run by now."""
        plan, time = self.plan, START + timedelta(seconds=self.world.time)
        return plan is None or bool(plan.attempts) or plan.state == "c" or plan.fire + INTERVAL <= time

    # What the candidacy does

    def settle(self) -> None:
        hold = self.candidate.hold
        if self.term and self.term is not hold:
            if self.term.ended != "released":
                self.candidate.abandon(self.now, "")
            self.term = None
        if hold and self.term is None:
            assert self.bidden is not None, "held, and nobody wanted it"
            self.term, self._since = hold, self.now
            self.running = [claim for claim in self.bidden if claim.outcome == "granted"]
            over = all(claim.after and claim.after.nonce in self.world.done for claim in self.bidden)
            assert self.running or over, f"taken without what it was wanted for: {self.bidden}"
            self.won += self.running
            (landed,) = (each for each in self.world.store.history if each and each.version == hold.token)
            assert all(claim.is_in(read_ledger(landed.ledger)[JOB]) for claim in self.running), "granted by nobody"

    def act(self) -> Wait | None:
        self.candidate.expire(self.now)
        self.settle()
        if self.world.calm:
            self.schedule()
        wait = super().act()
        self.settle()
        return Wait(min(wait.until, self.now + 1.0)) if wait and self.world.calm else wait

    def work(self) -> None:
        """One request, after a wait if it is a short one."""
        self.wait()
        super().work()

    def wait(self) -> None:
        """Until it has something to ask, but not for long."""
        wait = self.act()
        if wait and not self.candidate.hold and wait.until - self.now < SHORT:
            self.world.time = max(self.world.time, self.at(wait.until) + 1e-6)

    def strand(self) -> None:
        """One request that lands after its sender has given up, or never."""
        self.wait()
        self.act()
        self.time_out()

    def lose_the_answer(self) -> None:
        """One request that lands, and nobody says so."""
        self.wait()
        self.act()
        self.land()
        self.time_out()

    def hear_late(self) -> None:
        """One request whose answer is read after the deadline that it would set."""
        self.wait()
        self.act()
        self.land()
        self.world.time += 11.0
        self.hear()

    def heed(self) -> None:
        """No lease of a job is given back because of a clock."""

    def hear(self) -> None:
        super().hear()
        self.settle()
        self.world.note()

    def time_out(self) -> None:
        super().time_out()
        self.settle()

    def _claim(self, fire: datetime, after: object = None) -> Claim:
        repeats = self.repeats or after is not None
        return Claim(JOB, fire, self.new_nonce(), repeats=repeats, after=after, by=self.candidate.identity)

    def _start(self, claims: Sequence[Claim], turn: float = 0.0, *, waits: bool = False) -> None:
        self.bidden = tuple(claims)
        self.claims += claims
        self.candidate.start(self.now, PlannedBid(JOB, self.plan, self.bidden, turn, waits))


class Repeater(Bidder):
    """Of a job whose runs that were cut short run again."""

    repeats = True
