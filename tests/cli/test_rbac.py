"""`singleton-jobs rbac`: what it prints is what replicas need, and what the policy refuses."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from cli.commands import call
from cli.program import wait_until
from controlplane.admin import Admin, lease_path
from controlplane.fixtures import MakePod
from controlplane.pod import Pod, lease_role
from singleton_jobs import AccessDenied
from singleton_jobs.keys import keyed_name
from singleton_jobs.locks import KubernetesStore, LockRecord

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
        (["--keyed", "No_Good!"], "cannot be used"),
        (["--keyed", "x" * 200], "too long for one with keys"),
        (["--spread", "No_Good!"], "cannot be used"),
        (["x", "--job", "north"], "give one --spread LEASE with it"),
        (["--spread", "a", "--spread", "b", "--job", "north"], "give one --spread LEASE with it"),
        (["--spread", "a", "--job", ""], "cannot be kept for the key"),
        (["--spread", "Sync", "--keyed", "sync"], "'sync' must not: rename one"),
        (["--spread", "sync.jobs", "--keyed", "sync"], "'sync.jobs' must not"),
        (["--spread", "sync", "--keyed", "sync.keys"], "'sync' must not"),
        (["--spread", "sync", "--job", "north", "--keyed", "sync"], "'sync.north' must not"),
        (["sync.main", "--keyed", "sync"], "'sync.main' must not"),
    ],
)
def test_bad_input_is_refused(arguments: list[str], says: str):
    printed = call("rbac", *arguments)
    assert (printed.status, printed.output) == (2, "")
    assert says in printed.errors


KEYED_RULE = {
    "apiGroups": ["coordination.k8s.io"],
    "resources": ["leases"],
    "verbs": ["get", "create", "update", "delete", "list"],
}


def test_leases_of_keys_need_a_rule_without_names():
    assert documents("--keyed", "sync")[1]["rules"] == [KEYED_RULE]
    assert documents("nightly", "--keyed", "sync", "--keyed", "Mail")[1]["rules"] == [
        documents("nightly")[1]["rules"][0],
        KEYED_RULE,
    ]
    assert "One lease per key of sync, mail," in call("rbac", "--keyed", "sync", "--keyed", "Mail").output
    assert documents("--keyed", "sync", "--watch-all")[1]["rules"][1]["verbs"] == ["list", "watch"]


JOBS_RULE = {
    "apiGroups": ["coordination.k8s.io"],
    "resources": ["leases"],
    "verbs": ["get", "create", "update", "list", "watch"],
}


def test_leases_of_spread_jobs_need_a_rule_without_names_unless_all_are_given():
    assert documents("--spread", "reports")[1]["rules"] == [JOBS_RULE]
    named = documents("nightly", "--spread", "Reports", "--job", "north", "--job", "A & B", "--job", "north")
    (rule,) = named[1]["rules"]
    assert rule == JOBS_RULE | {"resourceNames": ["nightly", "reports.north", keyed_name("reports", "A & B")]}
    both = documents("sync", "--keyed", "sync", "--spread", "sync2", "--spread", "mail")[1]["rules"]
    assert both == [documents("sync")[1]["rules"][0], KEYED_RULE, JOBS_RULE]
    assert "One lease per job of sync2, mail," in call("rbac", "--spread", "Sync2", "--spread", "mail").output


def test_a_policy_lets_leases_of_keys_alone_be_deleted():
    given = ("-n", "jobs", "--admission-policy")
    all_three = call("rbac", "nightly", "--keyed", "sync", "--spread", "reports", *given).output
    [validation] = list(yaml.safe_load_all(all_three))[5]["spec"]["validations"]
    assert validation["expression"] == (
        "variables.lease.startsWith('sync.')"
        " || request.operation != 'DELETE' && variables.lease in ['nightly']"
        " || request.operation != 'DELETE' && variables.lease.startsWith('reports.')"
    )
    assert "those of keys of sync and of jobs of reports, and may delete those of keys alone" in validation["message"]
    assert "may delete a lease of a key\n# that another" in all_three
    jobs = call("rbac", "--spread", "reports", *given).output
    assert "those of jobs of reports, and may delete none" in jobs
    assert "may delete a lease of a key" not in jobs
    assert "deletes no lease of a job" in jobs
    assert "deletes no lease of a job" not in call("rbac", "--keyed", "sync", *given).output


def test_where_all_spread_jobs_are_named_so_are_their_leases_in_the_policy():
    named = documents("--spread", "reports", "--job", "mail", "-n", "jobs", "--admission-policy")
    assert [d["kind"] for d in named[3:]] == ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]
    assert named[3]["spec"]["matchConstraints"]["resourceRules"][0]["resourceNames"] == ["reports.mail"]


def test_without_keys_the_policy_is_one_and_as_it_was():
    named = documents("nightly", "-n", "jobs", "--admission-policy")
    assert [d["kind"] for d in named[3:]] == ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]
    keyed = documents("nightly", "-n", "jobs", "--admission-policy", "--keyed", "sync")
    assert [d["metadata"]["name"] for d in keyed[3:]] == ["singleton-jobs-jobs-singleton-jobs"] * 2 + [
        "singleton-jobs-jobs-singleton-jobs-names"
    ] * 2
    assert keyed[3]["spec"]["variables"] == named[3]["spec"]["variables"]
    assert keyed[3]["spec"]["validations"] == named[3]["spec"]["validations"]


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


# The policies for leases of keys


def under_policies(make_pod: MakePod, admin: Admin, namespace: str, *leases: str) -> list[Pod]:
    """Two pods under the printed Role and policies for ``leases``, and one of another application."""
    for document in documents(*leases, "-n", namespace, "--app", "app", "--admission-policy"):
        admin.apply(document, namespace)
    ours = f"{leases[-1]}.x"  # refused by the policy of holds alone
    made = [make_pod(name, roles=[]) for name in ("pod-a", "pod-b")]
    made.append(make_pod("pod-c", roles=[lease_role(verbs=KEYED_RULE["verbs"])], service_account="another"))

    def in_force() -> bool:
        tried = [change(made[0], "PUT", ours, "nobody", dry=True), change(made[0], "PUT", "x", "pod-a_1", dry=True)]
        return all(status == 403 and "ValidatingAdmissionPolicy" in message for status, message in tried)

    wait_until(in_force, 60, lambda: "the policies do not come into force")
    return made


@pytest.fixture
def keyed_pods(make_pod: MakePod, admin: Admin, namespace: str) -> list[Pod]:
    """With keys of `sync`, and a lease `nightly`."""
    return under_policies(make_pod, admin, namespace, "nightly", "--keyed", "sync")


def change(pod: Pod, method: str, lease: str, holder: str = "", *, dry: bool = False) -> tuple[int, str]:
    """Create, swap or delete a lease as that pod: status and message."""
    path = lease_path(pod.namespace, lease) + ("?dryRun=All" if dry else "")
    client, body = pod.client(), None
    if method == "PUT":
        body = client.get_lease(pod.namespace, lease) or {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": lease},
        }
        body = {**body, "spec": (body.get("spec") or {}) | {"holderIdentity": holder}}
    status, answer = client.request(method, path, body)
    return status, str(answer.get("message", ""))


@pytest.mark.e2e
def test_the_account_keeps_no_lease_of_another_name(keyed_pods: list[Pod], admin: Admin, namespace: str):
    first, _, stranger = keyed_pods
    assert change(first, "PUT", "sync.acme", "pod-a_1")[0] == 201
    assert change(first, "PUT", "nightly", "pod-a_1")[0] == 201
    for other in ("sync", "syncs.acme", "mail.acme", "nightly.acme", "nightly2"):
        status, message = change(first, "PUT", other, "pod-a_1")
        assert (status, "keeps no lease of that name: it does those of keys of sync" in message) == (403, True), other
    posted = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"generateName": "mail.x"}}
    assert first.client().request("POST", lease_path(namespace, "").rstrip("/"), posted)[0] == 403
    assert change(stranger, "PUT", "mail.acme", "whoever")[0] == 201
    assert change(first, "PUT", "mail.acme", "pod-a_1")[0] == 403
    assert change(first, "DELETE", "mail.acme")[0] == 403
    assert change(first, "DELETE", "nightly")[0] == 403
    assert admin.get_lease(namespace, "nightly")
    assert change(stranger, "DELETE", "mail.acme")[0] == 200


@pytest.mark.e2e
def test_without_leases_of_other_names_there_are_those_of_keys_alone(make_pod: MakePod, admin: Admin, namespace: str):
    pod = under_policies(make_pod, admin, namespace, "--keyed", "sync", "--keyed", "mail")[0]
    assert [change(pod, "PUT", lease, "pod-a_1")[0] for lease in ("sync.a", "mail.a", "nightly")] == [201, 201, 403]
    assert [change(pod, "DELETE", lease)[0] for lease in ("sync.a", "mail.a")] == [200, 200]


@pytest.mark.e2e
def test_the_leases_of_spread_jobs_are_kept_and_never_deleted(make_pod: MakePod, admin: Admin, namespace: str):
    given = ("nightly", "--keyed", "mail", "--spread", "reports")
    first, second, stranger = under_policies(make_pod, admin, namespace, *given)
    assert change(first, "PUT", "reports.north", "pod-a_1")[0] == 201
    assert change(second, "PUT", "reports.north", "")[0] == 403
    assert change(stranger, "PUT", "reports.north", "")[0] == 403
    assert change(first, "PUT", "reports.north", "")[0] == 200
    status, message = change(first, "DELETE", "reports.north")
    assert (status, "those of keys of mail and of jobs of reports" in message) == (403, True)
    assert change(second, "PUT", "reports.north", "pod-b_1")[0] == 200
    leases = ("reports", "reports2.north", "sync.a", keyed_name("reports", "Clean up"), "mail.a", "nightly")
    assert [change(first, "PUT", lease, "pod-a_1")[0] for lease in leases] == [403, 403, 403, 201, 201, 201]
    assert [change(first, "DELETE", lease)[0] for lease in leases[3:]] == [403, 200, 403]


@pytest.mark.e2e
def test_the_roles_of_spread_jobs_allow_no_more(make_pod: MakePod, namespace: str):
    given = ("--spread", "reports", "-n", namespace, "--app")
    any_job = make_pod("pod-a", roles=[documents(*given, "any")[1]], service_account="any")
    one_job = make_pod("pod-b", roles=[documents(*given, "one", "--job", "north")[1]], service_account="one")

    def answers(method: str, lease: str) -> list[int]:
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": lease}}
        sent, path = body if method == "PUT" else None, lease_path(namespace, lease).rstrip("/")
        return [pod.client().request(method, f"{path}?dryRun=All", sent)[0] for pod in (one_job, any_job)]

    assert answers("PUT", "reports.north") == [201, 201]
    assert answers("PUT", "reports.south") == [403, 201]
    assert answers("GET", "reports.south") == [403, 404]
    assert answers("GET", "") == [403, 200]
    assert answers("DELETE", "reports.north") == [403, 403]


@pytest.mark.e2e
def test_a_hold_of_a_key_is_its_own_pods_but_for_who_sweeps(keyed_pods: list[Pod]):
    first, second, stranger = keyed_pods
    assert change(first, "PUT", "sync.acme", "pod-b_1")[0] == 403
    assert change(first, "PUT", "sync.acme", "pod-a_1")[0] == 201
    status, message = change(second, "PUT", "sync.acme", "")
    assert (status, "given back by its own pod only" in message) == (403, True)
    assert change(stranger, "PUT", "sync.acme", "")[0] == 403
    assert change(second, "PUT", "sync.acme", "pod-b_1")[0] == 200  # whether it had run out, admission cannot know
    assert change(first, "DELETE", "sync.acme")[0] == 200  # nor for this
    assert change(second, "DELETE", "sync.acme")[0] == 404
    posted = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {"holderIdentity": "pod-b_1"}}
    posted["metadata"] = {"generateName": "sync.x"}
    assert first.client().request("POST", lease_path(first.namespace, "").rstrip("/"), posted)[0] == 403


@pytest.mark.e2e
def test_a_store_of_keys_lives_under_them(keyed_pods: list[Pod], monkeypatch: pytest.MonkeyPatch):
    pod = keyed_pods[0]
    monkeypatch.setenv("KUBECONFIG", str(pod.kubeconfig))
    record = LockRecord("pod-a_1", 15, datetime.now(UTC), datetime.now(UTC), 1)

    async def use() -> tuple[list[str | None], str]:
        store = KubernetesStore(namespace=pod.namespace)
        try:
            lock = store.keyed_lock("sync", "Acme & Sons", "pod-a_1")
            stored = await lock.update(replace(record, lease_transitions=2), await lock.create(record))
            keys = [found.key async for page in store.list_keyed("sync") for found in page.values()]  # type: ignore[union-attr]
            await lock.delete(stored)
            with pytest.raises(AccessDenied) as caught:
                await store.keyed_lock("mail", "acme", "pod-a_1").create(record)
        finally:
            await store.aclose()
        return keys, str(caught.value)

    keys, refusal = asyncio.run(use())
    assert keys == ["Acme & Sons"]
    assert "singleton-jobs rbac LEASE... --keyed LEASE" in refusal
    assert "POD_NAME" not in refusal
