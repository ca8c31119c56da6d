"""The states that a candidate may be in, as the table in `Candidate.state` has them."""

from __future__ import annotations

from typing import get_args

from singleton_jobs.decisions.candidate import Candidate, CandidateState
from singleton_jobs.renewal.guarded_work import GuardedWork

FLAGS = ("hold", "releasing", "_wanted", "_take_at", "_ours", "_reread", "barred")
TABLE = {  # what each of the flags is: yes, no, or either (.)
    "idle": "NN N.NN.",
    "barred": "NN Y.NNY",
    "resting": "NN YNNNN",
    "about to take": "NN YYNNN",
    "looking": "NN YNNNN",
    "waiting": "NN YNNNN",
    "leading": "YN YNN.N",
    "giving back: looking": "NY .NNN.",
    "giving back: writing": "NY .NYN.",
}
assert TABLE.keys() == set(get_args(CandidateState))


DRAINS = {  # draining, ending, and whether a drain is under way
    "open": (False, False, False),
    "stepping down": (True, False, True),
    "closing": (True, True, True),
    "closed": (True, True, False),
}


def illegal(candidate: Candidate, now: float) -> str | None:
    """What is wrong with the state of ``candidate``; None if it is one of the table's."""
    state = candidate.state(now)
    row = TABLE.get(state)
    if row is None:
        return f"{state!r} is no state"
    values = [getattr(candidate, flag) for flag in FLAGS]
    found = "".join("N" if value is None or value is False else "Y" for value in values)
    if any(wanted not in (".", is_so) for wanted, is_so in zip(row.replace(" ", ""), found, strict=True)):
        return f"{state!r} with {dict(zip(FLAGS, found, strict=True))}"
    if state == "leading" and candidate.answer != "held":
        return f"{state!r} with the answer {candidate.answer!r}"
    return None


def illegal_drain(work: GuardedWork) -> str | None:
    """What is wrong with the drains of ``work``; None if nothing is."""
    found = work.draining, work.ending, work._leaving is not None
    return None if found in DRAINS.values() else f"draining, ending and leaving are {found}"
