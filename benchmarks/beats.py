"""What crashes, orderly ends and stops of the leader do to Celery beat, and what the guard costs it."""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from controlplane.pod import Pod
from databases.redis_server import Redis
from e2e.celery.beats import TIMING, Beat, Beats
from e2e.journal import Journal, boot_time
from e2e.processes import Starter

from benchmarks.stage import Stage, until
from benchmarks.table import Row

ENTRIES = {f"entry-{number}": 1.0 for number in range(4)}
REPLICAS = 3
TIMES = f"{TIMING['lease_duration']}/{TIMING['renew_deadline']}/{TIMING['retry_period']} s"
IN_FLIGHT = 0.5  # seconds; what a killed beat had sent has arrived by then, and no other leads yet
GIVEN_UP = 60.0  # seconds that a take-over is waited for
MAX_TAKE_OVER = 18.0
LATE = 0.3  # seconds by which an orderly end may put off the next tick
MANY, TOO_MANY = 250, 5000  # entries
MIN_RATE = 0.9
STOCK = "celery.beat:PersistentScheduler"
REDBEAT, REDBEAT_LOCK = "redbeat.RedBeatScheduler", "redbeat::lock"

GAP = (
    "gap: the longest time between two messages of one entry, its second included, from the last before the signal to the "
    "first of another beat, by what beats note after each publish"
)


def kill(stage: Stage) -> Row:
    """SIGKILL."""
    limit, how = TIMING["lease_duration"] + TIMING["retry_period"] + 2, "SIGKILL of the leader"
    return _ended(stage, "beat-kill", how, lambda leader, _: _kill(leader), limit=limit, is_crash=True)


def term(stage: Stage) -> Row:
    """SIGTERM, every third time between a claim and its message, where chance alone would hardly ever put it."""

    def end(leader: Beat, number: int) -> float:
        at = boot_time()
        if number % 3 == 2:
            leader.in_the_midst("SIGTERM")
            at = leader.process.wait_for("midst").at
        else:
            leader.process.terminate()
        if status := leader.process.wait():
            raise RuntimeError(f"exit status {status} after SIGTERM: {leader.process.output[-1500:]}")
        return at

    how = "SIGTERM of the leader, every third time between a claim and its message"
    return _ended(stage, "beat-term", how, end, limit=1 + LATE, is_crash=False)


def stop(stage: Stage) -> Row:
    """SIGSTOP, past the lease, every other time exactly between a claim and its message."""
    times = 4 if stage.quick else 10
    late = 0
    with _beats(stage) as beats:
        beats.several(ENTRIES, REPLICAS)
        for number in range(times):
            beats.wait_sent(8)
            leader = beats.leader()
            if number % 2:
                leader.in_the_midst("SIGSTOP")
                leader.process.wait_for("midst")
            else:
                time.sleep(random.uniform(0, 1))
                leader.process.stop()
            until(lambda: beats.holder() not in (None, leader.process.who), "another leads")  # noqa: B023
            beats.wait_sent(4)
            sent = len(leader.process.entries("published"))
            leader.process.go_on()
            beats.wait_sent(8)
            late += len(leader.process.entries("published")) - sent
            leader.process.kill()  # so that each is stopped once
            beats(ENTRIES)
        beats.end_all()
        verdict = beats.verdict()
    return Row(
        name="beat-stop",
        what=f"{REPLICAS} beats, {len(ENTRIES)} one-second entries, {TIMES}: SIGSTOP of the leader until another has "
        f"sent, then SIGCONT, {times} times, every other time between a claim and its message",
        ours=f"{sum(verdict.sent.values())} messages, {len(verdict.doubled)} doubled; {late} sent by a stopped leader when "
        f"it went on, {sum(verdict.lost.values())} claimed and not sent",
        target="0 doubled",
        ok=not verdict.doubled,
    )


def take_over(stage: Stage) -> Row:
    """From SIGKILL to the first message of another, at defaults, beside RedBeat on the same broker."""
    times = 1 if stage.quick else 3
    with Redis() as redis, _beats(stage, redis) as ours, _beats(stage, redis) as theirs:
        peer = _pair(theirs, scheduler=REDBEAT)
        _pair(ours, settings={}, config={"lease_duration": 15})
        peer_killed = _kill(peer)
        delays: list[float] = []
        while True:
            leader = ours.leader()
            at = _kill(leader)
            until(lambda: _first_by_another(ours, leader, at) is not None, "another beat sends")  # noqa: B023
            delays.append((_first_by_another(ours, leader, at) or 0) - at)
            if len(delays) == times:
                break
            _standby(ours, settings={}, config={"lease_duration": 15})
        while (first := _first_by_another(theirs, peer, peer_killed)) is None and boot_time() < peer_killed + GIVEN_UP:
            time.sleep(0.1)
        theirs_took = None if first is None else first - peer_killed
        if theirs_took is None:
            left = redis.client().ttl(REDBEAT_LOCK)
            if left <= 0 or not theirs.every[-1].process.running:
                raise RuntimeError("RedBeat's standby waits for no lock")
    return Row(
        name="beat-takeover",
        what="SIGKILL of beat to the first message of its standby, a one-second entry, defaults of both (leases of 15 s; "
        f"RedBeat's own lock), one broker, {times} x ours, once RedBeat",
        ours=f"p50 {median(delays):.1f} s, max {max(delays):.1f} s",
        peer=f"RedBeat > {GIVEN_UP:.0f} s (its lock ends {left} s later)"
        if theirs_took is None
        else f"RedBeat {theirs_took:.1f} s",
        ratio=None if theirs_took is None else max(delays) / theirs_took,
        target=f"≤ {MAX_TAKE_OVER:.0f} s",
        ok=max(delays) <= MAX_TAKE_OVER,
    )


def rate(stage: Stage) -> Row:
    """Messages a second of one beat, and its processor time for each."""
    lasting, rounds = (8, 1) if stage.quick else (20, 2)
    sent: dict[str, list[float]] = {"singleton": [], STOCK: []}
    spent: dict[str, list[float]] = {"singleton": [], STOCK: []}
    with Redis() as redis:
        client = redis.client()
        for _ in range(rounds):
            for scheduler in sent:
                redis.empty()
                with _beats(stage, redis) as beats:
                    beat = beats({}, scheduler=scheduler, many=MANY, every=1.0, quiet=True)
                    until(lambda: client.llen("celery") > 2 * MANY, "beat sends")
                    time.sleep((0.9 - time.time()) % 1)  # entries claimed together are sent in one burst a second
                    before, cpu, began = client.llen("celery"), _cpu(beat), time.monotonic()
                    time.sleep(lasting)
                    count = client.llen("celery") - before
                    sent[scheduler].append(count / (time.monotonic() - began))
                    spent[scheduler].append((_cpu(beat) - cpu) / count)
    ours, stock = (sum(found) / len(found) for found in sent.values())
    our_cpu, stock_cpu = (f"{1000 * sum(found) / len(found):.2f} CPU ms a message" for found in spent.values())
    return Row(
        name="beat-rate",
        what=f"messages a second of one beat with {MANY} one-second entries (so {MANY} are due), {rounds} x {lasting} s each, in turn, "
        "one broker",
        ours=f"{ours:.1f}/s, {our_cpu}",
        peer=f"stock beat {stock:.1f}/s, {stock_cpu}",
        ratio=ours / stock,
        target=f"≥ {MIN_RATE} x stock",
        ok=ours >= MIN_RATE * stock,
    )


def many(stage: Stage) -> Row:
    """As many entries as a beat may well have, and more than a lease has room for."""
    with _beats(stage) as beats:
        beats({}, many=MANY, every=1.0)
        until(lambda: len(beats.published()) >= 5 * MANY, "beat sends")
        beats.end_all()
        verdict = beats.verdict()
    works = len(verdict.sent) == MANY and min(verdict.sent.values()) >= 3
    works = works and not verdict.doubled and not any(verdict.lost.values())
    with _beats(stage) as beats:
        beat = beats({}, many=TOO_MANY)
        status = beat.process.wait()
        output = beat.process.output
        held, sent = beats.holder(), len(beats.messages())
    lines = [line for line in output.splitlines() if "room for" in line]
    refusal = lines[-1][lines[-1].index("lease '") :] if lines else ""
    refused = status > 0 and not held and not sent and "KiB" in refusal and "each with a lease of its own" in refusal
    return Row(
        name="beat-many",
        what=f"{MANY} one-second entries of one beat, and {TOO_MANY:,} of another",
        ours=f"{MANY}: {sum(verdict.sent.values())} messages, of an entry {min(verdict.sent.values())} to "
        f"{max(verdict.sent.values())}, {len(verdict.doubled)} doubled, {sum(verdict.lost.values())} claimed and not sent; "
        f"{TOO_MANY:,}: exit status {status}, {sent} messages: {refusal}",
        target=f"{MANY} work; {TOO_MANY:,} are refused before the first tick, with the limit and the way out",
        ok=works and refused,
    )


def _ended(
    stage: Stage, name: str, how: str, end: Callable[[Beat, int], float], *, limit: float, is_crash: bool
) -> Row:
    times = 5 if stage.quick else 30
    gaps: list[float] = []
    lost = [dict.fromkeys(ENTRIES, 0)]  # so far: before, after each crash, at the end
    with _beats(stage) as beats:
        beats.several(ENTRIES, REPLICAS)
        for number in range(times):
            beats.wait_sent(8)
            time.sleep(random.uniform(0, 1))
            leader = beats.leader()
            at = end(leader, number)
            beats(ENTRIES)
            if is_crash:
                time.sleep(IN_FLIGHT)
                lost.append(beats.verdict().lost)
            gaps.append(_gap(beats, leader, at))
        beats.end_all()
        verdict = beats.verdict()
    lost.append(verdict.lost)
    losses = [after[entry] - before[entry] for before, after in pairwise(lost) for entry in ENTRIES]
    return Row(
        name=name,
        what=f"{REPLICAS} beats, {len(ENTRIES)} one-second entries, {TIMES}: {how}, and another beat is started, {times} times; {GAP}",
        ours=f"{sum(verdict.sent.values())} messages, {len(verdict.doubled)} doubled, {sum(losses)} claimed and not sent"
        f"{f' (at most {max(losses)} of an entry and kill)' if is_crash else ''}; gap p50 {median(gaps):.2f} s, max {max(gaps):.2f} s",
        target=f"0 doubled, {'≤ 1 lost of an entry and kill' if is_crash else '0 lost'}, gap ≤ {limit:g} s",
        ok=not verdict.doubled and min(losses) >= 0 and max(losses) <= is_crash and max(gaps) <= limit,
    )


def _gap(beats: Beats, leader: Beat, at: float) -> float:
    """The longest time between two messages of one entry, from the last before ``at`` to the first of another beat."""
    until(lambda: None not in (_first_by_another(beats, leader, at, entry) for entry in ENTRIES), "another beat sends")
    gaps: list[float] = []
    for entry in ENTRIES:
        times = sorted(each.at for each in beats.published(entry))
        first, last = max(time for time in times if time <= at), _first_by_another(beats, leader, at, entry)
        gaps += [after - before for before, after in pairwise(times) if first <= before < last]
    return max(gaps)


def _first_by_another(beats: Beats, leader: Beat, at: float, entry: str | None = None) -> float | None:
    times = [each.at for each in beats.published(entry) if each.at > at and each.who != leader.process.who]
    return min(times, default=None)


@contextmanager
def _beats(stage: Stage, redis: Redis | None = None) -> Iterator[Beats]:
    """A starter of beats in a namespace of their own, on this broker or one of their own."""
    if redis is None:
        with Redis() as own, _beats(stage, own) as beats:
            yield beats
        return
    namespace = f"bench-{uuid.uuid4().hex[:10]}"
    stage.admin.create_namespace(namespace)
    folder = stage.directory / namespace
    folder.mkdir()
    journal = Journal(folder / "journal.jsonl")

    def make_pod(name: str) -> Pod:
        return Pod.create(stage.admin, namespace, name, directory=folder / name)

    start = Starter(make_pod, journal, folder / "work")
    try:
        yield Beats(start, journal, stage.admin, namespace, redis, folder)
    finally:
        start.end_all()


def _pair(beats: Beats, **options: Any) -> Beat:
    """A beat that sends, once it has a standby."""
    first = beats({"tick": 1.0}, **options)
    beats.wait_sent_by(first, 3)
    _standby(beats, **options)
    return first


def _standby(beats: Beats, **options: Any) -> None:
    """Another beat, once it waits for its turn."""
    beats({"tick": 1.0}, **options).process.wait_for("beat")
    time.sleep(3)  # it asks for the lock meanwhile


def _cpu(beat: Beat) -> float:
    """The seconds that its process has run so far."""
    fields = Path(f"/proc/{beat.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _kill(beat: Beat) -> float:
    at = boot_time()
    beat.process.kill()
    return at
