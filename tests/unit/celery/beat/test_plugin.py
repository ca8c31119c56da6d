"""The alias ``singleton``: whatever scheduler the app names, guarded."""

import pytest

from celery.apps.beat import Beat
from celery.beat import PersistentScheduler, Scheduler, Service
from singleton_jobs import ConfigError
from singleton_jobs_celery import SingletonMixin, singleton
from unit.celery.beat.site import every, make_app


class InMemory(Scheduler):
    """A scheduler of somebody's own."""


class Mine(SingletonMixin, InMemory):
    """One that was guarded by hand."""


def made(app, lazy=True, **options):
    service = Service(app, **options)
    return service.get_scheduler(lazy=lazy)


@pytest.fixture
def app(space):
    return make_app({"report": every(10)}, singleton_jobs={"store": space})


def inner(scheduler):
    return type(scheduler).__mro__[2]


def test_beats_own_scheduler_by_default(app, tmp_path):
    scheduler = made(app, scheduler_cls="singleton", schedule_filename=str(tmp_path / "s"))
    assert isinstance(scheduler, SingletonMixin)
    assert inner(scheduler) is PersistentScheduler


def test_the_scheduler_that_the_app_names(app):
    app.conf.beat_scheduler = f"{__name__}:InMemory"
    assert type(made(app, scheduler_cls="singleton")).__name__ == "SingletonInMemory"


def test_an_alias_that_the_app_names(app):
    app.conf.beat_scheduler = "singleton"
    app.conf.singleton_jobs["scheduler"] = InMemory
    assert inner(made(app, scheduler_cls=app.conf.beat_scheduler)) is InMemory


def test_an_app_that_names_the_alias_itself(app, tmp_path):
    app.conf.beat_scheduler = "singleton"
    scheduler = made(app, scheduler_cls=app.conf.beat_scheduler, schedule_filename=str(tmp_path / "s"))
    assert inner(scheduler) is PersistentScheduler


def test_a_class_that_is_guarded_already_stays_what_it_is(app):
    app.conf.beat_scheduler = Mine
    assert type(made(app, scheduler_cls="singleton")) is Mine


def test_one_class_is_made_for_each(app):
    app.conf.beat_scheduler = InMemory
    assert type(singleton(app, lazy=True)) is type(singleton(app, lazy=True))


def test_what_is_no_scheduler_is_refused(app):
    app.conf.beat_scheduler = "os:getcwd"
    with pytest.raises(ConfigError, match="os:getcwd"):
        made(app, scheduler_cls="singleton")


def test_the_banner_names_the_lease_and_starts_nothing(app, space, tmp_path):
    beat = Beat(app=app, scheduler="singleton", schedule=str(tmp_path / "s"), quiet=True)
    service = Service(app, scheduler_cls="singleton", schedule_filename=str(tmp_path / "s"))
    assert "lease -> celery-beat" in beat.startup_info(service)
    assert space.requests == 0
    assert not (tmp_path / "s").exists()


def test_looking_at_the_schedule_in_a_shell_starts_nothing(app, space, tmp_path):
    scheduler = made(app, lazy=False, scheduler_cls="singleton", schedule_filename=str(tmp_path / "s"))
    assert "report" in scheduler.schedule
    scheduler.close()
    assert space.requests == 0


def entries(number):
    return {f"a-report-with-a-usual-name-{n}": every(10) for n in range(number)}


def test_too_many_entries_are_refused_before_the_first_tick_with_a_way_out(make, space):
    with pytest.raises(ConfigError, match=r"room for 200 KiB.*5000 entries.*need \d+ KiB.*SINGLETON_JOBS_CELERY_LEASE"):
        make(entries(5000), conf={"beat_scheduler": InMemory})
    assert space.requests == 0


def test_as_many_entries_as_are_said_to_fit_do(make):
    with pytest.raises(ConfigError) as refused:
        make(entries(5000), conf={"beat_scheduler": InMemory})
    fit = int(str(refused.value).partition("about ")[2].split()[0])
    make(entries(fit - 10), conf={"beat_scheduler": InMemory})
    with pytest.raises(ConfigError):
        make(entries(fit + 100), conf={"beat_scheduler": InMemory})
