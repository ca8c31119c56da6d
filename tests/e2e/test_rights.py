"""What the pod may not do, and how people learn of it."""

from __future__ import annotations

import uuid

import pytest
import yaml
from controlplane.admin import Admin, lease_path
from controlplane.fixtures import MakePod
from controlplane.pod import Pod, lease_role
from controlplane.proxy import Proxy

from .journal import boot_time, eventually
from .processes import Starter

pytestmark = pytest.mark.e2e


def test_missing_role_is_said_at_once_and_nothing_runs(start: Starter, make_pod: MakePod, proxy: Proxy) -> None:
    replica = start("loop", pod=make_pod(server=proxy, roles=[]), lease="job")
    replica.wait_for("skipped", reason="access-denied")
    output = replica.wait_for_output("kind: Role")
    assert "ERROR lease job: access denied" in output
    asked = proxy.count(path="/leases/job")
    watched_until = boot_time() + 3  # many retry periods
    eventually(lambda: boot_time() > watched_until)
    assert proxy.count(path="/leases/job") == asked == 1
    assert replica.running
    assert not replica.entries("effect")
    assert replica.output.count("kind: Role") == 1


def test_role_in_the_message_is_the_one_that_helps(start: Starter, make_pod: MakePod) -> None:
    replica = start("loop", pod=make_pod(roles=[]), lease="job")
    replica.wait_for("skipped", reason="access-denied")
    message = replica.wait_for("StoreFailed").error
    role = yaml.safe_load(message[message.index("apiVersion:") :])
    helped = start("loop", pod=make_pod(roles=[role]), lease="job")
    helped.wait_for("effect")
    helped.terminate()
    helped.wait()
    assert not helped.entries("StoreFailed")
    start("loop", pod=make_pod(roles=[role]), lease="another").wait_for("skipped", reason="access-denied")


def test_missing_role_raises_from_what_asks_and_waits(start: Starter, make_pod: MakePod) -> None:
    asking = start("denied", pod=make_pod(roles=[]), lease="job")
    asking.wait_for("done")
    for call in ("try_lock", "lock", "wait", "hold"):
        (said,) = asking.entries(call)
        assert said.error == "AccessDenied"
        assert said.seconds < 10  # of the 60 that it might have waited
        assert "kind: Role" in said.message


def test_role_of_other_leases_is_no_role(start: Starter, make_pod: MakePod) -> None:
    replica = start("loop", pod=make_pod(roles=[lease_role("other")]), lease="job")
    replica.wait_for("skipped", reason="access-denied")


def test_role_taken_away_ends_the_term_in_time(start: Starter, make_pod: MakePod, admin: Admin, namespace: str) -> None:
    pod = make_pod()
    replica = start("loop", pod=pod, lease="job")
    replica.wait_for("effect")
    bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"
    status, _ = admin.request("DELETE", f"{bindings}/singleton-jobs-{pod.service_account}")
    assert status == 200
    eventually(lambda: pod.client().request("GET", lease_path(namespace, "job"))[0] == 403, "refusals")
    refused_at = boot_time()
    lost = replica.wait_for("TermEnded")
    assert lost.lost
    assert replica.entries("effect")[-1].at - refused_at <= 2
    replica.wait_for("skipped", after=lost.at, reason="access-denied")
    replica.wait_for_output("kind: Role")


@pytest.fixture
def free_pod(make_pod: MakePod, admin: Admin, namespace: str) -> Pod:
    """A pod that may use the leases of every namespace."""
    pod = make_pod(roles=[])
    name = f"leases-{uuid.uuid4().hex[:8]}"
    subject = {"kind": "ServiceAccount", "name": pod.service_account, "namespace": namespace}
    role_ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    admin.apply(lease_role(name=name) | {"kind": "ClusterRole"})
    admin.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": role_ref,
            "subjects": [subject],
        }
    )
    eventually(lambda: pod.client().request("GET", lease_path("default", "x"))[0] == 404, "its rights")
    return pod


def test_missing_namespace_is_named(start: Starter, free_pod: Pod, admin: Admin) -> None:
    missing = f"missing-{uuid.uuid4().hex[:8]}"
    replica = start("loop", pod=free_pod, env={"SINGLETON_JOBS_NAMESPACE": missing}, lease="job")
    replica.wait_for("skipped", reason="store-unreachable")
    replica.wait_for_output(f"create the namespace {missing!r}")
    assert not replica.entries("effect")
    admin.create_namespace(missing)
    replica.wait_for("effect")
    admin.delete_namespace(missing)


def test_terminating_namespace_is_not_taken_for_missing_rights(start: Starter, make_pod: MakePod, admin: Admin) -> None:
    ending = f"ending-{uuid.uuid4().hex[:8]}"
    admin.create_namespace(ending)
    pod = make_pod(namespace=ending)
    admin.delete_namespace(ending)
    replica = start("loop", pod=pod, lease="job")
    replica.wait_for("skipped", reason="store-unreachable")
    assert "kind: Role" not in replica.wait_for_output("being terminated")
