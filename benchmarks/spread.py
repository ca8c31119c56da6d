"""What it brings, and costs, that jobs are spread over all replicas, beside a leader that fires them all."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.stage import Program, Stage, Starter, until
from benchmarks.table import Row

REPLICAS = 3
NIGHTLY = {"trigger": "cron", "hour": 3, "minute": "*/5"}
EACH_SECOND = {"trigger": "cron", "second": "*"}
SHORT = {"lease_duration": 3}

MAX_IDLE = 60  # requests an hour, of all replicas
MAX_LATE = 0.1  # seconds
MAX_BURST = 0.45  # of a leader's time
MAX_P50, MAX_P99 = 0.015, 0.040  # seconds
SHARES = (0.25, 0.42)

Line = dict[str, Any]


class Troupe:
    """Replicas of one kind with the same jobs, and their journal."""

    def __init__(self, start: Starter, journal: Path, kind: str, options: dict[str, Any]) -> None:
        self.replicas: dict[int, Program] = {}
        self._start, self._journal, self._kind, self._options = start, journal, kind, options

    def start(self, number: int = 1, **more: Any) -> int:
        """So many more; the process id of the last."""
        pid = 0
        for _ in range(number):
            program = self._start("spread", self._journal, self._kind, json.dumps(self._options | more))
            pid = program.ask("pid")
            self.replicas[pid] = program
        until(lambda: all(each.ask("seen") for each in self.replicas.values()), "a leader is seen")
        return pid

    def lines(self, event: str | None = None) -> list[Line]:
        text = self._journal.read_text() if self._journal.exists() else ""
        lines = [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]
        return [line for line in lines if event in (None, line["event"])]

    def others(self) -> str:
        """What should not have happened at all, for a row."""
        found = Counter(line["what"] for line in self.lines() if "what" in line)
        return "".join(f"; {number} x {what}" for what, number in found.most_common(3))


_numbers = count()


@contextmanager
def troupe(stage: Stage, kind: str, **options: Any) -> Iterator[Troupe]:
    """In a namespace of its own; nobody has started yet."""
    with stage.programs("spread") as start:
        yield Troupe(start, stage.directory / f"spread-{next(_numbers)}.journal", kind, options)


def _asked(stage: Stage, before: dict[str, int]) -> dict[str, int]:
    """Requests since then, by verb."""
    return {verb: made - before.get(verb, 0) for verb, made in stage.counts().items() if made > before.get(verb, 0)}


def idle(stage: Stage) -> Row:
    """What replicas ask that have nothing to do; watches count when they end."""
    seconds = 120 if stage.quick else 660
    hourly: dict[str, dict[str, float]] = {}
    for kind, lasts in (("spread", seconds), ("leader", min(seconds, 120))):
        with troupe(stage, kind, count=50, at=[NIGHTLY]) as replicas:
            replicas.start(REPLICAS)
            time.sleep(15)
            before, began = stage.counts(), time.monotonic()
            time.sleep(lasts)
            lasted = time.monotonic() - began
            hourly[kind] = {verb: made * 3600 / lasted for verb, made in _asked(stage, before).items()}
    total = {kind: sum(of.values()) for kind, of in hourly.items()}
    shown = {
        kind: ", ".join(f"{made:.0f} {verb}" for verb, made in of.items()) or "none" for kind, of in hourly.items()
    }
    return Row(
        name="spread-idle",
        what=f"requests an hour of {REPLICAS} idle replicas with 50 nightly jobs, from {seconds} s; peer: with a leader",
        ours=f"{total['spread']:.0f} ({shown['spread']})",
        peer=f"{total['leader']:.0f} ({shown['leader']})",
        ratio=total["spread"] / total["leader"],
        target=f"≤ {MAX_IDLE}",
        ok=total["spread"] <= MAX_IDLE,
    )


def kill(stage: Stage) -> Row:
    """Each second's jobs, while replicas are killed between two seconds, one of which is in the midst of a long run."""
    times, jobs = 3 if stage.quick else 10, 4
    worst: dict[str, list[float]] = {}
    before = 0.0
    for kind in ("spread", "leader"):
        late = worst.setdefault(kind, [])
        with troupe(stage, kind, count=jobs, at=[EACH_SECOND], config={"lease_duration": 15}) as replicas:
            replicas.start(REPLICAS)
            until(lambda r=replicas: len(r.lines("run")) > 5 * jobs, "jobs run")
            for _ in range(times if kind == "spread" else 1):
                time.sleep((0.5 - time.time()) % 1)
                pid = replicas.lines("run")[-1]["pid"]
                killed = time.time()
                replicas.replicas.pop(pid).kill()
                until(lambda r=replicas, k=killed: sum(l["fire"] > k for l in r.lines("run")) > 5 * jobs, "jobs run")
                late.append(max(line["late"] for line in replicas.lines("run") if line["fire"] > killed))
                if kind == "spread":
                    before = max(
                        before, *(line["late"] for line in replicas.lines("run") if killed - 2 < line["fire"] <= killed)
                    )
                replicas.start()
                time.sleep(5)
    return Row(
        name="spread-kill",
        what=f"lateness of the fires after a kill -9 of one of {REPLICAS} replicas, between two seconds, leases of 15 s, {jobs} jobs each "
        f"second, {times} kills; peer: the leader",
        ours=f"max {max(worst['spread']):.3f} s, p50 of the worst after each {median(worst['spread']):.3f} s; max before a kill {before:.3f} s",
        peer=f"max {max(worst['leader']):.1f} s",
        ratio=max(worst["spread"]) / max(worst["leader"]),
        target=f"≤ {MAX_LATE} s",
        ok=max(worst["spread"]) <= MAX_LATE,
    )


def burst(stage: Stage) -> Row:
    """60 jobs that each wait a second, all due at once."""
    took: dict[str, float] = {}
    shares: dict[str, list[int]] = {}
    for kind in ("leader", "spread"):
        due = int(time.time()) + 25
        moment = datetime.fromtimestamp(due, UTC)
        at = {"trigger": "cron", "hour": moment.hour, "minute": moment.minute, "second": moment.second}
        with troupe(stage, kind, count=60, at=[at], seconds=1, threads=5) as replicas:
            replicas.start(REPLICAS)
            until(lambda r=replicas: len(r.lines("ended")) >= 60, "all jobs have run")
            ended = replicas.lines("ended")
            assert len(ended) == len({line["job"] for line in ended}) == 60
            took[kind] = max(line["at"] for line in ended) - due
            shares[kind] = sorted(Counter(line["pid"] for line in ended).values())
    return Row(
        name="spread-burst",
        what=f"60 jobs that each wait 1 s, all due at once, {REPLICAS} replicas with 5 threads each: due to the end of the last; peer: a leader",
        ours=f"{took['spread']:.1f} s, {'/'.join(map(str, shares['spread']))} on each",
        peer=f"{took['leader']:.1f} s",
        ratio=took["spread"] / took["leader"],
        target=f"≤ {MAX_BURST} × the leader's",
        ok=took["spread"] <= MAX_BURST * took["leader"],
    )


def storm(stage: Stage) -> Row:
    """200 one-second jobs, due by turns in all of 20 seconds; what is cut short runs again."""
    every, count = 20, 200
    lasting = stage.kill_for or (60 if stage.quick else 180)
    at = [{"trigger": "cron", "second": ",".join(map(str, range(turn, 60, every)))} for turn in range(every)]
    options = {"count": count, "at": at, "seconds": 1, "config": SHORT, "interrupted": "rerun"}
    with troupe(stage, "spread", **options) as replicas:
        replicas.start(REPLICAS)
        until(lambda: len(replicas.lines("ended")) > 20, "jobs run")
        begun = time.time()
        kills = 0
        while time.time() < begun + lasting:
            following = time.time() + 10
            time.sleep((0.5 - time.time()) % 1)  # all that runs has half a second to go
            pid = replicas.lines("run")[-1]["pid"]
            replicas.replicas.pop(pid).kill()
            kills += 1
            replicas.start()
            time.sleep(max(0.0, following - time.time()))
        end = time.time()
        time.sleep(8)  # for what was cut short last
        lines, others = replicas.lines(), replicas.others()
    runs = Counter((line["job"], line["fire"], line["attempt"]) for line in lines if line["event"] == "run")
    ended = Counter((line["job"], line["fire"]) for line in lines if line["event"] == "ended")
    due = {
        (f"job-{number:03}", float(fire))
        for number in range(count)
        for fire in range(int(begun) + 1, int(end) - 1)
        if fire % every == number % every
    }
    doubled = sum(made > 1 for made in runs.values())
    unwritten = sum(made > 1 for made in ended.values())  # killed between a run's end and the write that tells it
    missed = [fire for fire in due if not ended[fire]]
    reruns = sum(attempt > 1 for _, _, attempt in runs)
    told = Counter(line["then"] for line in lines if line["event"] == "FireInterrupted")
    return Row(
        name="spread-storm",
        what=f"fires of {count} jobs that each wait 1 s, due each {every} s by turns, {REPLICAS} replicas, leases of 3 s, interrupted="
        f"'rerun', one of them killed every 10 s for {lasting:.0f} s, {kills} times",
        ours=f"{len(due)} due, {len(missed)} missed, {doubled} doubled, {reruns} reruns ({unwritten} of runs that had just ended), "
        f"told {dict(told)}{others}",
        target="0 missed, 0 doubled",
        ok=not missed and not doubled and not unwritten,
    )


def latency(stage: Stage) -> list[Row]:
    """By turns in even and odd seconds: spread, and led; and what a fire costs in writes."""
    options = {"count": 12, "config": {"lease_duration": 15}}
    began = time.time() // 2 * 2
    with stage.programs("spread") as start:
        troupes: dict[str, Troupe] = {}
        for turn, kind in enumerate(("spread", "leader")):
            at = [{"trigger": "cron", "second": ",".join(map(str, range(turn, 60, 2)))}]
            at += [_interval(began + turn + 0.15 + number / 15) for number in range(11)]
            journal = stage.directory / f"spread-{kind}.journal"
            troupes[kind] = Troupe(start, journal, kind, options | {"at": at})
            troupes[kind].start(REPLICAS)
        time.sleep(6)
        since, seconds = time.time(), 40 if stage.quick else 120
        time.sleep(seconds)
        late = {
            kind: sorted(line["late"] for line in of.lines("run") if line["fire"] > since)
            for kind, of in troupes.items()
        }
        others = troupes["spread"].others()
    apart = [_interval(began + number / 6.5) for number in range(12)]
    with troupe(stage, "spread", **options, at=apart) as replicas:
        replicas.start(REPLICAS)
        time.sleep(6 + (began + 1.85 - time.time()) % 2)
        before, ran = stage.admin.lease_request_counts(), len(replicas.lines("run"))
        time.sleep(20 if stage.quick else 60)
        after, fires = stage.admin.lease_request_counts(), len(replicas.lines("run")) - ran
    asked = {f"{verb} {code}": (made - before.get((verb, code), 0)) / fires for (verb, code), made in after.items()}
    figures = {kind: (median(values), quantiles(values, n=100)[98]) for kind, values in late.items()}
    shown = {kind: f"p50 {1000 * p50:.1f} ms, p99 {1000 * p99:.1f} ms" for kind, (p50, p99) in figures.items()}
    writes = sum(made for what, made in asked.items() if what.startswith(("PUT", "POST")))
    return [
        Row(
            name="spread-latency",
            what=f"due time to a job's first line, {REPLICAS} replicas, {len(late['spread'])} fires, 12 jobs each 2 s; peer: with a "
            f"leader, {len(late['leader'])} fires",
            ours=shown["spread"] + others,
            peer=shown["leader"],
            ratio=figures["spread"][0] / figures["leader"][0],
            target=f"p50 ≤ {1000 * MAX_P50:.0f} ms, p99 ≤ {1000 * MAX_P99:.0f} ms",
            ok=figures["spread"][0] <= MAX_P50 and figures["spread"][1] <= MAX_P99,
        ),
        Row(
            name="spread-writes",
            what=f"requests a fire, {REPLICAS} idle replicas, {fires} fires of 12 jobs each 2 s, one after the other",
            ours=", ".join(f"{made:.2f} {what}" for what, made in sorted(asked.items()) if made),
            target="2 writes",
            ok=writes <= 2.1,
        ),
    ]


def _interval(first: float) -> dict[str, Any]:
    return {"trigger": "interval", "seconds": 2, "start_date": datetime.fromtimestamp(first, UTC).isoformat()}


def share(stage: Stage) -> Row:
    """Which part of equal fires each replica has."""
    found: dict[str, list[float]] = {}
    for name, busy in (("idle", 0), ("one busy", 8)):
        with troupe(stage, "spread", count=20, at=[EACH_SECOND], config={"lease_duration": 15}) as replicas:
            first = replicas.start(busy=busy)
            replicas.start(REPLICAS - 1)
            time.sleep(5)
            since = time.time()
            until(lambda r=replicas, s=since: sum(l["fire"] > s for l in r.lines("run")) >= 600, "600 fires")
            runs = Counter(line["pid"] for line in replicas.lines("run") if line["fire"] > since)
            whole = sum(runs.values())
            found[name] = [runs[pid] / whole for pid in [first, *(set(replicas.replicas) - {first})]]
    shown = "; ".join(f"{name}: {', '.join(f'{part:.0%}' for part in parts)}" for name, parts in found.items())
    least, most = SHARES
    return Row(
        name="spread-share",
        what=f"part of 600 fires (20 jobs each second) that each of {REPLICAS} replicas has; then with the first one's executor busy (8 of 10)",
        ours=shown,
        target=f"{least:.0%} to {most:.0%} each; the busy one fewer",
        ok=all(least <= part <= most for part in found["idle"]) and found["one busy"][0] < min(found["one busy"][1:]),
    )


ROWS: dict[str, Callable[[Stage], Row | list[Row]]] = {
    "spread-idle": idle,
    "spread-kill": kill,
    "spread-burst": burst,
    "spread-storm": storm,
    "spread-latency": latency,
    "spread-share": share,
}
