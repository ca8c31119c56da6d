"""Processes that fork: at any moment, and servers that load the application before they do."""

from __future__ import annotations

import os
import signal

import pytest
from controlplane.admin import Admin
from controlplane.fixtures import MakePod
from controlplane.proxy import Proxy

from .journal import Entry, Journal, assert_no_overlap, boot_time, eventually
from .processes import PROGRAMS, ReplicaProcess, Starter

pytestmark = pytest.mark.e2e

TIMING = {"lease_duration": 20, "renew_deadline": 16, "retry_period": 0.5, "request_timeout": 4}


def test_forks_during_requests_leave_the_leader_alone(start: Starter, make_pod: MakePod, proxy: Proxy) -> None:
    for lease in ("job", "job-lock"):
        proxy.on("PUT", f"/leases/{lease}?").forward_then_delay(0.3)  # more often under way than not
    replica = start("forker", pod=make_pod(server=proxy), lease="job", config=TIMING)
    began = replica.wait_for("started")
    assert began.locked
    replica.wait_for("child", count=40)
    proxy.wait_for(proxy.count("PUT", "/leases/job?") + 4, "PUT", "/leases/job?", timeout=60)
    replica.wait_for("effect", after=boot_time())
    replica.wait_for("locked effect", after=boot_time())
    replica.wait_for("child's own unlock", count=3)

    children = replica.entries("child")
    assert not [child for child in children if child.holds or child.unlocked or not child.refused]
    identities = {child.identity for child in children}
    assert len(identities) == len(children)
    assert began.identity not in identities
    assert {entry.status for entry in replica.entries("reaped")} == {0}
    assert all(entry.taken for entry in replica.entries("child's own lock"))
    assert all(entry.freed for entry in replica.entries("child's own unlock"))
    assert {event.pid for event in replica.entries("TermEnded")}.isdisjoint({replica.pid})
    assert len({effect.token for effect in replica.entries("effect")}) == 1

    def connections(lease: str) -> set[int]:
        return {seen.connection for seen in proxy.requests if f"/leases/{lease}?" in seen.path}

    parents = connections("job") | connections("job-lock")
    assert len(parents) <= 2
    assert not parents & connections("job-child")
    replica.terminate()
    assert replica.wait() == 128 + 15


def leader_and_the_others(journal: Journal, processes: int) -> tuple[Entry, set[int]]:
    """The one that leads, when all the others have seen it lead."""
    leader = journal.wait_for("effect", after=boot_time())

    def others() -> set[int]:
        return {entry.pid for entry in journal.entries("skipped", holder=leader.identity, reason="not-leader")}

    eventually(lambda: len(others()) >= processes - 1, journal.tail)
    return leader, others()


@pytest.mark.parametrize("leads", [False, True], ids=["decorated", "leading"])
def test_workers_forked_from_a_master_that_has(start: Starter, journal: Journal, leads: bool) -> None:
    server = start("preload", lease="job", leads=leads)
    processes = 4 if leads else 3
    leader, _ = leader_and_the_others(journal, processes)
    assert (leader.pid == server.pid) is leads
    assert len({entry.identity for entry in journal.entries("started")}) == processes
    os.kill(leader.pid, signal.SIGKILL)
    again = _successor(journal, leader)
    assert again.token > leader.token
    assert_no_overlap(journal.entries("effect"))


def _successor(journal: Journal, leader: Entry) -> Entry:
    """Whoever leads next; a server starts a new worker for the dead one, which may be that."""

    def found() -> list[Entry]:
        return [effect for effect in journal.entries("effect") if effect.pid != leader.pid]

    first: Entry = eventually(found, journal.tail)[0]
    return first


def test_gunicorn_that_preloads(start: Starter, journal: Journal, admin: Admin, namespace: str) -> None:
    server = gunicorn(start)
    leader, others = leader_and_the_others(journal, 3)
    assert len(others) == 2
    assert server.pid not in others | {leader.pid}
    os.kill(leader.pid, signal.SIGKILL)
    again = _successor(journal, leader)
    assert again.token > leader.token
    server.terminate()
    assert server.wait() == 0
    assert_no_overlap(journal.entries("effect"))
    lease = admin.get_lease(namespace, "job")
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""  # its sync workers leave through the interpreter's exit


def gunicorn(start: Starter) -> ReplicaProcess:
    configuration = str(PROGRAMS / "gunicorn_conf.py")
    return start.python("-m", "gunicorn", "--chdir", str(PROGRAMS), "-c", configuration, "web:app", lease="job")
