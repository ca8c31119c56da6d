"""Schedulers of other people: whatever way theirs takes, its messages are of the fire that was claimed."""

import threading
from contextlib import suppress

import pytest

from celery.beat import Scheduler
from kombu import Producer
from singleton_jobs import Fire
from singleton_jobs.events import FireEnded, FireInterrupted
from singleton_jobs_celery import SingletonMixin
from singleton_jobs_celery.message import task_id
from unit.celery.beat.site import SECOND, drained, every, make_app, now
from unit.stage import until

TENANTS = ("red", "green", "blue")


class ByKeyword(Scheduler):
    """Looks for the app among its options, as those that keep entries by SQLAlchemy do."""

    def __init__(self, *args, **kwargs):
        self.found = kwargs["app"]
        super().__init__(*args, **kwargs)


class ByPosition(Scheduler):
    def __init__(self, app, /, *args, **kwargs):
        self.found = app
        super().__init__(app, *args, **kwargs)


class Tenants(Scheduler):
    """Sends each of its tenants a message for one tick."""

    def apply_entry(self, entry, producer=None):
        for tenant in TENANTS:
            self.turn(tenant)
            try:
                self.apply_async(entry, producer=producer, advance=False)
            except Exception:
                continue

    def turn(self, tenant):
        """For tests."""


class ManyInOne(Scheduler):
    """The same, one level below."""

    def apply_async(self, entry, producer=None, advance=True, **options):
        for tenant in TENANTS:
            self.turn(tenant)
            super().apply_async(entry, producer=producer, advance=advance, **options)

    def turn(self, tenant):
        """For tests."""


class ByItself(Tenants):
    """Has a way to the broker of its own."""

    def apply_entry(self, entry, producer=None):
        for tenant in TENANTS:
            self.turn(tenant)
            self.send_task(entry.task, (tenant,), producer=producer)


class ByTheApp(Tenants):
    def apply_entry(self, entry, producer=None):
        for tenant in TENANTS:
            self.turn(tenant)
            self.app.send_task(entry.task, (tenant,), producer=producer)


class Quiet(ByTheApp):
    """Says nothing of errors."""

    def apply_entry(self, entry, producer=None):
        with suppress(Exception):
            super().apply_entry(entry, producer)


class Halfway(Tenants):
    """Sends each its own options."""

    def apply_async(self, entry, producer=None, advance=True, **options):
        entry = self.reserve(entry) if advance else entry
        return self.app.send_task(entry.task, entry.args, entry.kwargs, producer=producer, **entry.options)


class Sender(Tenants):
    def send_task(self, *args, **kwargs):
        return super().send_task(*args, **{"queue": "celery", **kwargs})


class Reserving(Tenants):
    """Looks at each entry in its own way."""

    def is_due(self, entry):
        return super().is_due(entry)

    def reserve(self, entry):
        return super().reserve(entry)

    def tick(self, *args, **kwargs):
        return super().tick(*args, **kwargs)


SEVERAL = [Tenants, ManyInOne, ByItself, ByTheApp, Halfway, Sender, Reserving]


@pytest.fixture
def due(lead, space, frozen):
    """`due(kind)`: a leader with a scheduler of this class, and one entry that is due."""

    def due(kind):
        beat = lead({"report": every(10), "later": every(1000)}, conf={"beat_scheduler": kind})
        until(lambda: space.mark_of("report"))
        frozen.tick(10 * SECOND)
        return beat

    return due


@pytest.mark.parametrize("kind", [ByKeyword, ByPosition])
def test_the_app_is_handed_on_as_it_came(kind, space):
    guarded = type("Guarded", (SingletonMixin, kind), {})
    app = make_app({"report": every(10)}, singleton_jobs={"store": space})
    scheduler = guarded(app=app, lazy=True) if kind is ByKeyword else guarded(app, lazy=True)
    assert scheduler.found is scheduler.app is app


def test_the_alias_names_the_app_as_celery_does(due):
    beat = due(ByKeyword)
    assert beat.scheduler.found is beat.app


@pytest.mark.parametrize("kind", SEVERAL)
def test_all_messages_of_a_fire_carry_it(due, kind):
    beat, fire = due(kind), now()
    beat.work()
    sent = drained(beat.app)
    assert [each.fire for each in sent] == [fire] * 3
    assert {each.token for each in sent} == {beat.leadership.term.fencing_token}
    assert {each.bound for each in sent} == {fire + 10 * SECOND}


@pytest.mark.parametrize("kind", SEVERAL)
def test_their_ids_differ_and_are_the_same_wherever_they_are_sent(due, kind):
    beat, fire = due(kind), now()
    beat.work()
    ids = [each.id for each in drained(beat.app)]
    assert len(set(ids)) == 3
    if kind is not ByTheApp:  # which makes ids of its own
        of = Fire("celery:report", fire, beat.leadership.term)
        assert ids == [task_id(of, number) for number in range(3)]


@pytest.mark.parametrize("kind", SEVERAL)
def test_none_is_sent_once_the_term_is_over(due, kind, monkeypatch, heard):
    beat, fire = due(kind), now()
    monkeypatch.setattr(
        beat.scheduler, "turn", lambda tenant: tenant == "green" and beat.candidacy.abandon("a stall"), raising=False
    )
    beat.look()
    (sent,) = drained(beat.app)
    assert sent.fire == fire
    beat.candidacy.start()
    until(lambda: beat.look() is not None and beat.leadership.is_leader)
    beat.work()
    assert drained(beat.app) == [], "what was sent in part is not sent again"
    heard.wait_for(FireInterrupted, job="celery:report", time=fire)


@pytest.mark.parametrize("kind", SEVERAL)
def test_a_fire_is_done_once_all_were_sent(due, kind, monkeypatch, heard):
    beat = due(kind)
    done = []
    monkeypatch.setattr(
        beat.scheduler,
        "turn",
        lambda _: done.extend(e for e in heard.events if isinstance(e, FireEnded)),
        raising=False,
    )
    beat.work()
    assert not done
    heard.wait_for(FireEnded, job="celery:report", ok=True)


def test_one_that_cannot_be_sent_stops_no_other_and_is_told(due, monkeypatch, heard):
    beat = due(Tenants)
    turns = iter(TENANTS)

    def send_task(*arguments, **options):
        if next(turns) == "green":
            raise TypeError("not serializable")
        return original(*arguments, **options)

    original = beat.scheduler.send_task
    monkeypatch.setattr(beat.scheduler, "send_task", send_task)
    beat.work()
    assert len(drained(beat.app)) == 2
    heard.wait_for(FireInterrupted, job="celery:report")


def test_what_fails_on_its_way_to_the_broker_is_told(due, monkeypatch, heard):
    beat = due(Quiet)
    monkeypatch.setattr(Producer, "publish", lambda *_, **__: 1 / 0)
    beat.work()
    heard.wait_for(FireInterrupted, job="celery:report")


def test_a_scheduler_that_sends_nothing_for_a_fire_is_done_with_it(due, monkeypatch, heard):
    beat = due(Scheduler)
    monkeypatch.setattr(beat.scheduler, "apply_entry", lambda *_, **__: None)
    beat.work()
    assert drained(beat.app) == []
    heard.wait_for(FireEnded, job="celery:report", ok=True)


def test_what_others_send_in_the_same_process_is_not_of_the_fire(due, monkeypatch):
    beat = due(Tenants)
    other = threading.Thread(target=lambda: beat.app.send_task("other"))

    def turn(tenant):
        if tenant == "green":
            other.start()
            other.join()

    monkeypatch.setattr(beat.scheduler, "turn", turn)
    beat.work()
    beat.app.send_task("afterwards")
    assert [(each.task, bool(each.fire), bool(each.bound)) for each in drained(beat.app)] == [
        ("report", True, True),
        ("other", False, False),
        ("report", True, True),
        ("report", True, True),
        ("afterwards", False, False),
    ]


def test_the_older_protocol_of_messages(due):
    beat, fire = due(Tenants), now()
    beat.app.conf.task_protocol = 1
    beat.work()
    with beat.app.connection_for_read() as connection:
        queue = connection.SimpleQueue("celery")
        messages = [queue.get(block=False) for _ in range(queue.qsize())]
    assert [each.headers["singleton-jobs-fire"] for each in messages] == [fire.isoformat()] * 3
    for each in messages:
        assert each.headers["singleton-jobs-expires"].endswith(f" {each.payload['id']}")
