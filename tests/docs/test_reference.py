"""What people hold shows the names of the reference in completion, and no others."""

import re
from pathlib import Path

import pytest

import singleton_jobs
from singleton_jobs import Leadership, LeaseLocker, Replica

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference.md").read_text()


def members(name):
    listed = re.search(rf"::: singleton_jobs\.{name}\n    options:\n      members: \[(.*)\]", REFERENCE)
    return set(listed[1].split(", "))


@pytest.mark.parametrize("kind", [Replica, Leadership, LeaseLocker], ids=lambda kind: kind.__name__)
def test_completion_shows_what_the_reference_tells_of(kind):
    replica = Replica("memory:")
    made = {
        Replica: lambda: replica,
        Leadership: lambda: replica.leadership("a"),
        LeaseLocker: lambda: replica.locker("b"),
    }
    shown = {name for name in dir(made[kind]()) if not name.startswith("_")}
    assert shown == members(kind.__name__)


@pytest.mark.parametrize("name", singleton_jobs.__all__)
def test_the_reference_tells_of_every_public_name(name):
    inside = "errors" if getattr(singleton_jobs, name).__module__ == "singleton_jobs.errors" else name
    assert re.search(rf"^::: singleton_jobs\.{inside}$", REFERENCE, re.MULTILINE)
