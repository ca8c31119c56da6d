"""`singleton-jobs demo --kubernetes`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cli.program import DEMO, Program

COMMAND = [*DEMO, "--kubernetes", "--seconds", "10"]


def tidy_role() -> dict[str, Any]:
    """As people have it who try things out in a namespace of their own."""
    verbs = ["get", "list", "watch", "create", "update", "delete"]
    rules = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs}]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "developer"},
        "rules": rules,
    }


def leases(admin: Any, namespace: str) -> list[dict[str, Any]]:
    status, answer = admin.request("GET", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")
    assert status == 200
    return answer["items"]


@pytest.mark.e2e
def test_the_demo_on_a_cluster_says_where_it_is_and_tidies_up(
    make_pod: Any, admin: Any, namespace: str, tmp_path: Path
):
    pod = make_pod(roles=[tidy_role()])
    with Program(COMMAND, tmp_path / "demo", KUBECONFIG=str(pod.kubeconfig), SINGLETON_JOBS_PREFIX="x-") as demo:
        demo.wait_for("ran on")
        [lease] = leases(admin, namespace)
        name = lease["metadata"]["name"]
        assert re.fullmatch(r"singleton-jobs-demo-[a-z0-9]{6}", name)
        assert f"context test, namespace {namespace}, lease {name}" in " ".join(demo.output.split())
        assert demo.wait() == 0, demo.output
        assert "with SIGKILL" in demo.output
        caught_up = re.findall(
            r"ran on demo-\d  \(token \d+\), caught up: due \S+, (\d+\.\d) s late$", demo.output, re.M
        )
        assert caught_up  # nobody can see there that a process is dead, so its lease has to run out
        assert re.search(rf"^ longest delay +{max(map(float, caught_up))} s", demo.output, re.M), demo.output
        for row in ("doubled", "missed"):
            assert re.search(rf"^ {row} +0 ", demo.output, re.M), demo.output
        assert "Traceback" not in demo.output
    assert leases(admin, namespace) == []


@pytest.mark.e2e
def test_where_leases_may_not_be_deleted_it_is_released(make_pod: Any, admin: Any, namespace: str, tmp_path: Path):
    pod = make_pod()  # may do what replicas need, and nothing else
    with Program(COMMAND, tmp_path / "demo", KUBECONFIG=str(pod.kubeconfig)) as demo:
        demo.wait_for("ran on")
        assert demo.stop() == 143, demo.output
    [lease] = leases(admin, namespace)
    assert not lease["spec"].get("holderIdentity")


@pytest.mark.e2e
def test_without_rights_one_line_says_so(make_pod: Any, tmp_path: Path):
    pod = make_pod(roles=[])
    with Program(COMMAND, tmp_path / "demo", KUBECONFIG=str(pod.kubeconfig)) as demo:
        assert demo.wait() == 2
        [line] = demo.output.strip().splitlines()
        assert line.startswith("Error: context test: ")
        assert "forbidden" in line


def test_without_a_kubeconfig_one_line_says_what_to_set(tmp_path: Path):
    with Program(COMMAND, tmp_path / "demo", KUBECONFIG=str(tmp_path / "none"), HOME=str(tmp_path)) as demo:
        assert demo.wait() == 2
        [line] = demo.output.strip().splitlines()
        assert line.startswith("Error: --kubernetes needs a kubeconfig")
        assert "set KUBECONFIG" in line


def kubeconfig(path: Path, server: str) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "far away/ctx",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "x"}}],
        "contexts": [{"name": "far away/ctx", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(json.dumps(content))
    return path


def test_a_cluster_that_does_not_answer_is_one_line_too(tmp_path: Path):
    config = kubeconfig(tmp_path / "config", "https://127.0.0.1:1")
    with Program(COMMAND, tmp_path / "demo", KUBECONFIG=str(config)) as demo:
        assert demo.wait() == 2
        [line] = demo.output.strip().splitlines()
        assert line.startswith("Error: context far away/ctx: ")
        assert "cannot be reached" in line


def test_a_kubeconfig_without_a_current_context_is_told_apart_from_a_bug(tmp_path: Path):
    config = tmp_path / "config"
    config.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": []}))
    with Program(COMMAND, tmp_path / "demo", KUBECONFIG=str(config)) as demo:
        assert demo.wait() == 2
        assert demo.output.startswith("Error: --kubernetes needs a kubeconfig")
        assert "Traceback" not in demo.output
