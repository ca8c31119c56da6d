"""How long nobody leads: after a release, and after a crash."""

from __future__ import annotations

import random
import time
from statistics import median, quantiles

from benchmarks.programs.protocol import boot_time
from benchmarks.stage import Program, Stage, Starter, until
from benchmarks.table import Row

DURATION, PERIOD = 15.0, 2.0
MAX_RELEASE, MAX_LATE_RELEASE = 0.02, 0.1
MAX_CRASH = DURATION + 0.1
REPLICAS = 3
FIRST = "bench-0000"


def release(stage: Stage) -> Row:
    """From the call of step_down to the start of another replica's term: two PUTs and an event."""
    leases = 200
    asked: dict[str, float] = {}
    with stage.programs("ours", leases) as start:
        leader, *followers = _replicas(start, leases)
        writer = start("puts")
        writes = []
        for number in random.sample(range(leases), leases):
            asked[f"bench-{number:04}"] = leader.ask("step_down", number)
            time.sleep(random.uniform(0, 0.1))
            writes.append(writer.ask("puts", 1)[1])
        until(lambda: len(_starts(followers)) >= leases, "all leases are led again")
        starts = _starts(followers)
    delays = [starts[lease] - at for lease, at in asked.items()]
    typical, late, bare = median(delays), quantiles(delays, n=100)[-1], median(writes)
    return Row(
        name="release",
        what=f"release to take-over, {REPLICAS} replicas at 15/10/2, {leases} samples",
        ours=f"p50 {typical * 1000:.0f} ms, p99 {late * 1000:.0f} ms",
        peer=f"one bare PUT meanwhile: p50 {bare * 1000:.0f} ms, p99 {quantiles(writes, n=100)[-1] * 1000:.0f} ms",
        ratio=typical / bare,
        target=f"p50 ≤ {MAX_RELEASE * 1000:.0f} ms, p99 ≤ {MAX_LATE_RELEASE * 1000:.0f} ms",
        ok=typical <= MAX_RELEASE and late <= MAX_LATE_RELEASE,
    )


def crash(stage: Stage) -> Row:
    """From SIGKILL, right after a renewal, to the start of another replica's term."""
    leases = 50
    with stage.programs("ours", leases) as start:
        leader, *followers = _replicas(start, leases)
        held = _renew_time(stage, leader)
        until(lambda: _renew_time(stage, leader) != held, "a renewal", pause=0.02)
        time.sleep(0.1)  # the leases are renewed in one burst
        killed_at = boot_time()
        leader.kill()
        time.sleep(DURATION - 2)
        until(lambda: len(_starts(followers)) >= leases, "all leases are led again", pause=0.5)
        delays = [at - killed_at for at in _starts(followers).values()]
    return Row(
        name="crash",
        what=f"SIGKILL to take-over, {REPLICAS} replicas at 15/10/2, {leases} leases",
        ours=f"p50 {median(delays):.2f} s, max {max(delays):.2f} s",
        target=f"max ≤ {MAX_CRASH:.1f} s",
        ok=max(delays) <= MAX_CRASH,
    )


def _replicas(start: Starter, leases: int) -> list[Program]:
    """The first leads everything, and the others have followed for a while."""
    leader = start()
    until(lambda: leader.ask("held") == leases, "the first replica leads")
    followers = [start() for _ in range(REPLICAS - 1)]
    until(lambda: all(follower.ask("seen") == leases for follower in followers), "the others follow")
    time.sleep(PERIOD)
    return [leader, *followers]


def _starts(followers: list[Program]) -> dict[str, float]:
    """The first start of each lease's term at these replicas."""
    first: dict[str, float] = {}
    for lease, at in (event for follower in followers for event in follower.ask("started")):
        first[lease] = min(at, first.get(lease, at))
    return first


def _renew_time(stage: Stage, program: Program) -> object:
    lease = stage.admin.get_lease(program.namespace, FIRST)
    return lease and lease["spec"]["renewTime"]
