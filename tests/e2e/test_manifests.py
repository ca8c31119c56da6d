"""The Role that the examples ship is what a replica needs, and no more."""

from __future__ import annotations

from typing import Any

import pytest
from controlplane.admin import Admin, lease_path
from controlplane.fixtures import MakePod
from manifests import manifest

from .journal import eventually
from .processes import Starter

pytestmark = pytest.mark.e2e


@pytest.fixture
def role() -> dict[str, Any]:
    return manifest("rbac.yaml", "Role")


def leases_of(role: dict[str, Any]) -> list[str]:
    return [name for rule in role["rules"] for name in rule["resourceNames"]]


def later(lease: dict[str, Any] | None, earlier: dict[str, Any]) -> dict[str, Any] | None:
    return lease if lease and lease["spec"]["renewTime"] > earlier["spec"]["renewTime"] else None


def test_shipped_role_suffices_to_create_renew_and_release(
    start: Starter, make_pod: MakePod, role: dict[str, Any], admin: Admin, namespace: str
) -> None:
    pod = make_pod(roles=[role])
    leases = leases_of(role)
    assert leases
    assert [admin.get_lease(namespace, lease) for lease in leases] == [None] * len(leases)
    config = {"lease_duration": 20, "retry_period": 0.5}
    for lease, leader in [(lease, start("loop", pod=pod, lease=lease, config=config)) for lease in leases]:
        first = leader.wait_for("effect")
        created = admin.get_lease(namespace, lease)
        assert created is not None
        renewed = eventually(lambda: later(admin.get_lease(namespace, lease), created), f"{lease} is renewed")
        assert renewed["spec"]["holderIdentity"] == first.identity
        leader.terminate()
        assert leader.wait() == 128 + 15
        released = admin.get_lease(namespace, lease)
        assert released is not None
        assert released["spec"]["holderIdentity"] == ""
        assert not leader.entries("StoreFailed")


def test_shipped_role_allows_nothing_else(
    make_pod: MakePod, role: dict[str, Any], admin: Admin, namespace: str
) -> None:
    pod = make_pod(roles=[role]).client()
    lease = leases_of(role)[0]
    assert pod.put_lease(namespace, lease, {"spec": {"holderIdentity": "me"}})[0] == 201
    admin.put_lease(namespace, "other", {"spec": {"holderIdentity": "somebody"}})
    other_namespace = f"{namespace}-2"
    admin.create_namespace(other_namespace)
    all_leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": lease}}
    refused = [
        ("GET", lease_path(namespace, "other"), None),
        ("PUT", lease_path(namespace, "other"), body | {"metadata": {"name": "other"}}),
        ("PUT", lease_path(namespace, "new"), body | {"metadata": {"name": "new"}}),
        ("POST", all_leases, body | {"metadata": {"name": "new"}}),
        ("GET", all_leases, None),
        ("DELETE", lease_path(namespace, lease), None),
        ("DELETE", all_leases, None),
        ("GET", lease_path(other_namespace, lease), None),
        ("PUT", lease_path(other_namespace, lease), body),
        ("GET", f"/api/v1/namespaces/{namespace}/secrets", None),
        ("GET", f"/api/v1/namespaces/{namespace}/configmaps", None),
        ("GET", f"/api/v1/namespaces/{namespace}/pods", None),
    ]
    statuses = {(method, path): pod.request(method, path, sent)[0] for method, path, sent in refused}
    assert set(statuses.values()) == {403}, statuses
    assert admin.get_lease(namespace, lease) is not None
    admin.delete_namespace(other_namespace)
