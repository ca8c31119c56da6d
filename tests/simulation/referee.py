"""Watches a simulated cluster after every step, and says which promise was broken."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from singleton_jobs.decisions.ledger import Claim, Mark, UnreadableLedger, read_ledger
from singleton_jobs.keys import keyed_name
from singleton_jobs.locks.record import LEDGER_ANNOTATION
from singleton_jobs.term import Term

from simulation.spreading import BASE, SPREAD
from simulation.states import illegal, illegal_drain

if TYPE_CHECKING:
    from simulation.cluster import Cluster
    from simulation.process import Process

EXACT = 1e-3  # seconds that a fire's time is compared within
SLACK = 0.05  # seconds within which the end of a hold is told


class Broken(Exception):
    """A promise does not hold."""


@dataclass(eq=False)
class Ask:
    """One claim, from the moment it was made."""

    process: Process
    lease: str
    job: str
    fire: float
    transitions: int  # of the term that it was made under
    attempt: int = 1
    outcome: str = "open"  # then "granted", "refused" or "undecided"
    landed: bool = False


@dataclass
class Tally:
    """What happened, for the scoreboard."""

    runs: int = 0
    failovers: int = 0
    terms: int = 0
    starts: int = 0
    grants: int = 0
    bids: int = 0  # granted
    reruns: int = 0
    effects: int = 0
    stale_refused: int = 0
    clock_steps: int = 0
    stalls: int = 0
    swallowed: int = 0
    crash_gaps: list[float] = field(default_factory=list)
    release_gaps: list[float] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


class Referee:
    """Everything here is read from outside; nothing is asked of a replica that would change it."""

    def __init__(self, cluster: Cluster) -> None:
        self.tally = Tally()
        self.verdict: Broken | None = None  # library code may swallow what is raised inside it
        self.tampered: dict[
            str, float
        ] = {}  # leases that were deleted or whose record was edited: until when two may hold
        self._cluster = cluster
        self._deadlines: dict[tuple[Process, str], float] = {}
        self._terms: dict[tuple[Process, str], Term] = {}
        self._newest: dict[str, tuple[int, str]] = {}  # the newest token of each lease, and whose it was
        self._sink: dict[str, int] = defaultdict(int)
        self._working: dict[str, dict[object, tuple[Process, Term]]] = defaultdict(dict)
        self._asks: dict[tuple[str, str], list[Ask]] = defaultdict(list)
        self._granted: dict[tuple[str, str, float], Ask] = {}
        self._attempts: dict[tuple[str, str, float, int], Ask] = {}
        self._open: dict[str, dict[str, Mark]] = {}  # the marks of each lease with attempts that have not ended
        self._nonces: dict[tuple[str, str], str] = {}
        self._claimed: dict[str, set[str]] = defaultdict(set)  # every nonce that was ever stored

    def broken(self, what: str) -> None:
        """A promise is broken; the first time counts."""
        self._cluster.note("referee", what)
        self.verdict = self.verdict or Broken(what)
        raise self.verdict

    # Told by the network

    def acknowledged(self, process: Process, lease: str, sent_at: float) -> None:
        """A write of ``process``, sent at ``sent_at`` of its clock, got a 2xx that it has read."""
        until = sent_at + process.config.renew_deadline
        key = process, lease
        self._deadlines[key] = max(until, self._deadlines.get(key, -math.inf))

    def stored(self, lease: str, raw: dict[str, Any]) -> None:
        """A candidate's write was accepted: find the claims that landed with it."""
        text = (raw["metadata"].get("annotations") or {}).get(LEDGER_ANNOTATION)
        of = raw["spec"].get("holderIdentity"), raw["spec"]["leaseTransitions"]
        try:
            marks = read_ledger(text)
        except UnreadableLedger:
            return
        self._open[lease] = {job: mark for job, mark in marks.items() if mark.attempts}
        for job, mark in marks.items():
            self._claimed[lease].update((mark.nonce, *(each.nonce for each in mark.attempts)))
            key = lease, job.partition(":")[2]
            if self._nonces.get(key) == mark.nonce:
                continue
            self._nonces[key] = mark.nonce
            for ask in self._asks[key]:
                by = ask.process.identity, ask.transitions
                if by == of and ask.outcome != "refused" and ask.fire <= mark.fire.timestamp():
                    ask.landed = True

    # Told by guarded work

    def started(self, process: Process, lease: str, term: Term, work: object) -> None:
        """Guarded work begins; its check was the last time that ``process`` read its clock."""
        self.tally.starts += 1
        checked_at = process.last_read
        if not checked_at < self._deadlines.get((process, lease), -math.inf):
            self.broken(f"promise 3: {process} started under {lease} at {checked_at:.3f}, after its deadline")
        if checked_at == process.host.now() and lease not in self.tampered:
            for other, theirs in self._working[lease].values():
                if other is not process and other.awake:
                    self.broken(f"promise 1: {process} started under {term}, while {other} works under {theirs}")
        self._working[lease][work] = process, term

    def ended(self, lease: str, work: object) -> None:
        self._working[lease].pop(work, None)

    def wrote(self, process: Process, lease: str, term: Term) -> None:
        """An effect of ``process`` reaches a sink that refuses older tokens than the newest it has seen."""
        self.tally.effects += 1
        if term.fencing_token >= self._sink[lease]:
            self._sink[lease] = term.fencing_token
            return
        self.tally.stale_refused += 1
        if process.holds(lease) is term and not self._may_be_two(lease):
            self.broken(f"promise 2: {process} holds {lease} under {term}, and its write is refused as stale")

    # Told by schedulers

    def asks(self, process: Process, term: Term, job: str, fire: float, attempt: int) -> Ask:
        lease = term.lease
        ask = Ask(process, lease, job, fire, term._hold.transitions, attempt)
        self._asks[lease, job].append(ask)
        return ask

    def granted(self, ask: Ask) -> None:
        ask.outcome = "granted"
        self.tally.grants += 1
        key = ask.lease, ask.job, ask.fire
        self._granted.setdefault(key, ask)
        first = self._attempts.setdefault((*key, ask.attempt), ask)
        if first is not ask and ask.lease not in self.tampered:
            self.broken(
                f"promise 5: attempt {ask.attempt} at {key} was granted to {first.process} and to {ask.process}"
            )
        self.tally.reruns += ask.attempt > 1

    # Told by spread jobs

    def won(self, process: Process, term: Term, job: str, claim: Claim) -> None:
        """A bid was granted what it claims."""
        if claim.nonce not in self._claimed[term.lease]:
            self.broken(f"promise 5: {process} was granted {claim} of {job}, which is not in the ledger")
        self.granted(self.asks(process, term, job, claim.fire.timestamp(), claim.attempt.number))
        self.tally.bids += 1
        fires = sorted({fire for lease, _, fire in self._granted if lease == term.lease})
        for before, fire in pairwise(fires):
            if fire - before < SPREAD[job] - EXACT:
                self.broken(f"promise 5: {job} runs at {before:.3f} and at {fire:.3f}, within its interval")

    def spread_goes_on(self, since: float) -> None:
        """Once all is well: every spread job runs, and has not stopped doing so."""
        for job, period in SPREAD.items():
            fires = [fire for lease, name, fire in self._granted if lease == keyed_name(BASE, job)]
            if not fires or max(fires) < since - 2 * period:
                self.broken(f"promise 4: nobody runs {job}, last at {max(fires, default=0.0):.3f}")

    # Looks by itself

    def look(self, process: Process) -> None:
        """``process`` has just been stepped."""
        now = process.host.now()
        others: dict[Process, dict[str, Term]] | None = None
        for candidacy in process.candidacies():
            term, lease = candidacy.term, candidacy.lease
            if wrong := illegal(candidacy.candidate, now) or illegal_drain(candidacy.work):
                self.broken(f"{process} is in no legal state about {lease}: {wrong}")
            if term is None:
                continue
            until = term._hold.until
            key = process, lease
            if self._terms.get(key) is not term:
                self._terms[key] = term
                self._begins(process, lease, term, now < until)
            if now < until:
                if until > self._deadlines.get(key, -math.inf) + 1e-6:
                    self.broken(f"promise 3: {process} holds {lease} beyond the last acknowledged send")
                if others is None:  # once for all leases, and only if needed: this is most of what a step costs
                    others = {each: each.held() for each in self._cluster.processes if each is not process}
                self._alone(process, lease, term, others)
            elif now > until + SLACK:
                self.broken(
                    f"{process} is awake, and was not told that its hold of {lease} ended {now - until:.3f} s ago"
                )

    def _begins(self, process: Process, lease: str, term: Term, valid: bool) -> None:
        token, before = self._newest.get(lease, (0, ""))
        self.tally.terms += 1
        self.tally.failovers += bool(before) and before != term.identity
        if token >= term.fencing_token and valid:
            self.broken(f"promise 2: the token of {lease} went from {token} to {term.fencing_token} at {process}")
        self._newest[lease] = max((token, before), (term.fencing_token, term.identity))
        self._cluster.note(process, "leads", lease, term.fencing_token)
        self._cluster.led(lease, process)

    def _alone(self, process: Process, lease: str, term: Term, others: dict[Process, dict[str, Term]]) -> None:
        if self._may_be_two(lease):
            return
        for other, held in others.items():
            if theirs := held.get(lease):
                self.broken(f"promise 1: {lease} is held by {process} under {term} and by {other} under {theirs}")

    def _may_be_two(self, lease: str) -> bool:
        """Whether somebody has just deleted or edited the lease: the old hold may last."""
        return self.tampered.get(lease, -math.inf) > self._cluster.time

    def terms(self) -> Iterable[tuple[tuple[Process, str], Term]]:
        """The last term of every process and lease."""
        return self._terms.items()

    def forget_terms(self) -> None:
        """Those of a fork's parent are looked at no more."""
        self._terms.clear()
        self._deadlines.clear()
        self._working.clear()

    def leader_of(self, lease: str) -> Process | None:
        return next((process for process in self._cluster.processes if process.holds(lease)), None)

    def fires(self, periods: dict[str, float], since: float, until: float) -> None:
        """Once all is well: no fire from the first one on is lost that a process which lives has not told of.

        What a host whose clock is off has claimed before ``since`` is no beginning.
        """
        for (lease, job), asks in self._asks.items():
            if lease in self.tampered or job not in periods:
                continue
            by_fire: dict[float, list[Ask]] = defaultdict(list)
            for ask in asks:
                by_fire[ask.fire].append(ask)
            landed = [ask.fire for ask in asks if ask.landed and ask.fire > since]
            if not landed:
                continue
            period, fire = periods[job], min(landed)
            while fire < until:
                excused = any(
                    ask.landed and (ask.outcome == "undecided" or not ask.process.alive) for ask in by_fire[fire]
                )
                if (lease, job, fire) not in self._granted and not excused:
                    at = datetime.fromtimestamp(fire).isoformat()
                    self.broken(f"the fire of {job} under {lease} at {at} was lost; asked: {by_fire[fire]}")
                fire += period

    def attempts_are_over(self, before: float) -> None:
        """Once all is well: what was cut short has run again, or was given up."""
        for lease, marks in self._open.items():
            for job, mark in marks.items():
                if left := [each for each in mark.attempts if each.fire.timestamp() < before]:
                    self.broken(f"{job} under {lease} was cut short, and nobody has seen to {left}")


__all__ = ["Ask", "Broken", "Referee", "Tally"]
