"""Other schedulers under the same guard: django-celery-beat's and RedBeat's, killed while they dispatch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .beats import LOAD, PROGRAMS, TIMING, Beats

pytestmark = pytest.mark.e2e

ENTRIES = {f"entry-{number}": 1.0 for number in range(4)}


def kill_leaders(beats: Beats, **options: object) -> None:
    """Behaviour 2, a few times over."""
    beats.several(ENTRIES, **options)
    for _ in range(3):
        beats.wait_sent(8)
        beats.leader().process.kill()
        beats(ENTRIES, **options)
    beats.wait_sent(8)
    beats.end_all()
    verdict = beats.verdict()
    verdict.assert_once(lost=3)
    assert verdict.gap <= TIMING["lease_duration"] + TIMING["retry_period"] + 2 + 1 + LOAD


@pytest.fixture
def django(tmp_path: Path) -> dict[str, str]:
    """The environment of a Django project with an empty database."""
    env = {"DJANGO_SETTINGS_MODULE": "django_site", "DATABASE": str(tmp_path / "django.sqlite3")}
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--verbosity=0"],
        env={**os.environ, **env, "PYTHONPATH": str(PROGRAMS)},
        check=True,
    )
    return env


def test_behaviour_10_djangos_scheduler(beats: Beats, django: dict[str, str]) -> None:
    kill_leaders(beats, env=django, settings=None)


def test_behaviour_10_djangos_scheduler_stores_what_has_run(beats: Beats, django: dict[str, str]) -> None:
    beats({"tick": 1.0}, env=django, settings=None)
    beats.wait_sent(4)
    beats.end_all()
    rows = subprocess.run(
        [sys.executable, "-c", ROWS],
        env={**os.environ, **django, "PYTHONPATH": str(PROGRAMS)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert rows == ["tick", str(len(beats.messages("tick")))]


def test_behaviour_10_redbeat(beats: Beats) -> None:
    kill_leaders(beats, inner="redbeat.RedBeatScheduler")
    assert not beats.redis.client().exists("redbeat::lock")


def test_a_management_shell_is_no_candidate(beats: Beats, django: dict[str, str]) -> None:
    beat = beats({"tick": 1.0}, env=django, settings=None)
    beats.wait_sent(1)
    shell = beats({}, launch=["-c", SHELL], env=django, settings=None)
    assert shell.process.wait() == 0
    assert "tick" in shell.process.output
    assert not shell.process.entries("ReplicaStarted")
    assert beats.holder() == beat.process.who


ROWS = """
import django; django.setup()
from django_celery_beat.models import PeriodicTask
for row in PeriodicTask.objects.all(): print(row.name, row.total_run_count)
"""

SHELL = """
import django; django.setup()
from beat_app import app
from celery.beat import Service
print(list(Service(app, scheduler_cls="singleton").get_scheduler().schedule))
"""
