"""Timing: what is derived, and what is refused with the numbers that made it so."""

from datetime import timedelta

import pytest

from singleton_jobs import Config, ConfigError

SECONDS = [
    "lease_duration",
    "renew_deadline",
    "retry_period",
    "request_timeout",
    "stale_after",
    "unlock_with_retry_period",
]


def test_everything_is_derived_from_the_lease_duration():
    config = Config(lease_duration=30)
    assert (config.renew_deadline, config.retry_period, config.request_timeout) == (20, 4, 5)


def test_the_defaults_are_those_of_client_go():
    config = Config()
    assert (config.lease_duration, config.renew_deadline, config.retry_period) == (15, 10, 2)
    assert config.request_timeout == pytest.approx(8 / 3)


def test_the_request_timeout_is_at_most_five_seconds():
    assert Config(lease_duration=600).request_timeout == 5


def test_durations_may_be_timedeltas():
    assert Config(lease_duration=timedelta(minutes=1), retry_period=timedelta(seconds=3)) == Config(60, retry_period=3)


def test_observed_time_counts_unless_turned_off():
    assert Config().use_observed_time
    assert not Config(use_observed_time=False).use_observed_time


def test_staleness_may_be_turned_off_or_immediate():
    assert Config(stale_after=None).stale_after is None
    assert Config(stale_after=0).stale_after == 0


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), -1, True, "15", timedelta(seconds=-1)], ids=repr
)
def test_a_duration_must_be_a_positive_finite_number(name, value):
    with pytest.raises(ConfigError, match=name):
        Config(**{name: value})


@pytest.mark.parametrize("name", sorted(set(SECONDS) - {"stale_after"}))
def test_a_duration_may_not_be_zero(name):
    with pytest.raises(ConfigError, match=name):
        Config(**{name: 0})


@pytest.mark.parametrize("name", ["lease_duration", "unlock_with_retry_period"])
def test_none_is_no_duration(name):
    with pytest.raises(ConfigError, match=name):
        Config(**{name: None})


@pytest.mark.parametrize(
    ("given", "numbers"),
    [
        ({"lease_duration": 15, "renew_deadline": 15}, ["15", "1.5"]),
        ({"lease_duration": 15, "renew_deadline": 14.2}, ["15", "14.2", "1.5"]),
        ({"lease_duration": 5, "renew_deadline": 4.5}, ["5", "4.5", "1"]),
        ({"lease_duration": 2}, ["2", "1.33", "3"]),
        ({"renew_deadline": 10, "retry_period": 9}, ["10", "9", "1.2"]),
        ({"renew_deadline": 10, "request_timeout": 10}, ["10"]),
        ({"lease_duration": 2**31}, ["2147483647"]),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_an_unsafe_timing_is_refused_with_its_numbers(given, numbers):
    with pytest.raises(ConfigError) as caught:
        Config(**given)
    assert all(number in str(caught.value) for number in numbers), str(caught.value)


@pytest.mark.parametrize(
    "given",
    [{"lease_duration": 15, "renew_deadline": 13.5}, {"lease_duration": 3}, {"renew_deadline": 10, "retry_period": 8}],
)
def test_a_timing_at_the_limit_is_accepted(given):
    Config(**given)


def test_a_config_error_is_a_value_error():
    with pytest.raises(ValueError, match="more than zero"):
        Config(lease_duration=0)


def test_configs_of_equal_timing_are_equal_and_hashable():
    assert {Config(15), Config(15.0), Config(timedelta(seconds=15))} == {Config()}


def test_a_config_cannot_be_changed():
    with pytest.raises(AttributeError):
        Config().lease_duration = 3
