"""The fires of one beat, from their claims in the ledger to their messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from celery.beat import ScheduleEntry

from singleton_jobs import ConfigError, Leadership, LeadershipLost, Term
from singleton_jobs.concurrency.synchronization import run_blocking
from singleton_jobs.decisions.ledger import AHEAD, LIMIT, Claim, Mark, advance, size
from singleton_jobs.leading.participant import part_of
from singleton_jobs.renewal.candidacy import Candidacy
from singleton_jobs.renewal.leftovers import Leftovers

from .inner_scheduler import EQUAL, InnerScheduler, last_run
from .schedule import next_due

__all__ = ["Fires", "Planned", "refuse_too_many"]

KEY = "celery:"


@dataclass(slots=True, eq=False, kw_only=True)
class Planned(Claim):
    """The claim for a fire of an entry, when it was made, and the fire ``before`` it."""

    claimed_at: datetime
    before: datetime | None


class Fires:
    """Claims, and what came of them. ``granted``: what is to be sent now, by the entries' names.

    ``attempts``: how often a fire is claimed in all, if beats are cut short while they send it.
    """

    def __init__(self, leadership: Leadership, candidacy: Candidacy, inner: InnerScheduler, attempts: int) -> None:
        self.granted: dict[str, Planned] = {}
        self._leftovers: Leftovers[Planned] = Leftovers()
        self._refused: dict[str, datetime] = {}
        self._leadership = leadership
        self._candidacy = candidacy
        self._inner = inner
        self._attempts = attempts  # that each fire has

    def begin(self) -> None:
        """A term begins; what was refused before may have had to do with this replica."""
        self._refused.clear()
        names = self._inner.names()
        part_of(self._leadership).jobs.update(KEY + name for name in names)  # keeps their marks, however old

    def hand_over(self, entries: Iterable[ScheduleEntry], now: datetime) -> None:
        """Have ``entries`` go on from what the ledger says; those that it does not know get a mark."""
        marks, new = self._candidacy.fires.marks(), {}
        self._inner.look(now)
        for entry in entries:
            key = KEY + entry.name
            part_of(self._leadership).jobs.add(key)  # the entry may be new
            mark = marks.get(key)
            planned = self.granted.get(entry.name) or self._left(key, mark)
            if planned:
                if planned.before:
                    self._inner.restore(entry, planned.before, (planned.runs or 1) - 1)
                continue
            refused = self._refused.get(entry.name)
            if mark and (begun := self._begun(entry, mark, now)):
                self._inner.restore(entry, begun, None)
            elif mark:
                self._inner.restore(entry, max(mark.fire, refused) if refused else mark.fire, mark.runs)
            elif refused:
                self._inner.restore(entry, refused, None)
            else:
                new[key] = self._inner.first(entry, now)
                self._inner.restore(entry, new[key], None)
        self._candidacy.fires.introduce(new)

    def claim(self, term: Term, now: datetime, due: ScheduleEntry | None = None) -> bool:
        """Claim the fires of all entries that are due, and of ``due``, in one write; whether nothing was refused.

        Raises LeadershipLost when the term ends undecided.
        """
        planned: dict[str, Planned] = {}
        for entry in (*([due] if due else ()), *self._inner.candidates(self.hand_over, now)):
            if entry.name in self.granted or entry.name in planned:
                continue
            if plan := self._plan(entry, now, is_due=entry is due):
                planned[entry.name] = plan
        if not planned:
            return True
        refused = False
        try:
            self._candidacy.fires.ask(term, *planned.values())
            for name, each in planned.items():
                if run_blocking(self._candidacy.fires.decision(term, each, block=True)):
                    self.granted[name] = each
                else:
                    refused = True
                    self._refused[name] = each.fire
                    self._candidacy.fires.skipped(each.job, each.fire, "refused")
        except LeadershipLost:
            self.keep(*(each for each in planned.values() if each.outcome != "refused"))
            raise
        return not refused

    def resends(self, term: Term, now: datetime) -> Iterator[tuple[Planned, ScheduleEntry]]:
        """What beats before have claimed and perhaps not sent, each claimed again; with its entry.

        Raises LeadershipLost when the term ends undecided.
        """
        cut = [key for key in self._candidacy.fires.cut() if key.startswith(KEY)]
        names = set(self._inner.names() if cut else ())
        for key in cut:
            entry = self._inner.entry(name) if (name := key.removeprefix(KEY)) in names else None
            for attempt in self._candidacy.fires.cut_of(key, self._attempts):
                if entry is None:
                    self._candidacy.fires.give_up(key, attempt)
                    continue
                nonce = part_of(self._leadership).core.nonce()
                planned = Planned(key, attempt.fire, nonce, repeats=True, after=attempt, claimed_at=now, before=None)
                if run_blocking(self._candidacy.fires.claim(term, planned, block=True)):
                    yield planned, entry

    def keep(self, *planned: Planned) -> None:
        """The term has ended, or the broker is away: what was claimed and not sent, as ``planned``, may be sent under
        the next term.
        """
        self._leftovers.keep(*self.granted.values(), *planned)
        self.granted.clear()

    def sent(self, planned: Planned) -> None:
        """All that was ``planned`` is with the broker; the next renewal tells the ledger."""
        self._candidacy.fires.ended(planned.job, planned.fire, planned.nonce, ok=True)

    def failed(self, planned: Planned, *, again: bool) -> None:
        """What was ``planned`` may be with the broker, or not. It is sent ``again`` if its attempts allow it."""
        if again or not planned.repeats:
            self._candidacy.fires.interrupted(planned)
        else:
            self._candidacy.fires.give_up(planned.job, planned.attempt, "skipped")

    def drop_gone(self) -> None:
        """Nobody wants what is left of entries that are gone; what is left of others waits for the next tick."""
        for name in self.granted.keys() - set(self._inner.names() if self.granted else ()):
            self.sent(self.granted.pop(name))

    def end(self) -> None:
        """Nothing more is sent from here."""
        self.keep()
        self._leftovers.give_up(self._candidacy.fires)

    def _plan(self, entry: ScheduleEntry, now: datetime, *, is_due: bool) -> Planned | None:
        """What is to be claimed for ``entry``, if anything."""
        if again := self._leftovers.take(KEY + entry.name):
            again.claimed_at = now
            return again
        fire = self._inner.fire(entry) or (now if is_due else None)
        if fire is None or fire == self._refused.get(entry.name):
            return None
        return Planned(
            KEY + entry.name,
            fire,
            part_of(self._leadership).core.nonce(),
            runs=entry.total_run_count + 1,
            repeats=self._attempts > 1,
            claimed_at=now,
            before=last_run(entry),
        )

    def _left(self, key: str, mark: Mark | None) -> Planned | None:
        return next(iter(self._leftovers.open(key, mark, self._candidacy.fires)), None)

    def _begun(self, entry: ScheduleEntry, mark: Mark, now: datetime) -> datetime | None:
        """When ``entry`` has begun anew, if that is why nobody claimed what was due: it was not there to be missed."""
        begun = self._inner.begun(entry, mark)
        if begun is None or not mark.fire + EQUAL < begun <= now + AHEAD:
            return None
        missed = next_due(entry.schedule, mark.fire)
        return begun if missed and missed <= begun else None


def refuse_too_many(names: Iterable[str], lease: str) -> None:
    """Raise ConfigError if the marks of so many entries do not fit into one lease."""
    now = datetime.now(UTC)
    marks = {KEY + name: Mark(now, "x" * 12, "c", 10**6) for name in names}
    needed = size(advance(marks, (), (), marks, now))
    if needed > LIMIT:
        raise ConfigError(
            f"lease {lease!r} has room for {LIMIT // 1024} KiB of fires, and the {len(marks)} entries of this beat "
            f"need {needed // 1024} KiB (about {LIMIT * len(marks) // needed} entries fit): give them shorter names, "
            "or share them out among several beats, each with a lease of its own (SINGLETON_JOBS_CELERY_LEASE)"
        )
