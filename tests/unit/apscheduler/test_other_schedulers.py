"""Scheduler classes of somebody's own: those that stand for another, never start, have an add_job of theirs, or Qt's."""

import functools
import gc
import os
import subprocess
import sys
import uuid

import pytest

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler
from singleton_jobs import ConfigError
from singleton_jobs_apscheduler import SingletonJobStore, guard
from singleton_jobs_apscheduler.unstarted import Unstarted
from unit.apscheduler.site import ByHand, Guarded, leads
from unit.apscheduler.work import work

GENERATED = uuid.uuid4().hex
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


# what stands for another


class Wrapper(BaseScheduler):
    """As dependency injection makes them: all that it does, another scheduler does."""

    def __init__(self, inner):
        self._scheduler = inner

    def __getattr__(self, name):
        return getattr(self._scheduler, name)

    def start(self, *arguments, **options):
        return self._scheduler.start(*arguments, **options)

    def add_job(self, *arguments, **options):
        return self._scheduler.add_job(*arguments, **options)

    def shutdown(self, wait=True):
        self._scheduler.shutdown(wait)

    def wakeup(self):
        self._scheduler.wakeup()


class WholeWrapper(Wrapper):
    """Is a scheduler of its own besides."""

    def __init__(self, inner):
        BaseScheduler.__init__(self)
        self.inner = inner
        self._scheduler = inner


class Hiding(Wrapper):
    """Gives out what is another's."""

    def __init__(self, inner):
        object.__setattr__(self, "found", inner)

    def __getattribute__(self, name):
        return getattr(object.__getattribute__(self, "found"), name)


class Lazy(WholeWrapper):
    """Nobody sees what it holds."""

    def __init__(self, make):
        BaseScheduler.__init__(self)
        self._make = make

    @functools.cached_property
    def _scheduler(self):
        return self._make()


class Proxy:
    """Passes for what it stands for."""

    def __init__(self, inner):
        self.inner = inner

    @property
    def __class__(self):
        return type(self.inner)

    def __getattr__(self, name):
        return getattr(self.inner, name)


@pytest.mark.parametrize("kind", [Wrapper, WholeWrapper, Hiding, Proxy], ids=lambda kind: kind.__name__)
def test_what_stands_for_another_scheduler_is_refused_by_name(replica, kind):
    inner = Guarded(timezone="UTC")
    with pytest.raises(ConfigError, match=r"Wrapper|Hiding|Proxy|guard\(scheduler"):
        guard(kind(inner), "nightly", replica=replica)
    assert type(inner) is Guarded
    guard(inner, "nightly", replica=replica)


def test_a_refusal_says_what_to_guard(replica):
    with pytest.raises(ConfigError, match=r"guard\(scheduler\._scheduler, lease=…\)"):
        guard(Wrapper(Guarded()), "nightly", replica=replica)


def test_a_scheduler_that_knows_another_is_guarded(make, ran):
    scheduler = make()
    scheduler.fallback = Guarded()

    class Two(Guarded):
        pass

    two = make(kind=Two, lease="other")
    two.fallback = Guarded()
    two.add_job(work, id="job")
    two.start()
    leads(two.leadership)
    two.run(EVENT_JOB_EXECUTED)
    assert ran[0][1].job == "aps:default:job"


@pytest.fixture(autouse=True)
def collected():
    """Nothing of an earlier test is told in the next."""
    gc.collect()


def warnings(caplog):
    return [each.getMessage() for each in caplog.records if "has not started" in each.getMessage()]


def test_a_start_that_starts_something_else_is_told(replica, caplog):
    inner = Guarded(timezone="UTC")
    lazy = Lazy(lambda: inner)
    lease = guard(lazy, "nightly", replica=replica).lease
    lazy.start()
    inner.shutdown()
    (told,) = warnings(caplog)
    assert lease in told
    assert "Lazy" in told
    del lazy
    gc.collect()
    assert len(warnings(caplog)) == 1


def test_a_guarded_scheduler_that_is_dropped_is_told_at_once(replica, caplog):
    guard(Guarded(timezone="UTC"), "nightly", replica=replica)
    gc.collect()
    (told,) = warnings(caplog)
    assert "nightly" in told


def test_a_guarded_scheduler_that_was_started_is_not_told(make, caplog):
    scheduler = make(kind=ByHand)
    scheduler.start()
    scheduler.shutdown()
    scheduler.start()
    scheduler.shutdown()
    scheduler.unstarted.tell()
    assert not warnings(caplog)


@pytest.mark.parametrize(("end", "told"), [(59, 0), (60, 1)])
def test_at_its_end_a_program_that_had_time_to_start_it_is_told(caplog, end, told):
    scheduler, times = Guarded(timezone="UTC"), iter([0.0, end])
    Unstarted(scheduler, "nightly", lambda: next(times)).tell_if_late()
    assert len(warnings(caplog)) == told


FORKING = "if os.fork() == 0:\n    scheduler.start()\n    scheduler.shutdown()\n    os._exit(0)\nos.wait()\n"


@pytest.mark.parametrize(
    ("then", "told"), [("", True), pytest.param(FORKING, False, marks=needs_fork)], ids=["alone", "forks"]
)
def test_the_end_of_a_real_program_tells_unless_it_left_the_start_to_its_children(then, told):
    program = (
        "import os\n"
        "from apscheduler.schedulers.background import BackgroundScheduler\n"
        "from singleton_jobs_apscheduler import guard, unstarted\n"
        "from singleton_jobs import Replica\n"
        "from singleton_jobs.locks import MemorySpace\n"
        "unstarted.SOON = 0.0\n"
        "scheduler = BackgroundScheduler()\n"
        "guard(scheduler, 'nightly', replica=Replica(store=MemorySpace()))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", program + then], capture_output=True, text=True, check=True, timeout=60
    )
    assert ("has not started" in ended.stderr) == told, ended.stderr
    assert ("lease nightly" in ended.stderr.replace("default/", "")) == told


# an add_job of its own


class MakesIds(Guarded):
    def add_job(self, func, *arguments, **options):
        options.setdefault("id", f"its-{func.__name__}")
        return super().add_job(func, *arguments, **options)


class KeywordOnly(Guarded):
    def add_job(self, func, trigger=None, *, id, **options):
        return super().add_job(func, trigger, id=id, **options)


class OtherOrder(Guarded):
    def add_job(self, id, func, trigger=None, **options):
        super().add_job(func, trigger, id=id, **options)
        return id


class Random(Guarded):
    def add_job(self, func, *arguments, **options):
        return super().add_job(func, *arguments, **{**options, "id": uuid.uuid4().hex})


OWN = {
    MakesIds: ((work,), {}, "its-work"),
    KeywordOnly: ((work,), {"id": "job"}, "job"),
    OtherOrder: (("job", work), {}, "job"),
}


@pytest.mark.parametrize(("kind", "call"), OWN.items(), ids=lambda it: getattr(it, "__name__", ""))
@pytest.mark.parametrize("started", [False, True], ids=["before-start", "after-start"])
def test_an_add_job_of_its_own_gets_exactly_what_came(make, ran, kind, call, started):
    scheduler = make(kind=kind)
    arguments, options, id = call
    if started:
        scheduler.start()
        leads(scheduler.leadership)
    scheduler.add_job(*arguments, **options)
    if not started:
        scheduler.start()
        leads(scheduler.leadership)
    scheduler.run(EVENT_JOB_EXECUTED)
    assert ran[0][1].job == f"aps:default:{id}"


@pytest.mark.parametrize("started", [False, True], ids=["before-start", "after-start"])
@pytest.mark.parametrize(
    ("kind", "arguments", "options"),
    [
        (Random, (work, "cron"), {"id": "job"}),
        (KeywordOnly, (work, "cron"), {"id": GENERATED}),
        (OtherOrder, (None, work, "cron"), {}),
    ],
    ids=["random", "keyword", "order"],
)
def test_an_id_that_it_makes_up_is_refused_and_nothing_is_left_of_it(make, started, kind, arguments, options):
    scheduler = make(kind=kind)
    if started:
        scheduler.start()
    else:
        BaseScheduler.add_job(scheduler, work, "cron", id="fine")
    with pytest.raises(ConfigError, match=r'add_job\(work, …, id="work"\)'):
        scheduler.add_job(*arguments, **options)
    assert [job.id for job in scheduler.get_jobs()] == ([] if started else ["fine"])


# Qt's


@pytest.fixture
def qt():
    """What derives from Qt's scheduler; Qt itself need not be there."""
    qt = type("QtScheduler", (Guarded,), {"__module__": "apscheduler.schedulers.qt"})
    return type("DesktopScheduler", (qt,), {})


def test_a_qt_scheduler_is_refused_by_name(replica, qt):
    scheduler = qt(timezone="UTC")
    with pytest.raises(ConfigError, match=r"QtScheduler.*BackgroundScheduler"):
        guard(scheduler, "nightly", replica=replica)
    assert type(scheduler) is qt


def test_a_qt_scheduler_with_a_guarded_store_is_refused_at_its_start(replica, qt):
    scheduler = qt(timezone="UTC", jobstores={"default": SingletonJobStore("memory", "nightly", replica=replica)})
    with pytest.raises(ConfigError, match="BackgroundScheduler"):
        scheduler.start()


class Related(BackgroundScheduler):
    """Knows of another, and has a start of its own."""

    def __init__(self):
        super().__init__()
        self.other = BackgroundScheduler()

    def start(self, *arguments, **options):
        super().start(*arguments, **options)


def test_one_that_merely_has_another_is_guarded(replica):
    assert guard(Related(), lease="nightly", replica=replica).lease == "nightly"
