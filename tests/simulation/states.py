"""The states that a candidate may be in, as the table of `Candidate` has them."""

from __future__ import annotations

import re
from inspect import cleandoc
from itertools import pairwise

from singleton_jobs.decisions.candidate import Candidate
from singleton_jobs.renewal.guarded_work import GuardedWork


def _table() -> dict[str, dict[str, str]]:
    """By state, what each flag is: yes, no, or nothing if it is free."""
    lines = cleandoc(Candidate.__doc__ or "").splitlines()
    top, ruler, bottom = (number for number, line in enumerate(lines) if line.startswith("==="))
    starts = [column.start() for column in re.finditer("=+", lines[ruler])]
    head, *rows = (
        [line[start:end].strip() for start, end in pairwise([*starts, None])]
        for line in (lines[top + 1], *lines[ruler + 1 : bottom])
    )
    return {state: dict(zip(head[1:-1], flags, strict=True)) for state, *flags, _ in rows}


TABLE = _table()


DRAINS = {  # draining, ending, and whether a drain is under way
    "open": (False, False, False),
    "stepping down": (True, False, True),
    "closing": (True, True, True),
    "closed": (True, True, False),
}


def state_of(candidate: Candidate, now: float) -> str:
    """Where ``candidate`` stands at ``now``."""
    if candidate.hold:
        return "leading"
    if candidate.releasing:
        return "giving back: writing" if candidate._ours else "giving back: looking"
    if not candidate._wanted:
        return "idle"
    if candidate.barred:
        return "barred"
    if now < candidate._rest_until:
        return "resting"
    if candidate._observer.take_at is not None:
        return "about to take"
    return "looking" if candidate._next <= now else "waiting"


def illegal(candidate: Candidate, now: float) -> str | None:
    """What is wrong with the state of ``candidate``; None if it is one of the table's."""
    state = state_of(candidate, now)
    flags = {**vars(candidate), **vars(candidate._observer)}
    found = {flag: "no" if flags[flag] is None or flags[flag] is False else "yes" for flag in TABLE[state]}
    if any(wanted not in ("", found[flag]) for flag, wanted in TABLE[state].items()):
        return f"{state!r} with {found}"
    if state == "leading" and (candidate.barred or candidate.answer != "held"):
        return f"{state!r}, barred: {candidate.barred}, with the answer {candidate.answer!r}"
    return None


def illegal_drain(work: GuardedWork) -> str | None:
    """What is wrong with the drains of ``work``; None if nothing is."""
    found = work.draining, work.ending, work._leaving is not None
    return None if found in DRAINS.values() else f"draining, ending and leaving are {found}"
