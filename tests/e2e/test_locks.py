"""Locks in processes that share nothing but the API server."""

from __future__ import annotations

from pathlib import Path

import pytest
from controlplane.admin import Admin
from controlplane.fixtures import MakePod

from .journal import Journal
from .processes import Starter

pytestmark = pytest.mark.e2e

EAGER = {"lease_duration": 15, "retry_period": 0.1}


def test_lockers_of_four_processes_exclude_each_other(
    start: Starter, make_pod: MakePod, journal: Journal, tmp_path: Path
) -> None:
    file = tmp_path / "counter"
    file.write_text("0")
    pods = [make_pod(f"counter-{number}") for number in range(4)]
    for pod in pods:
        start("counter", pod=pod, lease="lock", config=EAGER, file=str(file), times=25)
    for pod in pods:
        journal.wait_for("done", pod.name, timeout=120)
    assert file.read_text() == "100"
    steps = [(entry.event, entry.token) for entry in journal.entries() if entry.event in ("began", "ended")]
    tokens = [token for event, token in steps if event == "began"]
    assert steps == [(event, token) for token in tokens for event in ("began", "ended")]
    assert tokens == sorted(set(tokens))


def test_exclusive_call_is_skipped_while_another_process_runs_it(
    start: Starter, journal: Journal, tmp_path: Path, admin: Admin, namespace: str
) -> None:
    gun = tmp_path / "gun"
    first = start("exclusive_call", lease="rebuild", config=EAGER, gun=str(gun))
    began = first.wait_for("began")
    lease = admin.get_lease(namespace, "rebuild")
    assert lease is not None
    hasty = start("exclusive_call", lease="rebuild", config=EAGER, gun=str(gun))
    skipped = hasty.wait_for("skipped")
    assert (skipped.reason, skipped.holder) == ("busy", lease["spec"]["holderIdentity"])
    assert hasty.wait() == 0
    patient = start("exclusive_call", lease="rebuild", config=EAGER, gun=str(gun), wait=60)
    patient.wait_for("HolderChanged", holder=lease["spec"]["holderIdentity"])
    gun.touch()
    ended = first.wait_for("ended")
    assert first.wait_for("returned").outcome == "worked"
    second = patient.wait_for("began")
    assert second.at >= ended.at
    assert second.token > began.token
    assert patient.wait_for("returned").outcome == "worked"
    assert first.wait() == patient.wait() == 0
    lease = admin.get_lease(namespace, "rebuild")
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""


def test_lock_of_a_killed_process_is_had_after_its_duration(start: Starter, tmp_path: Path) -> None:
    gun = tmp_path / "gun"
    first = start("exclusive_call", lease="rebuild", gun=str(gun))
    first.wait_for("began")
    patient = start("exclusive_call", lease="rebuild", gun=str(gun), wait=60)
    patient.wait_for("HolderChanged")
    last = first.wait_for("began")
    first.kill()
    gun.touch()
    taken = patient.wait_for("began")
    assert taken.at - last.at >= 3
    assert taken.token > last.token
    assert patient.wait() == 0
