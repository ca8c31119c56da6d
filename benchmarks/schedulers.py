"""What a guard costs an APScheduler: how much later its jobs start, and what a follower's scheduler does."""

from __future__ import annotations

import time
from statistics import median, quantiles

from benchmarks.stage import Stage, until
from benchmarks.table import Row

MAX_OVER_PUT, MAX_LATER = 0.001, 0.030  # seconds: p50 over a bare scheduler's and a write, p99 over a bare scheduler's
BETWEEN = 0.08  # of each second: no job is due then
MAX_PASS = 50e-6
PERIOD = 2.0  # at 15/10/2
JOBS = 100
LEASE = "bench-0000"


def latency(stage: Stage) -> Row:
    """From due to the job's first line, beside a bare scheduler's with the same jobs a second later, and the write that a claim is."""
    with stage.programs("fires", "ours", 0) as start:
        both = {"ours": start(), "bare": start("fires", "bare", 1)}
        writer = start("updates")
        until(lambda: both["ours"].ask("leads"), "the scheduler leads")
        time.sleep(5)
        for program in both.values():
            program.ask("forget")
        until_then = time.monotonic() + (36 if stage.quick else 120)
        puts: list[float] = []
        while time.monotonic() < until_then:  # what a write costs meanwhile, when no job is due
            time.sleep((BETWEEN - time.time()) % 1)
            puts.append(writer.ask("update"))
        late = {kind: program.ask("late") for kind, program in both.items()}
        strange = [what for program in both.values() for what in program.ask("strange")]
    figures = {kind: {"p50": median(values), "p99": quantiles(values, n=100)[98]} for kind, values in late.items()}
    later = {name: figures["ours"][name] - figures["bare"][name] for name in ("p50", "p99")}
    over = later["p50"] - median(puts)
    shown = {
        kind: ", ".join(f"{name} {1000 * value:.1f} ms" for name, value in of.items()) for kind, of in figures.items()
    }
    by = ", ".join(f"{name} +{1000 * value:.1f} ms" for name, value in later.items())
    return Row(
        name="latency",
        what="due time to a job's first line, guarded BackgroundScheduler that leads, memory store, "
        f"{len(late['ours'])} fires; peer: a bare one, {len(late['bare'])} fires; a PUT of our store alone took "
        f"p50 {1000 * median(puts):.1f} ms, p99 {1000 * quantiles(puts, n=100)[98]:.1f} ms meanwhile",
        ours=f"{shown['ours']} ({by}; p50 {1000 * over:+.1f} ms over bare and PUT)"
        + (f"; {len(strange)} STRANGE: {strange[0]}" if strange else ""),
        peer=shown["bare"],
        ratio=figures["ours"]["p50"] / figures["bare"]["p50"],
        target=f"p50 ≤ {1000 * MAX_OVER_PUT:.0f} ms over bare and PUT, p99 ≤ {1000 * MAX_LATER:.0f} ms later",
        ok=not strange and min(map(len, late.values())) >= 200 and over <= MAX_OVER_PUT and later["p99"] <= MAX_LATER,
    )


def follower(stage: Stage) -> Row:
    """One look of a follower's scheduler, all its jobs overdue, beside one of a bare scheduler with nothing due."""
    turns, times = (5, 50_000) if stage.quick else (15, 200_000)
    with stage.programs("passes", LEASE, JOBS) as start:
        leader = start("ours", 1)
        until(lambda: leader.ask("held") == 1, "the lease is held")
        program = start()
        until(lambda: program.ask("seen"), "the scheduler follows")
        time.sleep(2)
        before, began = stage.counts(), time.monotonic()
        took: dict[str, list[float]] = {"follower": [], "bare": []}
        for _ in range(turns):
            for which, seconds in took.items():
                seconds.append(program.ask("passes", which, times) / times)
        lasted, after, ran = time.monotonic() - began, stage.counts(), program.ask("ran")
    ours, bare = median(took["follower"]), median(took["bare"])
    requests = sum(after.values()) - sum(before.values())
    polls = 2 * (lasted / PERIOD + 1)  # of the leader and of the follower, who would do the same without a scheduler
    return Row(
        name="follower",
        what=f"one pass of a follower's scheduler, {JOBS} jobs overdue, {turns * times} passes in which leader and follower sent "
        f"{requests} requests (by themselves they renew and poll every {PERIOD:.0f} s: {lasted / PERIOD:.1f} each); "
        "peer: a bare scheduler, nothing due",
        ours=f"{1e6 * ours:.1f} µs ({1e6 * min(took['follower']):.1f} to {1e6 * max(took['follower']):.1f})",
        peer=f"{1e6 * bare:.1f} µs",
        ratio=ours / bare,
        target=f"≤ {1e6 * MAX_PASS:.0f} µs, no request",
        ok=ours <= MAX_PASS and requests <= polls and not ran,
    )
