"""``app.conf.singleton_jobs``, and what is refused of it."""

import pytest

from singleton_jobs import Config, ConfigError
from singleton_jobs.events import TermStarted
from singleton_jobs.leading.settings import Settings as ReplicaSettings
from singleton_jobs.replica import replica_on
from singleton_jobs_celery.settings import Settings
from unit.celery.beat.site import LEASE, every, make_app, now, SECOND, fires


def of(**settings):
    return Settings.of(make_app(singleton_jobs=settings))


def test_nothing_needs_to_be_set():
    assert Settings.of(make_app()) == Settings(LEASE, None, {}, None, 1)


def test_the_lease_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("SINGLETON_JOBS_CELERY_LEASE", "beat-of-billing")
    assert of().lease == "beat-of-billing"
    assert of(lease="mine").lease == "mine"


def test_timing_is_given_in_single_values_or_as_a_config():
    config = Config(lease_duration=30, retry_period=1)
    assert of(lease_duration=30, retry_period=1).config == config
    assert of(config=config).config == config


def test_a_place_of_its_own_makes_a_replica_that_is_else_set_up_like_the_processs_own(default, space, heard):
    default._core.configure(ReplicaSettings(store=space, hooks=[heard], namespace="n"))
    leadership = of(prefix="billing-", identity="me").leadership()
    replica = replica_on(leadership._part.core)
    assert replica._core is not default._core
    assert leadership.lease == "billing-celery-beat"
    assert leadership.wait(timeout=5)
    assert replica.identity.startswith("me_")
    assert space.holder("billing-celery-beat") == replica.identity
    heard.wait_for(TermStarted)
    replica.close()


def test_otherwise_it_is_the_processs_own(default):
    assert of(lease="beat-of-the-default").leadership()._part.core is default._core


def test_unknown_settings_are_refused_by_name():
    with pytest.raises(ConfigError, match=r"no setting 'leese', 'ttl'; it knows lease, scheduler"):
        of(leese="x", ttl=3)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"lease_duration": 1}, "lease_duration 1 s"),
        ({"lease_duration": "15"}, "lease_duration"),
        ({"config": {"lease_duration": 15}}, "Config"),
        ({"config": Config(), "lease_duration": 15}, "instead of single timings"),
    ],
)
def test_timings_that_cannot_work_are_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        of(**settings)


def test_settings_that_are_no_dict_are_refused():
    with pytest.raises(ConfigError, match="a dict of settings"):
        Settings.of(make_app(singleton_jobs="celery-beat"))


@pytest.mark.parametrize(
    "settings", [{"lease": "no/such"}, {"prefix": "Not_"}, {"store": "redis://"}, {"namespace": "A"}]
)
def test_names_that_cannot_be_are_refused_before_any_request(make, settings):
    with pytest.raises(ConfigError):
        make({"report": every(10)}, **settings)


def test_django_settings_are_found_by_their_prefix():
    app = make_app()
    app.config_from_object({"CELERY_SINGLETON_JOBS": {"lease": "of-django"}}, namespace="CELERY", force=True)
    assert Settings.of(app).lease == "of-django"


def test_two_beats_in_one_namespace_keep_apart_by_prefix(make, frozen):
    beats = [make({"report": every(10)}, prefix=prefix).lead() for prefix in ("a-", "b-")]
    frozen.tick(10 * SECOND)
    for beat in beats:
        beat.work()
    assert fires(beats[0].app) == [now(), now()]
