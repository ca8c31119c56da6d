"""Coroutines that run while their replica leads."""

from __future__ import annotations

import pytest
from controlplane.admin import Admin

from .journal import Journal, assert_no_overlap, boot_time
from .processes import Starter

pytestmark = pytest.mark.e2e

STEADY = {"lease_duration": 9}


def test_run_in_a_lifespan_is_cancelled_and_begun_again(
    start: Starter, admin: Admin, namespace: str, journal: Journal
) -> None:
    server = start("api", lease="feed", config=STEADY, every=3600)
    first = server.wait_for("feed begins")
    admin.patch_lease(namespace, "feed", {"spec": {"holderIdentity": ""}})
    server.wait_for("feed stops", token=first.token, by="CancelledError")
    second = server.wait_for("feed begins", after=first.at)
    assert second.token > first.token
    follower = start("api", lease="feed", config=STEADY, every=0.05)
    follower.wait_for("HolderChanged", holder=second.identity)
    server.terminate()
    server.wait()
    server.wait_for("feed stops", token=second.token, by="CancelledError")
    assert server.wait_for("feed ended").outcome is None
    assert not server.wait_for("TermEnded", fencing_token=second.token).lost
    asked = boot_time()
    third = follower.wait_for("feed begins")
    assert third.token > second.token
    assert third.at - asked < 9  # released, not waited out
    follower.terminate()
    follower.wait()
    lease = admin.get_lease(namespace, "feed")
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""
    assert_no_overlap(journal.entries("effect"))


def test_run_does_nothing_more_when_its_process_was_stopped_for_too_long(start: Starter, journal: Journal) -> None:
    stopped = start("api", lease="feed", every=0.02)
    first = stopped.wait_for("feed begins")
    other = start("api", lease="feed", every=0.02)
    other.wait_for("HolderChanged", holder=first.identity)
    stopped.stop()
    second = other.wait_for("feed begins")
    other.wait_for("effect", count=3)
    stopped.go_on()
    stopped.wait_for("feed stops", token=first.token)  # by its own check, or cancelled
    assert second.token > first.token
    assert stopped.running
    assert_no_overlap(journal.entries("effect"))
