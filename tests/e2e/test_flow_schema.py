"""The FlowSchema that the examples ship takes an account's lease requests out of everybody's queue."""

from __future__ import annotations

import pytest
from cli.program import wait_until
from controlplane.admin import Admin, lease_path
from controlplane.fixtures import MakePod
from controlplane.pod import Pod
from manifests import manifest

pytestmark = pytest.mark.e2e

HEADER = "X-Kubernetes-PF-FlowSchema-UID"


def schema_of(pod: Pod, path: str) -> str:
    _, headers, _ = pod.client().raw("GET", path)
    return {name.lower(): value for name, value in headers.items()}[HEADER.lower()]


def test_lease_requests_of_the_account_flow_by_it(admin: Admin, make_pod: MakePod, namespace: str) -> None:
    schema = manifest("flowschema.yaml", "FlowSchema")
    [rule] = schema["spec"]["rules"]
    rule["subjects"][0]["serviceAccount"]["namespace"] = namespace
    rule["resourceRules"][0]["namespaces"] = [namespace]
    schema["metadata"]["name"] = namespace
    ours = admin.apply(schema)["metadata"]["uid"]
    pod = make_pod("pod-a", service_account="nightly-report")
    lease = lease_path(namespace, "nightly-report")
    wait_until(lambda: schema_of(pod, lease) == ours, 30, lambda: "it does not come into force")
    assert schema_of(pod, f"/api/v1/namespaces/{namespace}/pods") != ours
    assert schema_of(make_pod("pod-b", service_account="other"), lease) != ours
