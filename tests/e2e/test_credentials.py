"""Where a replica finds its API server and its token, and what it does when that token ends."""

from __future__ import annotations

import pytest
from controlplane.admin import Admin, lease_path
from controlplane.fixtures import MakePod
from controlplane.pod import Pod

from .journal import boot_time, eventually
from .processes import ReplicaProcess, Starter

pytestmark = pytest.mark.e2e

STEADY = {"lease_duration": 20, "retry_period": 1}


def start_in_cluster(start: Starter, pod: Pod, lease: str) -> ReplicaProcess:
    """With nothing configured: only what every pod finds in its environment and in its mounted folder."""
    unset = {"SINGLETON_JOBS_STORE": None, "KUBECONFIG": None}
    return start("loop", pod=pod, env=unset, lease=lease, config=STEADY)


def test_pod_needs_no_configuration(start: Starter, make_pod: MakePod, admin: Admin, namespace: str) -> None:
    replica = start_in_cluster(start, make_pod("bare"), "job")
    first = replica.wait_for("effect")
    lease = admin.get_lease(namespace, "job")
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == first.identity
    assert first.identity.startswith("bare_")
    replica.terminate()
    assert replica.wait() == 128 + 15


def test_rotated_token_costs_no_term(start: Starter, make_pod: MakePod, admin: Admin, namespace: str) -> None:
    by_kubeconfig, in_cluster = make_pod("by-kubeconfig"), make_pod("in-cluster")
    replicas = {
        "one": start("loop", pod=by_kubeconfig, kubeconfig=True, lease="one", config=STEADY),
        "two": start_in_cluster(start, in_cluster, "two"),
    }
    for replica in replicas.values():
        replica.wait_for("effect")
    old = [admin.as_token(pod.token) for pod in (by_kubeconfig, in_cluster)]
    for pod in (by_kubeconfig, in_cluster):
        admin.delete_pod(namespace, pod.name)
        admin.create_pod(namespace, pod.name, pod.service_account)  # another one, to which the old token is not bound
        pod.rotate_token()
    for client in old:
        eventually(lambda: client.request("GET", lease_path(namespace, "x"))[0] == 401, "the old token is refused")
    refused_at = boot_time()
    for lease, replica in replicas.items():
        before = admin.get_lease(namespace, lease)
        eventually(lambda: admin.get_lease(namespace, lease) != before, "a renewal with the new token")
        replica.wait_for("effect", after=refused_at)
        assert len(replica.entries("TermStarted")) == 1
        assert not replica.entries("TermEnded")
        assert not replica.entries("StoreFailed")


def test_revoked_token_ends_the_term_in_time(start: Starter, make_pod: MakePod) -> None:
    pod = make_pod()
    replica = start("loop", pod=pod, lease="job")
    replica.wait_for("effect")
    pod.revoke()
    refused_at = boot_time()
    assert replica.wait_for("TermEnded").lost
    assert replica.entries("effect")[-1].at - refused_at <= 2
    replica.wait_for("skipped", reason="access-denied")
    replica.wait_for_output("does not accept these credentials")
