"""Beats, closed after each test."""

from functools import partial

import pytest
from freezegun import freeze_time

from kombu.transport import memory
from singleton_jobs import Replica
from singleton_jobs.replica import replica_on
from singleton_jobs_celery import settings
from unit.celery.beat.site import SECOND, Beat, BeatSpace, every, make_app
from unit.stage import DRIVER, PUSHED, until

TIMING = {"lease_duration": 6, "retry_period": 0.2}


@pytest.fixture
def space():
    return BeatSpace()


@pytest.fixture(autouse=True)
def default(monkeypatch, heard):
    """The process's own replica; each beat of a test makes one like it, a process of its own as far as a store can tell."""
    replica = Replica(clock=PUSHED.clock, driver=DRIVER, hooks=[heard])
    monkeypatch.setattr(settings, "default_replica", lambda: replica)
    return replica


@pytest.fixture(autouse=True)
def _empty_broker():
    yield
    memory.Transport.global_state.clear()
    memory.Channel.queues.clear()


@pytest.fixture
def frozen():
    """A morning in the past; the store's own clock goes on by itself."""
    with freeze_time("2026-05-06T07:20:00", ignore=["kubernetes"]) as clock:
        yield clock


@pytest.fixture
def make(space, tmp_path):
    """`make(entries, **settings)`: one more beat; each is in one process of its own."""
    made = []

    def make(entries=None, *, app=None, conf=None, **more):
        app = app or make_app(entries, **conf or {})
        app.conf.singleton_jobs = {"store": space, "identity": f"pod-{len(made)}", **TIMING, **more}
        made.append(Beat(app, tmp_path, len(made)))
        return made[-1]

    yield make
    space.fault = None
    for beat in made:
        beat.scheduler.close()
        replica_on(beat.leadership._part.core).close(drain=0)


@pytest.fixture
def lead(make):
    """`lead(entries, **settings)`: one that leads."""
    return lambda *arguments, **more: make(*arguments, **more).lead()


@pytest.fixture
def make_due(lead, space, frozen):
    """`make_due(**settings)`: a leader with one entry that is due."""

    def make_due(**settings):
        beat = lead({"report": every(10)}, **settings)
        until(lambda: space.mark_of("report"))
        frozen.tick(10 * SECOND)
        return beat

    return make_due


@pytest.fixture
def publishing(make_due, monkeypatch):
    """`publishing(do, **settings)`: `do` happens in the midst of the due message's sending, before the broker has it."""

    def publishing(do, **settings):
        beat = make_due(**settings)
        original = beat.scheduler.send_task

        def send_task(*arguments, **options):
            do()
            return original(*arguments, **options)

        monkeypatch.setattr(beat.scheduler, "send_task", send_task)
        return beat

    return publishing
