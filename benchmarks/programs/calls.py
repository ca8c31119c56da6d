"""What a guard costs its caller; prints seconds per call as JSON: `python benchmarks/programs/calls.py REPEATS [backwards]`."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import wrapt

from singleton_jobs import Replica

CALLS = 2_000  # so few that some batch of many is disturbed by nobody
THREADS = 8


@wrapt.decorator
def empty(wrapped: Any, instance: object, args: Any, kwargs: Any) -> Any:
    return wrapped(*args, **kwargs)


def plain() -> None:
    """The work of a job that has none."""


async def plain_coroutine() -> None:
    """The same, to be awaited."""


def _call(subject: Any) -> float:
    began = time.perf_counter()
    for _ in range(CALLS):
        subject()
    return time.perf_counter() - began


def _await(subject: Any) -> float:
    async def main() -> float:
        began = time.perf_counter()
        for _ in range(CALLS):
            await subject()
        return time.perf_counter() - began

    return asyncio.run(main())


def _call_on_threads(subject: Any) -> float:
    def work() -> None:
        start.wait()
        for _ in range(CALLS // THREADS):
            subject()

    start = threading.Barrier(THREADS + 1)
    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    start.wait()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def main() -> None:
    leader, follower = Replica("memory:", mode="auto"), Replica("memory:", mode="auto")
    guarded: Any = leader.leader_only("calls")(plain)
    guarded_coroutine: Any = leader.leader_only("calls")(plain_coroutine)
    skipped: Any = follower.leader_only("calls")(plain)
    if guarded() is not None or not guarded.leadership.is_leader or skipped() is None:
        raise SystemExit("not one of the two leads")
    measures: dict[str, tuple[Callable[[Any], float], Any]] = {
        "plain": (_call, plain),
        "wrapper": (_call, empty(plain)),
        "function": (_call, guarded),
        "skip": (_call, skipped),
        "plain coroutine": (_await, plain_coroutine),
        "coroutine": (_await, guarded_coroutine),
        "plain on threads": (_call_on_threads, plain),
        "on threads": (_call_on_threads, guarded),
    }
    names = list(measures)
    if sys.argv[2:]:
        names.reverse()
    best = dict.fromkeys(measures, float("inf"))
    for _ in range(int(sys.argv[1])):
        for name in names:
            measure, subject = measures[name]
            best[name] = min(best[name], measure(subject) / CALLS)
    leader.close()
    follower.close()
    print(json.dumps(best))


if __name__ == "__main__":
    main()
