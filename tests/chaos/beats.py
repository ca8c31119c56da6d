"""Celery beats in the storm: three of them, on one broker; the leader is killed, stopped, ended, over and over."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from controlplane.pod import Pod
from databases.redis_server import Redis, RedisMissing
from e2e.celery.beats import Beat, Beats
from e2e.journal import Journal
from e2e.processes import Starter

from chaos.stage import Stage

ENTRIES = {f"entry-{number}": 1.0 for number in range(4)}
REPLICAS = 3
EVERY = 10.0  # seconds from one fault to the next
STOPPED = 5.0


@dataclass
class BeatsVerdict:
    """What became of the beats' fires."""

    sent: int = 0
    doubled: int = 0
    lost: dict[str, int] = field(default_factory=dict)  # claimed and not sent, by entry
    crashes: int = 0  # kills and stops

    @property
    def ok(self) -> bool:
        """At most the fire in flight of each entry may be lost by a crash."""
        return self.sent > 0 and not self.doubled and all(0 <= each <= self.crashes for each in self.lost.values())

    def __str__(self) -> str:
        lost = max(self.lost.values(), default=0)
        return (
            f"Celery beat: {self.sent:,} messages, {self.doubled} doubled, at most {lost} of an entry claimed and not "
            f"sent in {self.crashes} crashes"
        )


@contextmanager
def beats_in_trouble(stage: Stage, seed: object) -> Iterator[BeatsVerdict | None]:
    """Inside, faults go on; afterwards the verdict is there. None where there is no Redis server."""
    verdict = BeatsVerdict()
    try:
        redis = Redis()
    except RedisMissing as error:
        print(f"no Celery beats in this storm: {error}")
        yield None
        return
    with redis:
        namespace = stage.namespace()
        folder = stage.directory / "beats"
        folder.mkdir()
        journal = Journal(folder / "journal.jsonl")

        def make_pod(name: str) -> Pod:
            return Pod.create(stage.admin, namespace, name, directory=folder / name)

        start = Starter(make_pod, journal, folder / "work")
        beats = Beats(start, journal, stage.admin, namespace, redis, folder)
        over = threading.Event()
        try:
            for _ in range(REPLICAS):
                beats(ENTRIES)
            trouble = threading.Thread(target=_trouble, args=(beats, Random(f"beats {seed}"), over, verdict))
            trouble.start()
            try:
                yield verdict
            finally:
                over.set()
                trouble.join()
            beats.end_all()
            found = beats.verdict()
            verdict.sent, verdict.doubled, verdict.lost = sum(found.sent.values()), len(found.doubled), found.lost
        finally:
            start.end_all()


def _trouble(beats: Beats, rng: Random, over: threading.Event, verdict: BeatsVerdict) -> None:
    while not over.wait(EVERY):
        holder = beats.holder()
        leader = next((beat for beat in beats.every if beat.process.running and beat.process.who == holder), None)
        if leader is None:
            continue
        match rng.choice(["kill", "kill", "stop", "term"]):
            case "kill":
                verdict.crashes += 1
                leader.process.kill()
                beats(ENTRIES)
            case "stop":
                verdict.crashes += 1
                _stop(leader, over)
            case "term":
                leader.process.signal(signal.SIGTERM)
                leader.process.wait()
                beats(ENTRIES)


def _stop(leader: Beat, over: threading.Event) -> None:
    leader.process.stop()
    over.wait(STOPPED)
    leader.process.go_on()
