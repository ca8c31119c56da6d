"""`singleton-jobs rbac`: what it prints is what replicas need, and what the policy refuses."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from cli.commands import call
from cli.program import wait_until
from controlplane.admin import Admin
from controlplane.fixtures import MakePod
from controlplane.pod import Pod

Json = dict[str, Any]


def documents(*arguments: str) -> list[Json]:
    printed = call("rbac", *arguments)
    assert printed.status == 0, printed
    return list(yaml.safe_load_all(printed.output))


def test_three_documents_named_alike():
    account, role, binding = documents("nightly", "weekly", "--app", "reports", "-n", "jobs")
    assert [d["kind"] for d in (account, role, binding)] == ["ServiceAccount", "Role", "RoleBinding"]
    for document in (account, role, binding):
        assert document["metadata"] == {"name": "reports", "namespace": "jobs"}
    [rule] = role["rules"]
    assert rule["resourceNames"] == ["nightly", "weekly"]
    assert sorted(rule["verbs"]) == ["create", "get", "list", "update", "watch"]
    assert binding["roleRef"]["name"] == "reports"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "reports", "namespace": "jobs"}]


def test_without_a_namespace_it_is_that_of_kubectl():
    assert all("namespace" not in document["metadata"] for document in documents("nightly"))


def test_json_is_one_list():
    made = call("rbac", "nightly", "--json").json
    assert (made["kind"], [item["kind"] for item in made["items"]]) == (
        "List",
        ["ServiceAccount", "Role", "RoleBinding"],
    )


def test_all_leases_of_the_namespace_may_be_watched_when_that_is_asked_for():
    by_name, everything = documents("nightly", "--watch-all")[1]["rules"]
    assert by_name == documents("nightly")[1]["rules"][0]
    assert everything == {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["list", "watch"]}
    assert "a pod reads every lease of the namespace" in call("rbac", "nightly", "--watch-all").output
    assert "read\n  # these leases alone" in call("rbac", "nightly").output


def test_events_are_allowed_when_asked_for():
    role = documents("nightly", "--events")[1]
    assert role["rules"][1] == {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["No_Good!"], "cannot be used"),
        (["x", "--app", "My App"], "cannot be used"),
        (["x", "--app", "Upper"], "must be in lower case"),
        (["x", "-n", "a.b"], "namespace 'a.b' cannot be used"),
        (["x", "--admission-policy"], "needs --namespace"),
        (["x", "--store", "sqlite:///x"], "knows no Roles"),
        ([], "Missing argument"),
    ],
)
def test_bad_input_is_refused(arguments: list[str], says: str):
    printed = call("rbac", *arguments)
    assert (printed.status, printed.output) == (2, "")
    assert says in printed.errors


# The policy, with two pods' own tokens

Write = Callable[[Pod, str | None], tuple[int, str]]


@pytest.fixture
def pods(make_pod: MakePod, admin: Admin, namespace: str) -> list[Pod]:
    """Two pods under the printed Role and policy, once that is in force."""
    account, role, binding, policy, bound = documents("nightly", "-n", namespace, "--app", "app", "--admission-policy")
    for document in (account, role, binding, policy, bound):
        admin.apply(document, namespace)
    made = [make_pod(name, roles=[]) for name in ("pod-a", "pod-b")]

    def in_force() -> bool:
        path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/nightly?dryRun=All"
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "nightly"}}
        tried = made[0].client().request("PUT", path, {**lease, "spec": {"holderIdentity": "nobody"}})
        return tried[0] == 403 and "ValidatingAdmissionPolicy" in tried[1]["message"]

    wait_until(in_force, 60, lambda: "the policy does not come into force")
    return made


def write(pod: Pod, holder: str | None, **spec: object) -> tuple[int, str]:
    """One swap of the record as that pod: status and message."""
    client = pod.client()
    lease = client.get_lease(pod.namespace, "nightly")
    body = copy.deepcopy(lease) if lease else {"spec": {}}
    if holder is not None:
        body["spec"]["holderIdentity"] = holder
    body["spec"] |= spec
    status, answer = client.put_lease(pod.namespace, "nightly", body)
    return status, str(answer.get("message", ""))


@pytest.mark.e2e
def test_a_hold_is_written_and_emptied_by_its_own_pod_only(pods: list[Pod], admin: Admin, namespace: str):
    first, second = pods
    status, message = write(first, "pod-b_1")
    assert (status, "must be an identity of the pod that writes it" in message) == (403, True)
    for look_alike in ("pod-a", "pod-ax_1", "_1", "/_1"):
        assert write(first, look_alike)[0] == 403
    assert write(first, "pod-a_1", leaseDurationSeconds=15)[0] == 201
    assert write(first, "pod-a_1", leaseDurationSeconds=20)[0] == 200
    status, message = write(second, "")
    assert (status, "given back by its own pod only" in message) == (403, True)
    assert write(second, None, leaseDurationSeconds=1)[0] == 403  # making it run out at once
    assert write(second, "pod-b_1")[0] == 200  # a take-over: whether it had run out, admission cannot know
    assert write(first, "")[0] == 403
    assert write(second, "")[0] == 200
    assert write(first, "pod-a_2")[0] == 200
    lease = admin.get_lease(namespace, "nightly") or {}
    lease["spec"]["holderIdentity"] = ""
    assert admin.put_lease(namespace, "nightly", lease)[0] == 403  # an administrator is no pod


@pytest.mark.e2e
def test_a_write_that_leaves_the_spec_alone_is_anybodys(pods: list[Pod], admin: Admin, namespace: str):
    first, second = pods
    assert write(first, "pod-a_1", leaseDurationSeconds=15)[0] == 201
    admin.patch_lease(namespace, "nightly", {"metadata": {"annotations": {"singleton-jobs/fires": "{}"}}})
    printed = call("step-down", "nightly", "--timeout", "1", **second.env)
    assert "does not listen" in printed.errors or "looks dead" in printed.errors, printed
    lease = admin.get_lease(namespace, "nightly") or {}
    assert lease["metadata"]["annotations"]["singleton-jobs/step-down"] == "pod-a_1"


@pytest.mark.e2e
def test_replicas_live_under_the_policy_and_a_false_name_is_explained(pods: list[Pod]):
    first, second = pods
    printed = call("run", "--lease", "nightly", "--", "echo", "ran", **first.env)
    assert (printed.status, printed.output) == (0, "ran\n"), printed
    doctor = call("doctor", "nightly", **second.env)
    assert doctor.status == 0, doctor
    assert "would accept a write of this pod" in doctor.output
    false = call("doctor", "nightly", COLUMNS="300", **second.env | {"SINGLETON_JOBS_IDENTITY": "pod-a"})
    assert false.status == 1
    assert "Set POD_NAME to the pod's own name" in false.output
