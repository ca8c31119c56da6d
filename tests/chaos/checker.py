"""Judges a storm by its log alone; shares no code with what it judges."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import quantiles

from chaos.log import Line

MARGIN = 1.0  # seconds that work may stall, at 3/2/0.4
DURATION, DEADLINE, PERIOD = 3.0, 2.0, 0.4
SETTLE = 10.0  # seconds from a start until all is as it will be
WITNESS = "witness"  # the replica that nothing befalls
RECOVERY = (DEADLINE - 1.5 * PERIOD) / 3  # seconds that each of a recovery's three requests may take


@dataclass(frozen=True)
class Work:
    """One piece of guarded work; ``end`` is infinite if nobody saw it end."""

    lease: str
    identity: str
    who: str
    pid: int
    token: int
    start: float
    end: float


@dataclass
class Verdict:
    """What the log says; lists of sentences are of things that must not be."""

    failovers: int = 0
    overlaps: list[str] = field(default_factory=list)
    stalled: int = 0  # pieces of work that took longer than the margin
    starts: int = 0
    late_starts: list[str] = field(default_factory=list)
    accepted: int = 0
    refused: int = 0
    stale: list[str] = field(default_factory=list)
    crash_gaps: list[float] = field(default_factory=list)
    release_gaps: list[float] = field(default_factory=list)
    swallowed: int = 0
    unjudged: int = 0  # answers that were lost while the machine was too slow for a judgement
    swallow_errors: list[str] = field(default_factory=list)
    clock_jumps: int = 0
    clock_overlaps: list[str] = field(default_factory=list)
    writes: int = 0
    periods: float = 0.0
    requests: list[float] = field(default_factory=list)  # seconds that those of the witness took
    memory: list[tuple[float, float]] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)  # of the stage itself, and of processes that hang


def judge(lines: list[Line]) -> Verdict:
    """``lines`` in the order of their times."""
    verdict = Verdict()
    lines = _with_outages(lines)
    works = pieces(lines)
    by_lease: dict[str, list[Work]] = defaultdict(list)
    for work in works:
        by_lease[work.lease].append(work)
    verdict.starts = len(works)
    for ordered in by_lease.values():
        verdict.failovers += sum(a.identity != b.identity for a, b in pairwise(ordered))
        _find_overlaps(ordered, lines, verdict)
    _find_late_starts(works, lines, verdict)
    _find_stale_writes(lines, verdict)
    _measure_gaps(by_lease, lines, verdict)
    _judge_swallowed(lines, verdict)
    _count_cost(lines, verdict)
    verdict.requests = [line["seconds"] for line in lines if line["event"] == "request"]
    verdict.clock_jumps = len(_faults(lines, "clock"))
    verdict.memory = [(line["at"], line["mib"]) for line in lines if line["event"] == "memory"]
    verdict.out_of_order = [
        f"{line['by']} {line['event']} {line.get('error', '')}"
        for line in lines
        if line["event"] in ("does not end", "proxy failed", "not all are up")
    ]
    return verdict


def _with_outages(lines: list[Line]) -> list[Line]:
    """A restart of the API server lasts until it has served again for a while, whatever was planned."""
    served = [line["at"] for line in lines if line["event"] == "served again"]
    return [
        {**line, "until": next((at for at in served if at > line["at"]), math.inf) + SETTLE}
        if line["event"] == "fault" and line["kind"] == "restart"
        else line
        for line in lines
    ]


def pieces(lines: list[Line]) -> list[Work]:
    """Every piece of work, by its start; a killed process's last one ends with it."""
    open_: dict[tuple[int, str], Line] = {}
    done: list[Work] = []

    def close(line: Line, end: float) -> None:
        who, pid = line["who"], line["pid"]
        done.append(Work(line["lease"], line["identity"], who, pid, line["token"], line["at"], end))

    for line in lines:
        if line["event"] == "start":
            open_[line["pid"], line["lease"]] = line
        elif line["event"] == "end" and (begun := open_.pop((line["pid"], line["lease"]), None)):
            close(begun, line["at"])
        elif line["event"] == "fault" and line["kind"] == "kill":
            for key in [key for key in open_ if key[0] == line["by_pid"]]:
                close(open_.pop(key), line["at"])
    for line in open_.values():
        close(line, line["at"])
    return sorted(done, key=lambda work: work.start)


def _find_overlaps(ordered: list[Work], lines: list[Line], verdict: Verdict) -> None:
    """Work of two overlaps though it did not stall beyond the margin."""
    off = [(line["at"], line["at"] + DURATION * 2) for line in _faults(lines, "clock")]
    latest: dict[str, Work] = {}
    for work in ordered:
        verdict.stalled += work.end - work.start > MARGIN
        for other in latest.values():
            if other.identity != work.identity and other.end > work.start and other.end - other.start <= MARGIN:
                sentence = f"{work.lease}: {work.identity} at {work.start:.3f}, {other.identity} until {other.end:.3f}"
                verdict.overlaps.append(sentence)
                if any(begin <= work.start <= end for begin, end in off):
                    verdict.clock_overlaps.append(sentence)
        latest[work.identity] = work


def _find_late_starts(works: list[Work], lines: list[Line], verdict: Verdict) -> None:
    """A start later than the deadline after the last write of its holder that was acknowledged had arrived."""
    writes: dict[tuple[str, str], list[float]] = defaultdict(list)
    for line in lines:
        if line["event"] == "put" and line["told"] and line["status"] in (200, 201):
            writes[line["lease"], line["holder"]].append(line["at"])
    positions: dict[tuple[str, str], int] = defaultdict(int)
    for work in works:
        key = work.lease, work.identity
        times = writes[key]
        while positions[key] < len(times) and times[positions[key]] <= work.start:
            positions[key] += 1
        last = times[positions[key] - 1] if positions[key] else float("-inf")
        if work.start > last + DEADLINE:
            verdict.late_starts.append(f"{work.lease}: {work.identity} at {work.start:.3f}, last written {last:.3f}")


def _find_stale_writes(lines: list[Line], verdict: Verdict) -> None:
    """A sink accepted a write with an older token than one it had accepted before."""
    newest: dict[str, int] = {}
    for line in lines:
        if line["event"] == "refused":
            verdict.refused += 1
        elif line["event"] == "accepted":
            verdict.accepted += 1
            if line["token"] < newest.get(line["lease"], 0):
                verdict.stale.append(f"{line['lease']}: {line['token']} of {line['by']} at {line['at']:.3f}")
            newest[line["lease"]] = max(line["token"], newest.get(line["lease"], 0))


def _measure_gaps(by_lease: dict[str, list[Work]], lines: list[Line], verdict: Verdict) -> None:
    """How long nobody led, in calm: after a kill, and after a release."""
    scenes = [line for line in lines if line["event"] == "scene"]
    outages = _faults(lines, "restart")
    kills = {line["by_pid"]: line["at"] for line in _faults(lines, "kill") if _is_calm(line["at"], scenes)}
    released = {
        lease: [
            line["at"]
            for line in lines
            if line["event"] == "put" and line["lease"] == lease and not line["holder"] and line["status"] == 200
        ]
        for lease in by_lease
    }
    for lease, works in by_lease.items():
        for before, after in pairwise(works):
            if before.identity == after.identity or any(
                outage["at"] <= after.start and before.end <= outage["until"] for outage in outages
            ):
                continue
            freed = [at for at in released[lease] if before.end <= at <= after.start]
            if before.pid in kills and before.end <= kills[before.pid] < after.start and not freed:
                verdict.crash_gaps.append(after.start - kills[before.pid])
            elif freed and _is_calm(freed[-1], scenes):
                verdict.release_gaps.append(after.start - freed[-1])


def _is_calm(at: float, scenes: list[Line]) -> bool:
    """Whether the scene at this moment is a calm one, in which all faults before are over."""
    number = bisect_right(scenes, at, key=lambda scene: scene["at"]) - 1
    return number >= 0 and scenes[number]["calm"] and at <= scenes[number]["until"]


def _judge_swallowed(lines: list[Line], verdict: Verdict) -> None:
    """A holder's write landed and its answer was lost: its next write must go on with the same hold.

    Where the process or its network suffered anything else within the deadline, nothing can be said; nor where a
    machine that is busy, as the witness shows, left no time for what is to be done.
    """
    troubles = [line for line in lines if line["event"] == "fault" and line["kind"] != "swallow"]
    losses = [line for line in lines if line["event"] == "over" and line["lost"]]
    slow = [line["at"] for line in lines if line["event"] == "request" and line["seconds"] > RECOVERY]
    for line in lines:
        if line["event"] != "put" or line["told"] or line["status"] not in (200, 201) or not line["holder"]:
            continue
        until = line["at"] + DEADLINE + DURATION
        who = line["by"]
        if any(
            trouble.get("by", who) == who and trouble["until"] > line["at"] - DURATION and trouble["at"] < until
            for trouble in troubles
        ):
            continue
        if any(line["at"] - DEADLINE < at < until for at in slow):
            verdict.unjudged += 1
            continue
        verdict.swallowed += 1
        for loss in losses:
            if loss["who"] == who and loss["lease"] == line["lease"] and line["at"] <= loss["at"] < until:
                verdict.swallow_errors.append(f"{who} lost {line['lease']} at {loss['at']:.3f}: {loss['reason']}")


def _count_cost(lines: list[Line], verdict: Verdict) -> None:
    """Writes of the replica that nothing befalls, from when it holds all it will until the end, or a restart."""
    mine = [line for line in lines if line["event"] == "put" and line["by"] == WITNESS]
    held = {line["lease"] for line in lines if line["event"] == "start" and line["who"] == WITNESS}
    outages = _faults(lines, "restart")
    up = next((line["at"] for line in lines if line["event"] == "all are up"), lines[0]["at"] + SETTLE)
    begins = [up, *(outage["until"] for outage in outages)]
    ends = [*(outage["at"] for outage in outages), lines[-1]["at"]]
    for begin, end in zip(begins, ends, strict=True):
        if end > begin:
            verdict.writes += sum(begin <= line["at"] < end for line in mine)
            verdict.periods += len(held) * (end - begin) / PERIOD


def _faults(lines: list[Line], kind: str) -> list[Line]:
    return [line for line in lines if line["event"] == "fault" and line["kind"] == kind]


def worst(seconds: list[float], share: int = 100) -> float:
    """The maximum, or a percentile."""
    return max(seconds) if share == 100 or len(seconds) < 2 else quantiles(seconds, n=100)[share - 1]


def growth(memory: list[tuple[float, float]]) -> tuple[float, float]:
    """MiB from the middle of a process's time to its end, and MiB per hour of a line through that half."""
    half = memory[len(memory) // 2 :]
    if len(half) < 3:
        return 0.0, 0.0
    times, sizes = [at for at, _ in half], [mib for _, mib in half]
    mean_time, mean_size = sum(times) / len(times), sum(sizes) / len(sizes)
    spread = sum((at - mean_time) ** 2 for at in times)
    slope = sum((at - mean_time) * (mib - mean_size) for at, mib in half) / spread
    return sizes[-1] - sizes[0], slope * 3600
