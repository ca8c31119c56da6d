"""A guarded scheduler that looks for due jobs when it is told to, on a store in memory that tests write to."""

import json
import threading
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_ALL, EVENT_JOB_SUBMITTED
from apscheduler.executors.base import BaseExecutor, run_job
from apscheduler.executors.debug import DebugExecutor
from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.base import BaseScheduler
from singleton_jobs.decisions.ledger import Mark, read_ledger
from singleton_jobs.locks.record import LEDGER_ANNOTATION
from singleton_jobs_apscheduler.due_trigger import clone
from sqlalchemy.pool import NullPool
from unit.stage import LIMIT, Space, seen_by, until

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NEEDED = 17  # seconds of grace that a lease with the tests' timing needs
KEY = "aps:default:job"


def now():
    return datetime.now(UTC)


def sql_store(url):
    """A job store that keeps no connection: Python warns of each one left open, in whatever test it is collected."""
    return SQLAlchemyJobStore(url, engine_options={"poolclass": NullPool})


class LedgerSpace(Space):
    """Leases in memory whose ledger can be written and read by a test."""

    def ledger(self, lease="nightly"):
        annotations = json.loads(self.leases[lease][2])["metadata"].get("annotations", {})
        return read_ledger(annotations.get(LEDGER_ANNOTATION))

    def mark(self, fire, key=KEY, nonce="x", state="d", lease="nightly", runs=None, attempts=()):
        """Somebody else has claimed ``fire``; the lease is left as it is, or free."""
        if lease not in self.leases:
            self.put(lease, "")
        marks = {**self.ledger(lease), key: Mark(fire, nonce, state, runs, attempts)}
        jobs = {
            job: [mark.fire.isoformat(), *mark[1:4], [[each.fire.isoformat(), *each[1:]] for each in mark.attempts]]
            for job, mark in marks.items()
        }
        with self.mutex:
            uid, _, body, at = self.leases[lease]
            whole = json.loads(body)
            whole["metadata"].setdefault("annotations", {})[LEDGER_ANNOTATION] = json.dumps({"v": 1, "jobs": jobs})
            self.keep(lease, (uid, self.next_version(), json.dumps(whole), at))


class ByHand(BaseScheduler):
    """Looks for due jobs when a test does so; counts how often it was woken."""

    def __init__(self, *arguments, **options):
        self.wakeups = 0
        self.news = threading.Condition()
        self.told = []
        super().__init__(*arguments, **options)
        self.add_listener(self.note, EVENT_ALL)

    def wakeup(self):
        with self.news:
            self.wakeups += 1
            self.news.notify_all()

    def shutdown(self, wait=True):
        super().shutdown(wait)

    def look(self):
        """One pass, and all its claims decided; the seconds until the next."""
        wait = self._process_jobs()
        for executor in self._executors.values():
            for waiter in getattr(executor, "_waiters", {}).values():
                decided = threading.Event()
                waiter.put(decided.set)
                assert decided.wait(LIMIT)
        if hasattr(self, "_tell_listeners"):  # it is guarded
            self._tell_listeners()
        return wait

    def note(self, event):
        with self.news:
            self.told.append(event)
            self.news.notify_all()

    def events(self, code):
        return [event for event in self.told if event.code == code]

    def wait_for(self, condition):
        with self.news:
            assert self.news.wait_for(condition, LIMIT), self.told

    def wait_events(self, code, number=1):
        self.wait_for(lambda: len(self.events(code)) >= number)
        return self.events(code)

    def serve(self, condition):
        """A pass now, and whenever it is woken, until ``condition``."""
        woken = self.wakeups
        self.look()

        def come_true():
            nonlocal woken
            if not condition() and woken != self.wakeups:
                woken = self.wakeups
                self.look()
            return condition()

        until(come_true)

    def serve_in_time(self, code, number=1):
        """Passes one after the other, as time goes by, until so many events of ``code``."""

        def come_true():
            self.look()
            return len(self.events(code)) >= number

        until(come_true)

    def run(self, code, number=1):
        """The events of ``code`` that a pass, or one after it, has led to."""
        self.serve(lambda: len(self.events(code)) >= number)
        return self.events(code)


class Guarded(ByHand):
    """A ByHand that runs jobs where they are handed over."""

    def _create_default_executor(self):
        return DebugExecutor()


class Held(BaseExecutor):
    """Holds what it is given until it is let go."""

    def __init__(self):
        super().__init__()
        self.given = []
        self.news = threading.Condition()
        self.shut = []

    def _do_submit_job(self, job, run_times):
        with self.news:
            self.given.append((job, run_times))
            self.news.notify_all()

    def wait_given(self, number=1):
        with self.news:
            assert self.news.wait_for(lambda: len(self.given) >= number, LIMIT)

    def let_go(self):
        """Run the oldest of it."""
        self.wait_given()
        job, run_times = self.given.pop(0)
        self._run_job_success(job.id, run_job(job, job._jobstore_alias, run_times, "held"))

    def break_down(self, error):
        self.wait_given()
        job, _ = self.given.pop(0)
        self._run_job_error(job.id, error)

    def shutdown(self, wait=True):
        self.shut.append(wait)


class Delegate(BaseJobStore):
    """A store that all replicas share, as far as anybody can tell; ``broken`` names the methods that fail."""

    def __init__(self, rows=None):
        super().__init__()
        self.rows = rows or MemoryJobStore()
        self.broken = set()
        self.calls = []

    def start(self, scheduler, alias):
        super().start(scheduler, alias)
        self.rows.start(scheduler, alias)

    def _do(self, name, *arguments):
        self.calls.append(name)
        if name in self.broken:
            raise OSError(f"no {name}")
        found = getattr(self.rows, name)(*(clone(each) if isinstance(each, Job) else each for each in arguments))
        if isinstance(found, list):
            return [clone(job, _jobstore_alias=self._alias) for job in found]
        return clone(found, _jobstore_alias=self._alias) if isinstance(found, Job) else found

    def lookup_job(self, job_id):
        return self._do("lookup_job", job_id)

    def get_due_jobs(self, now):
        return self._do("get_due_jobs", now)

    def get_next_run_time(self):
        return self._do("get_next_run_time")

    def get_all_jobs(self):
        return self._do("get_all_jobs")

    def add_job(self, job):
        self._do("add_job", job)

    def update_job(self, job):
        self._do("update_job", job)

    def remove_job(self, job_id):
        self._do("remove_job", job_id)

    def remove_all_jobs(self):
        self._do("remove_all_jobs")


def submitted(scheduler):
    return len(scheduler.events(EVENT_JOB_SUBMITTED))


def leads(leadership):
    assert leadership.wait(timeout=LIMIT)


def follows(leadership):
    """Wait until the lease was seen to be another's."""
    seen_by(leadership._part.candidacy, lambda: leadership._part.candidacy.settled)
    assert not leadership.is_leader
