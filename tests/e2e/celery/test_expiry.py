"""What a beat sends too late is discarded by real workers, and nothing else is: not the work that follows from a tick."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from celery import Celery, signature
from databases.redis_server import Redis
from freezegun import freeze_time

from singleton_jobs import Replica
from singleton_jobs_celery import settings, singleton

from ..journal import Journal, eventually
from .beats import Beats
from .workers import Workers

pytestmark = pytest.mark.e2e

TIMING = {"lease_duration": 4, "renew_deadline": 2, "retry_period": 0.5}  # so long are messages of each second good for
AFTER = 5  # seconds, when they are not any more


def brief(what): ...


@pytest.fixture
def send(monkeypatch, redis_server: Redis, tmp_path):
    """`send(entries)`: a beat of this process sends each of them once; `at` another time."""
    monkeypatch.setattr(settings, "default_replica", lambda: Replica("memory:"))
    number = count()

    def send(entries, at=None):
        app = Celery(broker=redis_server.url, set_as_current=False)
        app.conf.beat_schedule = {name: {"schedule": 1.0, "args": [name], **entry} for name, entry in entries.items()}
        app.conf.singleton_jobs = {"lease": f"beat-{next(number)}", **TIMING}
        app.task(brief, name="brief", expires=7200, shared=False)
        # To set a clock may take seconds, by which a clock that is set to now would be behind the workers'.
        with freeze_time(at, tick=True, ignore=["kubernetes"]) if at else nullcontext():
            scheduler = singleton(app, schedule_filename=str(tmp_path / f"schedule-{next(number)}"))
            while not all(scheduler.schedule[name].total_run_count for name in entries):
                scheduler.tick()
            scheduler.close()

    return send


def test_late_messages_are_discarded_and_late_work_is_not(send, workers: Workers, journal: Journal) -> None:
    in_a_while = {"countdown": AFTER}
    send(
        {
            "late": {"task": "plain"},
            "late with an id of its own": {"task": "plain", "options": {"task_id": "mine"}},
            "late with a countdown": {"task": "plain", "options": {"countdown": 1}},
            "late with an expiry": {"task": "plain", "options": {"expires": 7200}},
            "late without one": {"task": "plain", "options": {"expires": None}},
            "late with the task's": {"task": "brief"},
        },
        at=datetime.now(UTC) - timedelta(hours=1),
    )
    workers("prefork", app="tick_app", after=AFTER)
    send(
        {
            "with an id of its own": {"task": "plain", "options": {"task_id": "mine"}},
            "retrying": {"task": "retrying"},
            "failing": {"task": "failing"},
            "countdown": {"task": "plain", "options": in_a_while},
            "eta": {"task": "plain", "options": {"eta": datetime.now(UTC) + timedelta(seconds=AFTER + 2)}},
            "link": {
                "task": "plain",
                "options": {"link": signature("plain", ("linked",), options=in_a_while, immutable=True)},
            },
            "chaining": {"task": "chaining"},
            "copying": {"task": "copying"},
            "replaced": {"task": "replaced"},
            "dying": {"task": "dying"},
        }
    )
    once = {
        *("late with an expiry", "late without one", "late with the task's"),
        *("with an id of its own", "countdown", "eta", "link", "chaining", "copying", "replaced"),
        *("linked", "first of a chain", "second of a chain", "with copied headers", "a replacement"),
    }
    expected = Counter(dict.fromkeys(once, 1) | dict.fromkeys(("retrying", "failing", "dying"), 2))

    def ran() -> Counter[str]:
        return Counter(entry.what for entry in journal.entries("ran"))

    eventually(lambda: ran() >= expected, lambda: f"{expected - ran()}\n{journal.tail()}")
    assert ran() == expected
    discarded = {entry.what for entry in journal.entries("discarded", expired=True)}
    assert discarded == {"late", "late with an id of its own", "late with a countdown"}


def test_a_task_that_retries_for_longer_than_its_period_comes_to_its_end(beats: Beats, workers: Workers) -> None:
    worker = workers("threads", app="tick_app", after=3.6, retries=2)
    beats({"retrying": 3.0})
    end = worker.wait_for("end")
    assert len(worker.entries("ran", id=end.id)) == 3
