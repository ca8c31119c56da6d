"""Workers of every pool, whose tasks run under a lease, or are sent by a beat."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from databases.redis_server import Redis

from ..journal import Entry, Journal
from ..processes import PROGRAMS as SHARED_PROGRAMS
from ..processes import ReplicaProcess, Starter
from .beats import PROGRAMS, TIMING

POOLS = ["prefork", "solo", "threads", "gevent", "eventlet"]


class Workers:
    """Starts workers on one broker, and sends them messages."""

    def __init__(self, start: Starter, journal: Journal, redis: Redis) -> None:
        self.journal = journal
        self._start, self._redis = start, redis
        self._app = Celery("sender", broker=redis.url, set_as_current=False)
        self._app.conf.task_ignore_result = True

    def __call__(self, pool: str, *, app: str = "task_app", concurrency: int = 3, **options: Any) -> ReplicaProcess:
        """One more worker of this app, ready."""
        paths = [str(PROGRAMS), str(SHARED_PROGRAMS), *filter(None, [os.environ.get("PYTHONPATH")])]
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        process = self._start.python(
            *("-m", "celery", "-A", app, "worker", "-P", pool, "-c", str(concurrency), "-l", "INFO", *quiet),
            env={"PYTHONPATH": os.pathsep.join(paths)},
            **{"broker": self._redis.url, "config": TIMING, **options},
        )
        process.wait_for("ready")
        return process

    def send(self, task: str, number: int, *more: object) -> str:
        """The id of the message's task."""
        with self._app.connection_for_write() as connection:
            id: str = self._app.send_task(task, (number, *more), connection=connection).id
        return id

    def runs(self) -> list[tuple[Entry, Entry | None]]:
        """Each beginning with its end, if it has come to that."""
        ends = {(end.number, end.pid): end for end in self.journal.entries("end")}
        return [(begin, ends.get((begin.number, begin.pid))) for begin in self.journal.entries("begin")]
