"""Marks and claims: which fire of each job was claimed last. No I/O, no clock, no chance.

The ledger is one annotation of the lease, such as
``{"v":1,"jobs":{"app:report":["2026-11-22T12:00:00.000000Z","<nonce>","c"]}}``, and is advanced by the same
compare-and-swap that renews the hold. Of two processes that both believe they lead, one is refused by the store,
whatever their clocks say; so a fire is granted at most once, and so is each attempt at one that may run again.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from ..errors import ConfigError

__all__ = [
    "AHEAD",
    "FORGOTTEN_AFTER",
    "INSTANT",
    "LIMIT",
    "PEOPLES",
    "WARN_AT",
    "Attempt",
    "Claim",
    "Mark",
    "UnreadableLedger",
    "advance",
    "aftermath",
    "app_key",
    "instant",
    "judge",
    "kept_until",
    "lower",
    "read_ledger",
    "size",
]

VERSION = 1
WARN_AT = 16 * 1024  # bytes of ledger after which its lease is named in a warning
LIMIT = 200 * 1024  # bytes past which claims are refused before any request; annotations end at 256 KiB in all
INSTANT = timedelta(microseconds=1)  # what marks can tell apart
AHEAD = timedelta(seconds=60)  # how far a fire may lie ahead of the store's time
MAX_KEY = 253  # characters of a job's name
KEPT = 500  # times that are not put into text again: most marks of a ledger are those of the one before
PEOPLES = "app:"  # jobs that people claim themselves: nobody tells when a run of theirs ends
FORGOTTEN_AFTER = timedelta(days=30)  # when the mark of a job that nobody here knows is dropped

Verdict = Literal["granted", "refused"]


class UnreadableLedger(ValueError):
    """The annotation is not a ledger of a known version; it is kept as it is, and claims are refused."""


class Attempt(NamedTuple):
    """A claimed run that has not ended, as far as the ledger knows, of a fire that may run again: its ``number``-th."""

    fire: datetime
    nonce: str
    number: int = 1


class Mark(NamedTuple):
    """The last claimed fire of a job, by whom, and whether its run is done (``d``) or was only claimed (``c``).

    ``runs``: how many that makes, for schedulers that count. ``attempts``: every run that has not ended, of a job whose
    fires may run again; its mark is done from the start. ``until``: it counts no longer than that, so that it keeps the
    lease of a key no longer. ``by``: the identity that claimed last, where that is no standing leader's. These are
    written after the others if there is something to.
    """

    fire: datetime
    nonce: str
    state: Literal["c", "d"] = "c"
    runs: int | None = None
    attempts: tuple[Attempt, ...] = ()
    until: datetime | None = None
    by: str = ""


@dataclass(slots=True, eq=False)
class Claim:
    """One wish to run ``job`` for its nominal time ``fire`` (aware, UTC).

    ``unless_since``: refuse if the mark is later than this, for jobs that run at most every so often. ``runs``: how
    many that makes, for schedulers that count. ``repeats``: the ledger is to keep it as an attempt until it has ended;
    ``after``: the attempt that was cut short, which this one follows. ``until``: its mark counts so long. ``by``: who
    claims. ``carried``: the nonces under which it was sent; a mark, or an attempt, with one of them proves that it
    landed.
    """

    job: str
    fire: datetime
    nonce: str
    unless_since: datetime | None = None
    runs: int | None = None
    repeats: bool = False
    after: Attempt | None = None
    until: datetime | None = None
    by: str = ""
    carried: set[str] = field(default_factory=set)
    outcome: Verdict | None = None
    asked_at: float | None = None

    @property
    def attempt(self) -> Attempt:
        """What the ledger keeps of it if it ``repeats``."""
        return Attempt(self.fire, self.nonce, self.after.number + 1 if self.after else 1)

    def is_in(self, mark: Mark) -> bool:
        """Whether ``mark`` proves that it has landed, and nobody has followed it since."""
        nonces = [attempt.nonce for attempt in mark.attempts] if self.repeats else [mark.nonce]
        return not self.carried.isdisjoint(nonces)


def app_key(job: str) -> str:
    """The ledger's key for a job that people name themselves."""
    if not isinstance(job, str) or not 0 < len(job) <= MAX_KEY or not job.isprintable():
        raise ConfigError(f"a job's name must be 1 to {MAX_KEY} printable characters, not {job!r:.80}")
    return f"{PEOPLES}{job}"


def instant(time: datetime) -> datetime:
    """``time`` in UTC; ConfigError unless it says which instant it means."""
    if not isinstance(time, datetime) or time.utcoffset() is None:
        raise ConfigError(f"a fire needs an aware datetime, such as datetime.now(UTC), not {time!r}")
    return time.astimezone(UTC)


def read_ledger(text: str | None) -> dict[str, Mark]:
    """The marks in ``text`` (None: none). Raises UnreadableLedger."""
    if text is None:
        return {}
    try:
        whole = json.loads(text)
        version = whole["v"]
        if version == VERSION:
            return {job: _mark(*parts) for job, parts in whole["jobs"].items()}
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise UnreadableLedger(f"{error!r:.200}") from error
    raise UnreadableLedger(f"its version is {version!r:.20}, not {VERSION}")


def size(text: str) -> int:
    """How much of an annotation's room ``text`` takes."""
    return len(text.encode(errors="surrogatepass"))


def judge(claim: Claim, marks: Mapping[str, Mark]) -> Verdict | None:
    """What the stored marks say of ``claim``; None if they leave it open."""
    mark = marks.get(claim.job)
    if mark and claim.is_in(mark):
        return "granted"
    if claim.after:
        return None if mark and claim.after in mark.attempts else "refused"
    if mark is None:
        return None
    limit = claim.fire if claim.unless_since is None else min(claim.fire, claim.unless_since + INSTANT)
    return "refused" if mark.fire >= limit else None


def advance(
    marks: Mapping[str, Mark],
    claims: Iterable[Claim],
    done: Collection[tuple[str, str]],
    known: Collection[str],
    now: datetime,
) -> str:
    """The ledger after ``claims``, all open by `judge`; each is marked as carried.

    The latest fire of a job becomes its mark, and its nonce stands for the earlier ones in the same batch; what
    ``repeats`` is kept under its own. Of two claims for one fire, after one attempt, or of a job that runs at most
    every so often, only the first is carried. ``done``: jobs and nonces of finished runs. Marks of jobs not in
    ``known`` are dropped when they are old.
    """
    new = {
        job: _without(mark, job, done)
        for job, mark in marks.items()
        if job in known or now - mark.fire <= FORGOTTEN_AFTER
    }
    claims = tuple(claims)
    for claim in claims:
        mark = new.get(claim.job)
        if claim.after and mark and claim.after in mark.attempts:
            attempts = (claim.attempt if each == claim.after else each for each in mark.attempts)
            new[claim.job] = mark._replace(attempts=tuple(attempts), by=claim.by)
            claim.carried.add(claim.nonce)
    for job, wishes in _by_job(claim for claim in claims if not claim.after).items():
        latest = max(wishes, key=lambda claim: claim.fire)
        before = new[job].attempts if job in new else ()
        begun = tuple(claim.attempt for claim in wishes if claim.repeats)
        state: Literal["c", "d"] = "d" if latest.repeats else "c"
        new[job] = Mark(latest.fire, latest.nonce, state, latest.runs, before + begun, latest.until, latest.by)
        for claim in wishes:
            claim.carried.add(claim.nonce if claim.repeats else latest.nonce)
    return _text(new)


def aftermath(claim: Claim, mark: Mark | None) -> Literal["open", "cut", "none"]:
    """What the ended term of ``claim`` has left of it, by its job's present ``mark``.

    ``open``: its fire may still run in this process. ``cut``: it was claimed, and no process will run it. ``none``: it
    never landed, or another process claimed the same fire, or has judged the attempt.
    """
    if mark and (mark.state == "c" or claim.repeats) and claim.is_in(mark):
        return "open"
    if claim.repeats:
        return "none"
    overtaken = claim.carried and mark is not None and mark.fire > claim.fire
    return "cut" if claim.outcome == "granted" or overtaken else "none"


def lower(marks: Mapping[str, Mark], now: datetime) -> dict[str, Mark]:
    """Marks that lie in the future, as they should be: a broken clock must not silence a job for a month."""
    return {
        job: mark._replace(fire=now, until=mark.until and now + (mark.until - mark.fire))
        for job, mark in marks.items()
        if mark.fire > now + AHEAD
    }


def kept_until(text: str | None) -> datetime | None:
    """Until when the marks in ``text`` count, by which the lease of a key is kept; None if there are none.

    A mark with attempts counts as long as any, and what cannot be read for ever.
    """
    try:
        return max(
            (
                mark.until if mark.until and not mark.attempts else mark.fire + FORGOTTEN_AFTER
                for mark in read_ledger(text).values()
            ),
            default=None,
        )
    except (UnreadableLedger, OverflowError):
        return datetime.max.replace(tzinfo=UTC)


def _without(mark: Mark, job: str, done: Collection[tuple[str, str]]) -> Mark:
    if (job, mark.nonce) in done:
        mark = mark._replace(state="d")
    if mark.attempts:
        mark = mark._replace(attempts=tuple(each for each in mark.attempts if (job, each.nonce) not in done))
    return mark


def _by_job(claims: Iterable[Claim]) -> dict[str, list[Claim]]:
    chosen: dict[str, list[Claim]] = {}
    for claim in claims:
        others = chosen.setdefault(claim.job, [])
        alone = claim.unless_since is None and all(other.unless_since is None for other in others)
        if not others or (alone and all(other.fire != claim.fire for other in others)):
            others.append(claim)
    return chosen


def _mark(
    fire: str,
    nonce: str,
    state: Literal["c", "d"],
    runs: object = None,
    attempts: list[Any] | None = None,
    until: str | None = None,
    by: str = "",
    *_: object,
) -> Mark:
    if not isinstance(nonce, str) or not isinstance(by, str) or state not in ("c", "d"):
        raise ValueError(f"not a mark: {fire!r}, {nonce!r}, {state!r}")
    kept = tuple(_attempt(*parts) for parts in attempts or ())
    counted = runs if isinstance(runs, int) else None
    return Mark(_time(fire), nonce, state, counted, kept, None if until is None else _time(until), by)


def _attempt(fire: str, nonce: str, number: int, *_: object) -> Attempt:
    if not isinstance(nonce, str) or not isinstance(number, int):
        raise TypeError(f"not an attempt: {fire!r}, {nonce!r}, {number!r}")
    return Attempt(_time(fire), nonce, number)


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"a time without a zone: {text!r}")
    return time.astimezone(UTC)


def _text(marks: Mapping[str, Mark]) -> str:
    jobs = {job: _parts(mark) for job, mark in marks.items()}
    return json.dumps({"v": VERSION, "jobs": jobs}, separators=(",", ":"), ensure_ascii=False)


def _parts(mark: Mark) -> list[object]:
    attempts = [[_iso(each.fire), *each[1:]] for each in mark.attempts]
    parts: list[object] = [_iso(mark.fire), *mark[1:4], attempts, mark.until and _iso(mark.until), mark.by]
    while not parts[-1] and parts[-1] != 0:  # what there is nothing to say of
        parts.pop()
    return parts


def _iso(fire: datetime) -> str:
    return _text_of(fire.astimezone(UTC))


@lru_cache(KEPT)
def _text_of(time: datetime) -> str:
    """``time``, which is in UTC: in another zone two times may compare equal that are an hour apart."""
    return time.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
