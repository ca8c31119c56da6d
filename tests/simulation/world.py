"""Three candidates, one compare-and-swap store, and a network that loses, delays and reorders; no threads, no I/O."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from singleton_jobs.decisions.actions import Delete, Read, Wait, Write
from singleton_jobs.decisions.candidate import Candidate
from singleton_jobs.decisions.hold import Hold
from singleton_jobs.config import Config
from singleton_jobs.errors import Conflict, StoreError
from singleton_jobs.decisions.ledger import Claim, Mark
from singleton_jobs.locks.record import Stored

from simulation.states import illegal

CONFIG = Config()
LATENCY = 0.02
REPEATED = ("aps:r", "app:s")  # jobs whose fires run again if they were cut short
START = datetime.fromtimestamp(1_800_000_000.0, UTC)  # by the store's clock


class Store:
    """Every version it ever had, so that a read may return an old one."""

    def __init__(self) -> None:
        self.history: list[Stored | None] = [None]
        self._version = 0
        self._objects = 0

    @property
    def current(self) -> Stored | None:
        return self.history[-1]

    def put(self, write: Write | Delete) -> Stored | Conflict | None:
        found, wanted = self.current, write.replaces
        if wanted is None:
            if found is not None:
                return Conflict("exists")
            self._objects += 1
            return self._store(Stored(write.record, write.ledger, f"uid-{self._objects}", 0))
        if found is None or (found.uid, found.version) != (wanted.uid, wanted.version):
            return Conflict("another version")
        if isinstance(write, Delete):
            return self.delete()
        return self._store(replace(found, record=write.record, ledger=write.ledger or found.ledger))

    def edit(self) -> None:
        """Somebody annotates the lease."""
        if self.current is not None:
            self._store(self.current)

    def delete(self) -> None:
        self.history.append(None)

    def _store(self, stored: Stored) -> Stored:
        self._version += 1
        self.history.append(replace(stored, version=self._version))
        return self.history[-1]


@dataclass
class Flight:
    """One request on its way: sent, perhaps landed, not yet answered."""

    action: Read | Write | Delete
    sent_at: float
    landed: bool = False
    result: Stored | Conflict | None = None


class Actor:
    """One replica: a candidate, its own clocks, and at most one request under way."""

    def __init__(self, world: "World", number: int, rate: float) -> None:
        self.world = world
        self.number = number
        self.rate = rate
        self.offset = 1000.0 * number
        self.wall_offset = START.timestamp()
        self.claims: list[Claim] = []
        self.generation = 0
        self._nonces = 0
        self.flight: Flight | None = None
        self.reborn()

    def reborn(self) -> None:
        """The process starts anew, with a new identity; what was sent may still land."""
        self.give_up_flight()
        self.generation += 1
        identity = f"actor-{self.number}_{self.generation}"
        self.candidate = Candidate(
            identity, CONFIG, random.Random(f"{self.number}/{self.generation}"), ephemeral=self.world.ephemeral
        )
        self.claims = []
        self.begin()

    def begin(self) -> None:
        """What the new process wants."""
        self.candidate.start(self.now)

    def claim(self, job: str, second: int) -> Claim:
        """Claim the fire of that second, under the term held here; those of some jobs may run again."""
        return self._ask(Claim(job, START + timedelta(seconds=second), self.new_nonce(), repeats=job in REPEATED))

    def claim_again(self) -> None:
        """Follow every attempt that was cut short."""
        for job, attempts in self.candidate.claims.cut().items():
            for attempt in attempts:
                self._ask(Claim(job, attempt.fire, self.new_nonce(), repeats=True, after=attempt))

    def new_nonce(self) -> str:
        self._nonces += 1
        return f"{self.candidate.identity}/{self._nonces}"

    @property
    def wishes(self) -> list[Claim]:
        """The claims whose grants count."""
        return self.claims

    def _ask(self, claim: Claim) -> Claim:
        self.claims.append(claim)
        self.candidate.claims.add(claim, self.now)
        return claim

    @property
    def now(self) -> float:
        return self.offset + self.rate * self.world.time

    @property
    def wall(self) -> float:
        return self.wall_offset + self.world.time

    def at(self, local: float) -> float:
        """The true time at which its clock shows ``local``."""
        return (local - self.offset) / self.rate

    @property
    def holds(self) -> bool:
        return self.now < self.candidate.held_until

    def act(self) -> Wait | None:
        """Send the next request, if it is time for one; how long to wait otherwise."""
        if self.flight:
            return None
        self.heed()
        action = self.candidate.decide(self.now, self.wall)
        if isinstance(action, Wait):
            return action
        self.flight = Flight(action, self.now)
        return None

    def heed(self) -> None:
        """A leader whose clock is off lets others lead."""
        if self.candidate.clock_off and self.candidate.hold:
            self.candidate.release(self.now, again=True)

    def land(self, *, versions_back: int = 0) -> None:
        """The store carries out the request; a read may be answered from the past."""
        flight, history = self.flight, self.world.store.history
        if flight is None or flight.landed:
            return
        flight.landed = True
        if isinstance(flight.action, Read):
            flight.result = history[max(0, len(history) - 1 - versions_back)]
        else:
            flight.result = self.world.store.put(flight.action)
        if isinstance(flight.result, Stored):
            flight.result = replace(flight.result, served_at=START + timedelta(seconds=self.world.time))

    def hear(self) -> None:
        """The answer to what landed arrives."""
        flight = self.flight
        if flight is None or not flight.landed:
            return
        self.flight = None
        if isinstance(flight.result, Conflict):
            self.candidate.failed(flight.result, self.now)
        elif isinstance(flight.action, Write):
            assert flight.result is not None
            self.candidate.wrote(flight.result, flight.sent_at, self.now)
        elif isinstance(flight.action, Delete):
            self.candidate.deleted(self.now)
        else:
            self.candidate.saw(flight.result, self.now)
        self.world.note()

    def time_out(self) -> None:
        """No answer came; a write that has not landed may land later."""
        if self.flight:
            self.give_up_flight()
            self.candidate.failed(StoreError("no answer"), self.now)

    def be_refused(self) -> None:
        """The request certainly did nothing."""
        if self.flight and not self.flight.landed:
            self.flight = None
            self.candidate.failed(StoreError("refused", outcome="not done"), self.now)

    def give_up_flight(self) -> None:
        flight, self.flight = self.flight, None
        if flight and not isinstance(flight.action, Read) and not flight.landed:
            self.world.late.append(flight.action)

    def work(self) -> None:
        """One request, at once, all well."""
        self.act()
        self.land()
        self.hear()


class World:
    """True time, and what must hold at every instant of it."""

    def __init__(
        self,
        rates: tuple[float, ...] = (1.0, 1.0, 1.0),
        *,
        clocks_fail: bool = False,
        ephemeral: bool = False,
        actor: type[Actor] = Actor,
    ) -> None:
        self.time = 0.0
        self.calm = False  # everybody acts by himself
        self.done: set[str] = set()  # nonces of runs that have ended
        self.told: set[str] = set()  # those of runs that their own process has told to have been cut short
        self.ephemeral = ephemeral  # the lease goes with its hold
        self.clocks_fail = clocks_fail  # then two may hold at once; a fire is granted once all the same
        self.granted: dict[tuple[str, datetime, int], Claim] = {}
        self.interrupted: list[tuple[str, str, Mark]] = []  # who told of which job's fire
        self.store = Store()
        self.late: list[Write | Delete] = []
        self.terms: list[Hold] = []
        self.actors = [actor(self, number, rate) for number, rate in enumerate(rates)]

    def note(self) -> None:
        """Look for new terms and grants, and check what was promised."""
        for actor in self.actors:
            wrong = illegal(actor.candidate, actor.now)
            assert wrong is None, f"in no legal state: {wrong}"
            hold = actor.candidate.hold
            if hold is not None and hold not in self.terms:
                assert all(term.token < hold.token for term in self.terms), "a fencing token did not grow"
                self.terms.append(hold)
            for claim in actor.wishes:
                if claim.outcome == "granted":
                    first = self.granted.setdefault((claim.job, claim.fire, claim.attempt.number), claim)
                    assert first is claim, f"granted twice: {first} and {claim}"
            claims = actor.candidate.claims
            told, claims.interrupted = claims.interrupted, {}
            for job, mark in told.items():
                entry = (actor.candidate.identity, job, mark)
                assert entry not in self.interrupted, f"told twice: {entry}"
                self.interrupted.append(entry)
        assert self.clocks_fail or len(self.holders) <= 1, f"held at once by {self.holders}"

    @property
    def holders(self) -> list[str]:
        return [actor.candidate.identity for actor in self.actors if actor.holds]

    def run_well(self, limit: float, without: int | None = None) -> Iterator[float]:
        """From now on nothing fails: everybody acts when it is time to; yields after every step."""
        self.calm = True
        try:
            yield from self._run_well(limit, without)
        finally:
            self.calm = False

    def _run_well(self, limit: float, without: int | None) -> Iterator[float]:
        end = self.time + limit
        awake = [actor for actor in self.actors if actor.number != without]
        while self.time < end:
            waits = []
            for actor in awake:
                wait = actor.act()
                if actor.flight:
                    waits.append(self.time + LATENCY)
                elif wait:
                    waits.append(actor.at(wait.until))
            self.time = min([end, *(max(wait, self.time + 0.001) for wait in waits)])
            for actor in awake:
                if actor.flight and self.time - actor.at(actor.flight.sent_at) >= LATENCY - 0.001:
                    actor.land()
                    actor.hear()
            self.note()
            yield self.time
