"""What crashes, orderly ends and stops of the leader do to Celery beat, and what the guard costs it."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
GIVEN_UP = 60.0  # seconds that a take-over is waited for
MAX_TAKE_OVER = 18.0
RATE_ENTRIES = 250
MIN_RATE = 0.9


def kill(stage: Stage) -> Row:
    """SIGKILL."""
    limit = TIMING["lease_duration"] + TIMING["retry_period"] + 2
    return _ended(stage, "beat-kill", "SIGKILL", lambda beat: beat.process.kill(), limit=limit, lost=1)


def term(stage: Stage) -> Row:
    """SIGTERM."""
    return _ended(stage, "beat-term", "SIGTERM", lambda beat: beat.end(), limit=TIMING["retry_period"] + 1.5, lost=0)


def stop(stage: Stage) -> Row:
    """SIGSTOP, past the lease, every other time exactly between a claim and its message."""
    times = 4 if stage.quick else 10
    with _beats(stage) as beats:
        beats.several(ENTRIES, REPLICAS)
        for number in range(times):
            beats.wait_sent(8)
            leader = beats.leader()
            if number % 2:
                leader.in_the_midst("SIGSTOP")
                leader.process.wait_for("midst")
            else:
                leader.process.stop()
            until(lambda: beats.holder() not in (None, leader.process.who), "another leads")  # noqa: B023
            beats.wait_sent(4)
            leader.process.go_on()
            beats.wait_sent(4)
            leader.process.kill()  # so that each is stopped once
            beats(ENTRIES)
        beats.end_all()
        verdict = beats.verdict()
    return Row(
        name="beat-stop",
        what=f"{REPLICAS} beats, {len(ENTRIES)} one-second entries, {TIMES}: SIGSTOP of the leader until another has "
        f"sent, then SIGCONT, {times} times, every other time between a claim and its message",
        ours=f"{sum(verdict.sent.values())} messages, {len(verdict.doubled)} doubled",
        target="0 doubled",
        ok=not verdict.doubled,
    )


def take_over(stage: Stage) -> Row:
    """From SIGKILL to the first message of another, at defaults, beside RedBeat."""
    with _beats(stage) as ours, _beats(stage) as theirs:
        _pair(ours, settings={}, config={"lease_duration": 15})
        _pair(theirs, scheduler="redbeat.RedBeatScheduler")
        killed = {beats: _kill_sender(beats) for beats in (ours, theirs)}
        delays = {}
        while len(delays) < len(killed) and boot_time() < max(killed.values()) + GIVEN_UP:
            for beats, at in killed.items():
                if after := [each.at for each in beats.published() if each.at > at + 0.2]:
                    delays.setdefault(beats, after[0] - at)
            time.sleep(0.1)
    told = {beats: f"{delays[beats]:.1f} s" if beats in delays else f"> {GIVEN_UP:.0f} s" for beats in killed}
    return Row(
        name="beat-takeover",
        what="SIGKILL of beat to the first message of its standby, both at their defaults (leases of 15 s; RedBeat's own lock)",
        ours=told[ours],
        peer=f"RedBeat {told[theirs]}",
        ratio=delays[ours] / delays[theirs] if len(delays) == len(killed) else None,
        target=f"≤ {MAX_TAKE_OVER:.0f} s",
        ok=ours in delays and delays[ours] <= MAX_TAKE_OVER,
    )


def rate(stage: Stage) -> Row:
    """Messages a second of one beat."""
    lasting, rounds = (8, 1) if stage.quick else (20, 2)
    rates: dict[str, list[float]] = {"singleton": [], "celery.beat:PersistentScheduler": []}
    for _ in range(rounds):
        for scheduler, found in rates.items():
            with _beats(stage) as beats:
                beats({}, scheduler=scheduler, many=RATE_ENTRIES, every=1.0, quiet=True)
                client = beats.redis.client()
                until(lambda: client.llen("celery") > 2 * RATE_ENTRIES, "beat sends")  # noqa: B023
                time.sleep((0.9 - time.time()) % 1)  # entries that are claimed together are sent in one burst a second
                before, began = client.llen("celery"), time.monotonic()
                time.sleep(lasting)
                found.append((client.llen("celery") - before) / (time.monotonic() - began))
    ours, stock = (sum(found) / len(found) for found in rates.values())
    return Row(
        name="beat-rate",
        what=f"messages a second of one beat with {RATE_ENTRIES} one-second entries, {rounds} x {lasting} s each, in turn",
        ours=f"{ours:.1f}/s",
        peer=f"stock beat {stock:.1f}/s",
        ratio=ours / stock,
        target=f"≥ {MIN_RATE} x stock",
        ok=ours >= MIN_RATE * stock,
    )


def many(stage: Stage) -> Row:
    """More entries than a lease has room for."""
    with _beats(stage) as beats:
        beat = beats({}, many=5000)
        status = beat.process.wait()
        output = beat.process.output
        sent = len(beats.messages())
    refusal = next((line[line.index("lease '") :] for line in output.splitlines() if "room for" in line), "")
    return Row(
        name="beat-many",
        what="5,000 entries",
        ours=f"exit status {status}, {sent} messages: {refusal}",
        target="works, or is refused before the first tick with the limit and the way out",
        ok=bool(status) and not sent and "each with a lease of its own" in refusal,
    )


def _ended(stage: Stage, name: str, how: str, end: Callable[[Beat], Any], *, limit: float, lost: int) -> Row:
    times = 5 if stage.quick else 30
    gaps = []
    with _beats(stage) as beats:
        beats.several(ENTRIES, REPLICAS)
        for _ in range(times):
            beats.wait_sent(8)
            time.sleep(random.uniform(0, 1))
            leader, at = beats.leader(), boot_time()
            end(leader)
            beats(ENTRIES)
            beats.wait_sent(8)
            gaps.append(max(_gap(beats, entry, at) for entry in ENTRIES))
        beats.end_all()
        verdict = beats.verdict()
    most = max(verdict.lost.values())
    return Row(
        name=name,
        what=f"{REPLICAS} beats, {len(ENTRIES)} one-second entries, {TIMES}: {how} of the leader and another beat instead, "
        f"{times} times; gap: the longest time without a message of an entry, its second included",
        ours=f"{sum(verdict.sent.values())} messages, {len(verdict.doubled)} doubled, {sum(verdict.lost.values())} claimed "
        f"and not sent (at most {most} of an entry); gap p50 {median(gaps):.1f} s, max {max(gaps):.1f} s",
        target=f"0 doubled, {f'≤ {lost} an entry and end' if lost else 0} lost, gap ≤ {limit:g} s",
        ok=not verdict.doubled and most <= lost * times and max(gaps) <= limit,
    )


def _gap(beats: Beats, entry: str, at: float) -> float:
    """The time without a message of ``entry`` around ``at``."""
    times = sorted(each.at for each in beats.published(entry))
    return min(time for time in times if time > at) - max(time for time in times if time <= at)


@contextmanager
def _beats(stage: Stage) -> Iterator[Beats]:
    """A starter of beats in a namespace and on a broker of their own."""
    namespace = f"bench-{uuid.uuid4().hex[:10]}"
    stage.admin.create_namespace(namespace)
    folder = stage.directory / namespace
    folder.mkdir()
    journal = Journal(folder / "journal.jsonl")

    def make_pod(name: str) -> Pod:
        return Pod.create(stage.admin, namespace, name, directory=folder / name)

    start = Starter(make_pod, journal, folder / "work")
    with Redis() as redis:
        try:
            yield Beats(start, journal, stage.admin, namespace, redis, folder)
        finally:
            start.end_all()


def _pair(beats: Beats, **options: Any) -> None:
    """A beat that sends, and then its standby."""
    first = beats({"tick": 1.0}, **options)
    beats.wait_sent_by(first, 3)
    beats({"tick": 1.0}, **options)
    beats.wait_sent_by(first, 5)  # it has started meanwhile


def _kill_sender(beats: Beats) -> float:
    beats.every[0].process.kill()
    return boot_time()
