"""`singleton-jobs step-down` on the real API server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.commands import call
from controlplane.admin import Admin
from controlplane.fixtures import MakePod
from singleton_jobs import Config, Replica

QUICK = Config(lease_duration=3)


@pytest.fixture
def file(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/leases.sqlite3"


@pytest.fixture
def replicas(file: str) -> Iterator[list[Replica]]:
    """Two, of which the first leads."""
    made = [Replica(file, identity=f"pod-{name}", config=QUICK) for name in "ab"]
    assert made[0].leadership("nightly").wait(5)
    yield made
    for replica in made:
        replica.close(drain=0)


def test_the_other_replica_leads_then(replicas: list[Replica], file: str):
    replicas[1].leadership("nightly").start()
    printed = call("step-down", "nightly", "--store", file)
    assert printed.status == 0, printed
    assert "was handed over from pod-a_" in printed.output
    assert replicas[1].leadership("nightly").is_leader


def test_running_work_comes_to_its_end_and_is_said_meanwhile(replicas: list[Replica], file: str):
    replicas[1].leadership("nightly").start()
    done, started = threading.Event(), threading.Event()

    @replicas[0].leader_only(lease="nightly")
    def work() -> bool:
        started.set()
        assert done.wait(30)
        return True

    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    assert started.wait(5)
    printed = call("step-down", "nightly", "--store", file, "--timeout", "1.5")
    assert printed.status == 1
    assert "lets its running work end first" in printed.errors
    assert replicas[0].leadership("nightly").is_leader
    done.set()
    thread.join(5)
    assert results == [True]
    assert replicas[1].leadership("nightly").wait(5)


def test_a_lone_replica_leads_again_and_that_is_said(replicas: list[Replica], file: str):
    printed = call("step-down", "nightly", "--store", file, "--timeout", "2.5")
    assert printed.status == 1
    assert "no other replica competes for it" in printed.errors


def test_nobody_to_ask_is_no_error(replicas: list[Replica], file: str):
    replicas[0].close()
    for lease in ("nightly", "never-held"):
        printed = call("step-down", lease, "--store", file, "--json")
        assert (printed.status, printed.json) == (0, {"lease": lease, "before": None, "after": None})


@pytest.mark.e2e
def test_a_holder_that_does_not_listen_keeps_its_lease(make_pod: MakePod, admin: Admin, namespace: str):
    spec = {"holderIdentity": "other-library_1", "leaseDurationSeconds": 15}
    admin.put_lease(namespace, "nightly", {"spec": spec})
    printed = call("step-down", "nightly", "--timeout", "1", **make_pod("operator").env)
    assert printed.status == 1
    assert "its holder does not listen" in printed.errors
    lease = admin.get_lease(namespace, "nightly") or {}
    assert lease["spec"] == spec
    assert lease["metadata"]["annotations"] == {"singleton-jobs/step-down": "other-library_1"}
