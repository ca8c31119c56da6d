"""Keys and the names of their leases: readable where they can be, never shared."""

import enum
import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singleton_jobs import ConfigError
from singleton_jobs.keys import base_label, key_text, keyed_name
from singleton_jobs.names import lease_name

HASHED = "a--0123456789abcdef"
keys = st.text(min_size=1, max_size=60).filter(str.isprintable)
labels = st.from_regex(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", fullmatch=True)
likely = (
    keys | labels | st.text("aA-.0/ é", min_size=1, max_size=80) | st.from_regex(r"a-?--[0-9a-f]{16}", fullmatch=True)
)


class Word(enum.StrEnum):
    ONE = "one"


class Old(str, enum.Enum):
    ONE = "one"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("acme", "acme"),
        ("A b/é", "A b/é"),
        (7, "7"),
        (-7, "-7"),
        (0, "0"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Word.ONE, "one"),
        (Old.ONE, "one"),
        ("x" * 1024, "x" * 1024),
    ],
)
def test_a_key_has_a_text(key, text):
    assert key_text("sync", key) == text
    assert type(key_text("sync", key)) is str


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "1 to 1,024 characters"),
        ("x" * 1025, "1 to 1,024 characters"),
        ("x" * 1_000_000, "1 to 1,024 characters"),
        (10**1025, "1 to 1,024 characters"),
        (10**100_000, "1 to 1,024 characters"),
        ("a\n", "cannot be printed"),
        ("a\x00", "cannot be printed"),
        ("\ud800", "cannot be printed"),
        (True, "a str, an int or a UUID"),
        (None, "a str, an int or a UUID"),
        (1.0, "a str, an int or a UUID"),
        (b"acme", "a str, an int or a UUID"),
        (object(), "a str, an int or a UUID"),
        (("acme", 1), "a str, an int or a UUID"),
    ],
    ids=lambda value: repr(value)[:20] if not isinstance(value, int) else "number",
)
def test_a_key_that_cannot_be_used_is_refused_by_name_and_in_few_words(key, problem):
    with pytest.raises(ConfigError, match=problem) as caught:
        key_text("sync", key)
    assert "'sync'" in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("key", "name"),
    [("acme", "sync.acme"), ("7", "sync.7"), ("a.b-c", "sync.a.b-c"), ("x" * 248, f"sync.{'x' * 248}")],
)
def test_a_key_that_can_be_part_of_a_name_is(key, name):
    assert keyed_name("sync", key) == name


@pytest.mark.parametrize(
    ("key", "readable"),
    [
        ("Acme", "acme"),
        ("a b/c", "a-b-c"),
        ("-7", "7"),
        ("日本", "key"),
        ("x" * 249, "x" * 40),
        ("a..b", "a-b"),
        ("İstanbul", "i-stanbul"),
        (HASHED, HASHED.replace("--", "-")),
    ],
)
def test_any_other_is_hashed_behind_what_can_be_read_of_it(key, readable):
    assert re.fullmatch(rf"sync\.{readable}--[0-9a-f]{{16}}", keyed_name("sync", key))


def test_a_name_is_the_same_in_every_version():
    assert keyed_name("sync", "Acme") == "sync.acme--37036cd8f9746d33"


@given(st.lists(likely, min_size=2, max_size=2, unique=True))
def test_no_two_keys_share_a_name(pair):
    assert keyed_name("sync", pair[0]) != keyed_name("sync", pair[1])


@given(likely, st.from_regex(r"[a-z]{1,194}", fullmatch=True))
def test_a_name_is_one_and_begins_with_its_base(key, base):
    name = keyed_name(base, key)
    assert lease_name(name) == name
    assert name.startswith(f"{base}.")
    assert name == keyed_name(base, key)


def test_the_name_of_a_key_taken_for_a_key_is_another():
    hashed = keyed_name("sync", "Acme").removeprefix("sync.")
    assert keyed_name("sync", hashed) != keyed_name("sync", "Acme")


def test_a_base_leaves_room_for_any_key():
    assert keyed_name("b" * 194, "K" * 1024)
    with pytest.raises(ConfigError, match="at most 194 characters"):
        keyed_name("b" * 195, "k")


@given(st.lists(labels, min_size=2, max_size=2, unique=True))
def test_a_base_is_a_label_of_its_own(pair):
    one, other = map(base_label, pair)
    assert one != other
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", one)
    assert len(one) <= 63


def test_a_base_that_is_too_long_for_a_label_is_hashed():
    assert base_label("sync") == "sync"
    assert base_label("b" * 63) == "b" * 63
    assert re.fullmatch(r"b{40}--[0-9a-f]{16}", base_label("b" * 64))
    assert base_label(HASHED) != HASHED
