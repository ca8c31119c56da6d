"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml
from controlplane.fixtures import MakePod

from singleton_jobs.locks.kubernetes.roles import role

from .journal import Journal
from .processes import Starter


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """What all processes of this test have done."""
    return Journal(tmp_path / "journal.jsonl")


@pytest.fixture
def keyed_pod(make_pod: MakePod, namespace: str) -> MakePod:
    """`make_pod`, with the Role that is printed for keys of ``sync``."""
    return partial(make_pod, roles=[yaml.safe_load(role([], namespace, keyed=["sync"]))])


@pytest.fixture
def start(make_pod: MakePod, journal: Journal, tmp_path: Path) -> Iterator[Starter]:
    """Starts replicas; they end with the test, and what they printed is shown if it fails."""
    starter = Starter(make_pod, journal, tmp_path / "work")
    yield starter
    starter.end_all()
    print(starter.outputs())
    print(f"--- journal\n{journal.tail()}")
