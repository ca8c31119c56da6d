"""Beats on a store in memory and a broker in memory, at a time that tests set."""

import json
from datetime import UTC, datetime, timedelta

from celery import Celery
from singleton_jobs.locks.record import LEDGER_ANNOTATION
from singleton_jobs_celery import singleton
from singleton_jobs_celery.message import ATTEMPT_HEADER, EXPIRES_HEADER, FIRE_HEADER, TOKEN_HEADER
from unit.apscheduler.site import LedgerSpace, leads

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LEASE = "celery-beat"
SOON = 0.02


def now():
    return datetime.now(UTC)


class BeatSpace(LedgerSpace):
    """Leases in memory, and what they say of entries."""

    def mark_of(self, entry):
        return self.ledger(LEASE).get(f"celery:{entry}")

    def cut(self, *numbers, entry="report", fire, mark=None):
        """Other beats were cut short over the ``numbers``-th attempts at ``fire``, the last of them before ``mark``."""
        attempts = [[fire.isoformat(), f"x{number}", number] for number in numbers]
        parts = [(mark or fire).isoformat(), "x", "d", 5, attempts]
        self.put(LEASE, "")
        self.annotate(LEDGER_ANNOTATION, json.dumps({"v": 1, "jobs": {f"celery:{entry}": parts}}), LEASE)

    def claimed(self, entry, fire, **more):
        """Some other beat has claimed ``fire``."""
        self.mark(fire, key=f"celery:{entry}", lease=LEASE, **more)


def make_app(entries=None, **conf):
    """An app with these beat entries, whose messages stay in this process."""
    app = Celery("app", broker="memory://", set_as_current=False)
    app.conf.beat_schedule = entries or {}
    app.conf.task_publish_retry = False
    app.conf.update(conf)
    return app


def every(seconds, task="report", **more):
    """A beat entry."""
    return {"task": task, "schedule": seconds, **more}


class Beat:
    """One beat of a program, which looks for due entries when a test has it do so."""

    def __init__(self, app, folder, number):
        self.app = app
        self.scheduler = singleton(app, schedule_filename=str(folder / f"schedule-{number}"))

    @property
    def leadership(self):
        return self.scheduler._leadership

    @property
    def candidacy(self):
        return self.leadership._part.candidacy

    def look(self):
        """One round of beat's loop, without its sleep."""
        return self.scheduler.tick()

    def lead(self):
        """Look for the first time, leading."""
        self.leadership.start()
        leads(self.leadership)
        self.look()
        return self

    def work(self):
        """Look until nothing is due any more."""
        while self.look() <= SOON:
            assert self.leadership.is_leader
        return self

    def entry(self, name):
        return self.scheduler.schedule[name]


class Sent:
    """A message as a worker gets it."""

    def __init__(self, message):
        message.ack()
        self.headers = message.headers
        self.task = message.headers["task"]
        self.id = message.headers["id"]
        self.fire = datetime.fromisoformat(message.headers[FIRE_HEADER]) if FIRE_HEADER in message.headers else None
        self.token = message.headers.get(TOKEN_HEADER)
        self.attempt = message.headers.get(ATTEMPT_HEADER)
        own, ours = message.headers["expires"], message.headers.get(EXPIRES_HEADER)
        self.expires = own and datetime.fromisoformat(own)  # Celery's, which retries get, too
        self.bound = ours and datetime.fromisoformat(ours.removesuffix(f" {self.id}"))  # of the first delivery

    def __repr__(self):
        return f"<{self.task} for {self.fire}>"


def drained(app):
    """The messages that were sent since this was asked last, oldest first."""
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue("celery")
        return [Sent(queue.get(block=False)) for _ in range(queue.qsize())]


def fires(app, task=None):
    """What they are for."""
    return [sent.fire for sent in drained(app) if task in (None, sent.task)]
