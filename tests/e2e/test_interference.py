"""Somebody else touches the lease."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from controlplane.admin import Admin
from controlplane.fixtures import MakePod
from controlplane.proxy import Proxy

from .journal import Journal, assert_no_overlap, boot_time, eventually
from .processes import Starter

pytestmark = pytest.mark.e2e

STEADY = {"lease_duration": 20, "retry_period": 0.5}


def test_deleted_lease_is_a_loss_and_is_not_created_before_the_duration_is_over(
    start: Starter, admin: Admin, namespace: str, journal: Journal
) -> None:
    replicas = [start("loop", lease="job") for _ in range(2)]
    leader = journal.wait_for("effect")
    for replica in replicas:
        if replica.who != leader.who:
            replica.wait_for("skipped", holder=leader.identity)
    old = admin.get_lease(namespace, "job")
    deleted_at = datetime.now(UTC)
    admin.delete_lease(namespace, "job")
    lost = journal.wait_for("TermEnded", who=leader.who, lost=True)
    assert "deleted" in lost.reason
    again = journal.wait_for("effect", after=lost.at)
    assert again.token > leader.token
    new = admin.get_lease(namespace, "job")
    assert old is not None and new is not None
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert (datetime.fromisoformat(new["spec"]["acquireTime"]) - deleted_at).total_seconds() >= 3
    assert_no_overlap(journal.entries("effect"))


def test_loser_of_the_creation_race_waits_too_when_the_lease_is_deleted(
    start: Starter, make_pod: MakePod, admin: Admin, proxy: Proxy, namespace: str
) -> None:
    leader = start("loop", lease="job")
    leader.wait_for("effect")
    not_found = {"kind": "Status", "code": 404, "details": {"name": "job", "kind": "leases"}}
    proxy.on("GET", "/leases/job", times=1).respond(404, body=not_found)  # as if it had asked a moment earlier
    blind = proxy.on("GET", "/leases").drop()  # a read, a list or a watch
    loser = start("loop", pod=make_pod("loser", server=proxy), lease="job")
    proxy.wait_for(1, "PUT", "/leases/job", timeout=30)
    blind.wait(timeout=30)
    leader.stop()
    deleted_at = boot_time()
    admin.delete_lease(namespace, "job")
    blind.remove()
    assert loser.wait_for("effect").at - deleted_at >= 2  # for as long as the leader may act when it goes on


def test_foreign_labels_and_annotations_cost_no_term_and_stay(start: Starter, admin: Admin, namespace: str) -> None:
    replica = start("loop", lease="job", config=STEADY)
    first = replica.wait_for("effect")
    foreign = {
        "labels": {"team": "billing"},
        "annotations": {"example.com/owner": "nobody"},
        "finalizers": ["example.com/keep"],
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "app", "uid": "1-2-3"}],
    }
    for number in range(5):
        foreign["annotations"]["example.com/edit"] = str(number)
        edited = admin.patch_lease(namespace, "job", {"metadata": foreign})["spec"]["renewTime"]
        renewed = eventually(
            lambda: (lease := admin.get_lease(namespace, "job")) and lease["spec"]["renewTime"] != edited and lease,
            "a renewal",
        )
        assert renewed["metadata"]["labels"].items() >= foreign["labels"].items()  # ours is there, too
        assert {key: renewed["metadata"][key] for key in foreign} == foreign | {"labels": renewed["metadata"]["labels"]}
        assert renewed["spec"]["holderIdentity"] == first.identity
    replica.wait_for("effect", after=boot_time())
    assert not replica.entries("TermEnded")
    admin.patch_lease(namespace, "job", {"metadata": {"finalizers": None}})


def test_annotations_alone_do_not_keep_a_dead_holder_alive(start: Starter, admin: Admin, namespace: str) -> None:
    leader = start("loop", lease="job")
    before = leader.wait_for("effect")
    follower = start("loop", lease="job")
    follower.wait_for("skipped", reason="not-leader")
    leader.kill()
    died = boot_time()
    number = 0

    def edited_until_taken() -> bool:
        nonlocal number
        number += 1
        admin.patch_lease(namespace, "job", {"metadata": {"annotations": {"n": str(number)}}})
        return bool(follower.entries("effect"))

    eventually(edited_until_taken, "the dead holder's lease is taken")
    assert follower.wait_for("effect").token > before.token
    assert follower.wait_for("effect").at - died >= 2


def test_cleared_holder_is_a_loss(start: Starter, admin: Admin, namespace: str, journal: Journal) -> None:
    replica = start("loop", lease="job", config=STEADY)
    before = replica.wait_for("effect")
    admin.patch_lease(namespace, "job", {"spec": {"holderIdentity": ""}})
    lost = replica.wait_for("TermEnded")
    assert lost.lost
    again = replica.wait_for("effect", after=lost.at)  # free at first sight
    assert again.token > before.token
    assert_no_overlap(journal.entries("effect"))


def test_replaced_holder_is_a_loss_and_the_stranger_is_waited_out(
    start: Starter, admin: Admin, namespace: str, journal: Journal
) -> None:
    replica = start("loop", lease="job")
    before = replica.wait_for("effect")
    replaced_at = boot_time()
    admin.patch_lease(namespace, "job", {"spec": {"holderIdentity": "stranger\x1b[31m"}})
    lost = replica.wait_for("TermEnded")
    assert lost.lost
    replica.wait_for("skipped", reason="not-leader", holder="stranger\x1b[31m")
    again = replica.wait_for("effect", after=lost.at)
    assert again.token > before.token
    assert again.at - replaced_at >= 3
    assert "\x1b" not in replica.output
    assert_no_overlap(journal.entries("effect"))


def test_manifest_that_names_the_leader_anew_is_a_loss(start: Starter, admin: Admin, namespace: str) -> None:
    replica = start("loop", lease="job")
    before = replica.wait_for("effect")
    saved = admin.get_lease(namespace, "job")
    assert saved is not None
    admin.delete_lease(namespace, "job")
    restored = boot_time()
    status, _ = admin.put_lease(namespace, "job", {"spec": saved["spec"]})
    assert status == 201
    lost = replica.wait_for("TermEnded")
    assert lost.lost
    again = replica.wait_for("effect", after=lost.at)
    assert again.token > before.token
    assert again.at - restored >= 3  # the record names this very process, but it did not write it
