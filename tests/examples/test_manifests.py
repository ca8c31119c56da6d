"""examples/kubernetes: the manifests fit each other, the examples and the library."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from cli.commands import call
from cli.program import Program, wait_until
from manifests import FOLDER, documents, manifest
from singleton_jobs import running
from singleton_jobs.leading.core import RELEASE_LIMIT

from .conftest import EXAMPLES, RunExample

KUSTOMIZATION = manifest("kustomization.yaml", "Kustomization")
BEAT = manifest("celery-beat.yaml", "Deployment")
DEPLOYMENT = manifest("deployment.yaml", "Deployment")
POD = DEPLOYMENT["spec"]["template"]
[CONTAINER] = POD["spec"]["containers"]
ROLE = manifest("rbac.yaml", "Role")
[RULE] = ROLE["rules"]
ACCOUNT = manifest("rbac.yaml", "ServiceAccount")["metadata"]["name"]


def leases_of_the_examples() -> set[str]:
    used = re.compile(
        r'(?:leader_only\(lease=|exclusive\(lease=|leadership\(|LeaseLocker\(|guard\(.*lease=|"lease": )"([^"]+)"(?!, (?:key|spread)=)'
    )
    return {lease for path in EXAMPLES.rglob("*.py") for lease in used.findall(path.read_text())}


def keyed_leases_of_the_examples() -> set[str]:
    used = re.compile(r'exclusive\(lease="([^"]+)", key=')
    return {lease for path in EXAMPLES.rglob("*.py") for lease in used.findall(path.read_text())}


def spread_leases_of_the_examples() -> set[str]:
    used = re.compile(r'guard\(.*lease="([^"]+)", spread=True')
    return {lease for path in EXAMPLES.rglob("*.py") for lease in used.findall(path.read_text())}


def test_kustomize_applies_every_file():
    assert KUSTOMIZATION["resources"] == ["rbac.yaml", "deployment.yaml"]  # beat is another program
    [image] = KUSTOMIZATION["images"]
    assert CONTAINER["image"] == f"{image['name']}:{image['newTag']}"


def test_three_replicas_of_which_each_knows_its_pod():
    assert DEPLOYMENT["spec"]["replicas"] == 3
    assert DEPLOYMENT["spec"]["strategy"]["type"] == "RollingUpdate"
    [pod_name] = [entry for entry in CONTAINER["env"] if entry["name"] == "POD_NAME"]
    assert pod_name["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


def test_the_selector_finds_the_pods():
    labels = POD["metadata"]["labels"]
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"].items() <= labels.items()
    for constraint in POD["spec"]["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"].items() <= labels.items()


def test_a_pod_is_given_time_to_drain_and_to_release():
    drain = inspect.signature(running).parameters["drain"].default
    assert POD["spec"]["terminationGracePeriodSeconds"] > drain + RELEASE_LIMIT


def test_sigterm_reaches_a_program_that_exists():
    interpreter, program = CONTAINER["command"]
    assert interpreter == "python"
    assert (EXAMPLES / program).is_file()


def test_the_account_of_the_pods_is_bound_to_the_role():
    binding = manifest("rbac.yaml", "RoleBinding")
    assert POD["spec"]["serviceAccountName"] == ACCOUNT
    assert POD["spec"]["automountServiceAccountToken"] is True
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": ROLE["kind"],
        "name": ROLE["metadata"]["name"],
    }
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": ACCOUNT}]


def test_rights_and_policy_are_what_the_command_prints():
    rights = ("rbac", *RULE["resourceNames"], "--app", ACCOUNT)
    assert call(*rights).output == (FOLDER / "rbac.yaml").read_text()
    with_policy = call(*rights, "--namespace", "default", "--admission-policy").output
    assert with_policy.endswith(f"---\n{(FOLDER / 'admission-policy.yaml').read_text()}")


def test_rights_and_policies_for_keys_are_what_the_command_prints():
    [lease] = keyed_leases_of_the_examples()
    printed = call("rbac", "--keyed", lease, "--app", lease, "--namespace", "default", "--admission-policy").output
    assert printed == (FOLDER / "keyed.yaml").read_text()


def test_rights_and_policies_for_spread_jobs_are_what_the_command_prints():
    [lease] = spread_leases_of_the_examples()
    printed = call("rbac", "--spread", lease, "--app", lease, "--namespace", "default", "--admission-policy").output
    assert printed == (FOLDER / "spread.yaml").read_text()


def test_the_role_gives_the_leases_of_the_examples_and_nothing_else():
    assert RULE["apiGroups"] == ["coordination.k8s.io"]
    assert RULE["resources"] == ["leases"]
    assert set(RULE["verbs"]) == {"get", "create", "update", "list", "watch"}
    leases = leases_of_the_examples()
    assert "nightly-report" in leases
    assert set(RULE["resourceNames"]) == leases


def test_two_beats_during_a_rollout_too():
    assert BEAT["spec"]["replicas"] == 2
    assert BEAT["spec"]["strategy"] == DEPLOYMENT["spec"]["strategy"]
    labels = BEAT["spec"]["template"]["metadata"]["labels"]
    assert BEAT["spec"]["selector"]["matchLabels"].items() <= labels.items()
    pod = BEAT["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == ACCOUNT
    assert pod["terminationGracePeriodSeconds"] == POD["spec"]["terminationGracePeriodSeconds"]
    [container] = pod["containers"]
    assert container["env"] == CONTAINER["env"]
    assert container["securityContext"] == CONTAINER["securityContext"]


def test_beats_command_is_one_that_the_example_understands():
    [container] = BEAT["spec"]["template"]["spec"]["containers"]
    program, *arguments = container["command"]
    assert program == "celery"
    assert (EXAMPLES / "06-celery-beat" / f"{arguments[arguments.index('-A') + 1]}.py").is_file()
    shown = (EXAMPLES / "06-celery-beat/README.md").read_text()
    assert {f"--{option}" for option in re.findall(r"--(\w+)", " ".join(arguments))} <= set(re.findall(r"--\w+", shown))
    schedule = arguments[arguments.index("--schedule") + 1]
    [mount] = container["volumeMounts"]
    assert schedule.startswith(mount["mountPath"])


@pytest.mark.e2e
def test_the_manifests_are_all_that_an_example_needs(
    make_pod: Any, admin: Any, namespace: str, run_example: RunExample
):
    for document in [document for file in KUSTOMIZATION["resources"] for document in documents(file)]:
        admin.apply(document, namespace)
    pods = [make_pod(name, roles=[], service_account=ACCOUNT) for name in ("pod-a", "pod-b")]
    replicas: list[Program] = [run_example("01-loop.py", pod.name, **pod.env) for pod in pods]

    def reporting() -> list[Program]:
        return [replica for replica in replicas if replica.count("sent by")]

    wait_until(lambda: bool(reporting()), 30, lambda: "".join(replica.output for replica in replicas))
    [leader] = reporting()
    [other] = [replica for replica in replicas if replica is not leader]
    leader.wait_for("sent by", times=3)
    assert other.count("sent by") == 0, other.output
    leader.stop()
    other.wait_for("sent by", times=2)
    assert "denied" not in "".join(replica.output for replica in replicas)


@pytest.mark.e2e
def test_the_role_lets_nobody_touch_other_leases(make_pod: Any, run_example: RunExample, tmp_path: Path):
    pod = make_pod("pod-a", roles=[ROLE])
    copy = tmp_path / "other.py"
    copy.write_text((EXAMPLES / "01-loop.py").read_text().replace("nightly-report", "somebody-elses"))
    replica = run_example(str(copy), "pod-a", **pod.env)
    replica.wait_for("access denied")
    assert replica.count("sent by") == 0
