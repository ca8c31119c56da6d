"""Replicas that run beat, as a test sees and drives them, and what they have sent."""

from __future__ import annotations

import base64
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from controlplane.admin import Admin
from controlplane.pod import Pod
from databases.redis_server import Redis

from ..journal import Entry, Journal, eventually
from ..processes import PROGRAMS as SHARED_PROGRAMS
from ..processes import ReplicaProcess, Starter

PROGRAMS = Path(__file__).resolve().parent / "programs"
LEASE = "celery-beat"
TIMING = {"lease_duration": 3, "renew_deadline": 2, "retry_period": 0.5}
LEDGER = "singleton-jobs/fires"
CELERY = "from celery.__main__ import main; main()"
LOAD = 6.0  # seconds that a busy machine may add to what is bounded


class Message(NamedTuple):
    """What a worker would get."""

    entry: str
    fire: float | None
    token: int | None
    id: str
    expires: float | None
    attempt: int | None = None

    @classmethod
    def of(cls, raw: str) -> Message:
        headers = json.loads(raw)["headers"]
        fire, expires = headers.get("singleton-jobs-fire"), headers.get("singleton-jobs-expires")
        return cls(
            headers["task"],
            datetime.fromisoformat(fire).timestamp() if fire else None,
            headers.get("singleton-jobs-token"),
            headers["id"],
            datetime.fromisoformat(expires.partition(" ")[0]).timestamp() if expires else None,
            headers.get("singleton-jobs-attempt"),
        )


class Beat:
    """One process with a beat."""

    def __init__(self, process: ReplicaProcess, trigger: Path) -> None:
        self.process = process
        self._trigger = trigger

    def __repr__(self) -> str:
        return self.process.who

    def in_the_midst(self, what: str) -> None:
        """Have this done to the process in the midst of sending its next message, after the claim."""
        written = self._trigger.with_suffix(".new")
        written.write_text(what)
        written.rename(self._trigger)

    def ready(self) -> Beat:
        """Once it leads, or has seen who does."""
        eventually(
            lambda: self.process.entries("TermStarted") or self.process.entries("HolderChanged"),
            lambda: f"{self} sees the lease:\n{self.process.output[-3000:]}",
        )
        return self

    def end(self) -> int:
        """SIGTERM, and wait for it."""
        self.process.terminate()
        return self.process.wait()


class Beats:
    """Starts replicas with a beat; all in one lease, on one broker."""

    def __init__(
        self, start: Starter, journal: Journal, admin: Admin, namespace: str, redis: Redis, folder: Path
    ) -> None:
        self.journal = journal
        self.redis = redis
        self.every: list[Beat] = []
        self._start, self._admin, self._namespace, self._folder = start, admin, namespace, folder
        self._seen: list[Message] = []

    def __call__(
        self,
        entries: dict[str, Any],
        *,
        command: Iterable[str] = ("beat",),
        scheduler: str = "singleton",
        pod: Pod | None = None,
        launch: list[str] | None = None,
        skew: float = 0,
        path: Iterable[Path] = (),
        env: dict[str, str | None] | None = None,
        **options: Any,
    ) -> Beat:
        """One more replica; `path` is added to its PYTHONPATH."""
        number = len(self.every)
        trigger = self._folder / f"trigger-{number}"
        paths = [str(PROGRAMS), str(SHARED_PROGRAMS), *map(str, path), *filter(None, [os.environ.get("PYTHONPATH")])]
        launch = launch or (["-c", f"import skew; {CELERY}"] if skew else ["-m", "celery"])
        process = self._start.python(
            *launch,
            *("-A", "beat_app"),
            *command,
            *("--scheduler", scheduler, "-s", str(self._folder / f"schedule-{number}"), "-l", "INFO"),
            *(["--pidfile="] if "beat" in command else []),
            pod=pod,
            env={"PYTHONPATH": os.pathsep.join(paths), "SKEW": str(skew), "ALARM": "900", **(env or {})},
            **{
                "broker": self.redis.url,
                "entries": entries,
                "settings": TIMING,
                "config": TIMING,
                "trigger": str(trigger),
                **options,
            },
        )
        self.every.append(Beat(process, trigger))
        return self.every[-1]

    def several(self, entries: dict[str, Any], count: int = 3, **options: Any) -> list[Beat]:
        """So many replicas alike, ready."""
        started = [self(entries, **options) for _ in range(count)]
        return [beat.ready() for beat in started]

    def holder(self) -> str | None:
        """The name of the pod that holds the lease."""
        lease = self._admin.get_lease(self._namespace, LEASE)
        return (lease["spec"].get("holderIdentity") or "").rpartition("_")[0] or None if lease else None

    def leader(self) -> Beat:
        """Who holds the lease, once that is a running replica."""

        def found() -> Beat | None:
            holder = self.holder()
            return next((b for b in self.every if b.process.running and b.process.who == holder), None)

        leader: Beat = eventually(found, "a replica leads")
        return leader

    def followers(self) -> list[Beat]:
        """The running replicas besides the leader."""
        leader = self.leader()
        return [beat for beat in self.every if beat.process.running and beat is not leader]

    def messages(self, entry: str | None = None) -> list[Message]:
        """All that was sent so far, in the order of its arrival."""
        client = self.redis.client()
        raw = [client.rpop("celery") for _ in range(client.llen("celery"))]
        self._seen += [Message.of(each) for each in raw]
        return [message for message in self._seen if entry in (None, message.entry)]

    def published(self, entry: str | None = None) -> list[Entry]:
        """What the replicas say of the same."""
        return [each for each in self.journal.entries("published") if entry in (None, each.entry)]

    def wait_sent(self, count: int = 1, entry: str | None = None, **how: Any) -> list[Entry]:
        """Until so many more messages have been sent; what was sent then."""
        before = len(self.published(entry))
        eventually(
            lambda: len(self.published(entry)) >= before + count,
            lambda: f"{count} more messages of {entry or 'any entry'}; the journal ends\n{self.journal.tail()}",
            **how,
        )
        return self.published(entry)

    def wait_sent_by(self, beat: Beat, count: int = 1) -> None:
        """Until this replica has sent so many more messages."""
        before = len(beat.process.entries("published"))
        beat.process.wait_for("published", count=before + count)

    def end_all(self) -> None:
        """SIGTERM to all, and wait for them."""
        running = [beat for beat in self.every if beat.process.running]
        for beat in running:
            beat.process.terminate()
        for beat in running:
            beat.process.wait()

    def marks(self) -> dict[str, Any]:
        """The ledger's marks, by the entries' names."""
        lease = self._admin.get_lease(self._namespace, LEASE)
        text = lease["metadata"]["annotations"][LEDGER] if lease else '{"jobs":{}}'
        return {key.removeprefix("celery:"): mark for key, mark in json.loads(text)["jobs"].items()}

    def verdict(self) -> Verdict:
        """What became of all fires that were claimed, once nobody sends any more."""
        sent: defaultdict[str, list[Message]] = defaultdict(list)
        for message in self.messages():
            sent[message.entry].append(message)
        times = {entry: sorted(each.at for each in self.published(entry)) for entry in sent}
        return Verdict(
            sent={entry: len(messages) for entry, messages in sent.items()},
            doubled=[
                (entry, fire)
                for entry, messages in sent.items()
                for fire, count in Counter(message.fire for message in messages).items()
                if count > 1
            ],
            lost={entry: mark[3] - len(sent[entry]) for entry, mark in self.marks().items() if len(mark) > 3},
            gap=max((after - before for each in times.values() for before, after in pairwise(each)), default=0.0),
        )


class Verdict(NamedTuple):
    """How many messages each entry has sent, which fires twice, how many were claimed and never sent, and the longest
    time without a message of an entry.
    """

    sent: dict[str, int]
    doubled: list[tuple[str, float | None]]
    lost: dict[str, int]
    gap: float

    def assert_once(self, *, lost: int = 0) -> None:
        """Each fire once; at most so many of each entry claimed and not sent."""
        assert not self.doubled, self
        assert all(0 <= count <= lost for count in self.lost.values()), self
