"""What a guarded call costs while leading; prints seconds per call as JSON: `python benchmarks/programs/calls.py REPEATS`."""

from __future__ import annotations

import json
import sys
import time
from timeit import Timer
from typing import Any

import wrapt

from singleton_jobs import Replica

CALLS = 20_000


@wrapt.decorator
def empty(wrapped: Any, instance: object, args: Any, kwargs: Any) -> Any:
    return wrapped(*args, **kwargs)


def plain() -> None:
    """The work of a job that has none."""


def _measure(subject: Any) -> float:
    return Timer("subject()", timer=time.process_time, globals={"subject": subject}).timeit(CALLS) / CALLS


def main() -> None:
    replica = Replica("memory:", mode="auto")
    guarded: Any = replica.leader_only("calls")(plain)
    if guarded() is not None or not guarded.leadership.is_leader:
        raise SystemExit("the replica does not lead")
    subjects: dict[str, Any] = {"plain": plain, "wrapper": empty(plain), "guarded": guarded}
    best = dict.fromkeys(subjects, float("inf"))
    for _ in range(int(sys.argv[1])):
        for name, subject in subjects.items():
            best[name] = min(best[name], _measure(subject))
    replica.close()
    print(json.dumps(best))


if __name__ == "__main__":
    main()
