"""Identities: a readable prefix from the first source that has one, and a suffix nobody else has."""

import random
import re

import pytest

from singleton_jobs import ConfigError
from singleton_jobs.identity import identity_prefix, new_identity


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    monkeypatch.delenv("SINGLETON_JOBS_IDENTITY", raising=False)
    monkeypatch.delenv("POD_NAME", raising=False)
    monkeypatch.setattr("socket.gethostname", lambda: "a host")


def test_what_is_given_comes_first(monkeypatch):
    monkeypatch.setenv("SINGLETON_JOBS_IDENTITY", "set")
    assert identity_prefix("given") == "given"


def test_the_environment_comes_before_the_pods_name(monkeypatch):
    monkeypatch.setenv("SINGLETON_JOBS_IDENTITY", "set")
    monkeypatch.setenv("POD_NAME", "app-0")
    assert identity_prefix() == "set"


def test_the_pods_name_comes_before_the_hosts(monkeypatch):
    monkeypatch.setenv("POD_NAME", "app-0")
    assert identity_prefix() == "app-0"


def test_an_empty_variable_is_not_set(monkeypatch):
    monkeypatch.setenv("SINGLETON_JOBS_IDENTITY", "")
    monkeypatch.setenv("POD_NAME", "app-0")
    assert identity_prefix() == "app-0"


def test_the_hosts_name_is_made_printable():
    assert identity_prefix() == "a-host"


@pytest.mark.parametrize("given", ["", "a b", "a\n", "\x1b[31m", "é", "x" * 201, 7])
def test_a_prefix_must_be_printable_and_short(given):
    with pytest.raises(ConfigError, match="identity"):
        identity_prefix(given)


def test_a_bad_variable_is_named(monkeypatch):
    monkeypatch.setenv("POD_NAME", "a b")
    with pytest.raises(ConfigError, match="POD_NAME"):
        identity_prefix()


def test_a_random_suffix_is_always_added():
    assert re.fullmatch(r"app-0_[0-9a-z]{12}", new_identity("app-0", random.Random(1)))


def test_no_two_identities_are_equal():
    chance = random.Random(1)
    assert len({new_identity("app", chance) for _ in range(1000)}) == 1000
