"""`singleton-jobs doctor`: each thing that keeps a replica from leading is found, with its cure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli.commands import Printed, call
from controlplane.admin import Admin
from controlplane.fixtures import MakePod
from controlplane.pod import lease_role
from controlplane.proxy import Proxy
from controlplane.server import Served
from controlplane.tunnel import Tunnel
from singleton_jobs import Replica


NINE = [f"lease-{number}" for number in range(9)]


@pytest.fixture
def file(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/leases.sqlite3"


def levels(printed: Printed) -> dict[str, str]:
    """The worst level of each thing that was looked at."""
    found: dict[str, str] = {}
    for level, what in re.findall(r"^(ok|warn|fail) +([^:]+):", printed.output, re.MULTILINE):
        found[what] = max(found.get(what, ""), level, key=["", "ok", "warn", "fail"].index)
    return found


def test_all_is_well_on_a_file(file: str):
    printed = call("doctor", "nightly", "--store", file, POD_NAME="pod-a")
    assert printed.status == 0
    assert set(levels(printed).values()) == {"ok"}
    assert "pod-a, from POD_NAME" in printed.output
    assert "would lead at once: it does not exist yet" in printed.output
    assert "Nothing would keep a replica from leading here." in printed.output


def test_who_is_followed_is_said(file: str):
    with Replica(file, identity="worker-1") as replica:
        assert replica.leadership("nightly").wait(5)
        printed = call("doctor", "nightly", "--store", file, COLUMNS="200")
    assert printed.status == 0
    assert re.search(r"would follow worker-1_\w+ \(alive\), and lead 15 s after its end", printed.output)


def test_json(file: str):
    asked = call("doctor", "nightly", "--store", file, "--json", SINGLETON_JOBS_MODE="never")
    assert asked.status == 1
    assert asked.json["would_lead"] is False
    [fail] = [finding for finding in asked.json["findings"] if finding["level"] == "fail"]
    assert (fail["what"], fail["cure"]) == ("mode", "unset SINGLETON_JOBS_MODE")


@pytest.mark.parametrize(
    ("environment", "what", "says"),
    [
        ({"SINGLETON_JOBS_MODE": "sometimes"}, "settings", "must be auto, always or never"),
        ({"SINGLETON_JOBS_LEASE_DURATION": "1"}, "settings", "must leave at least 1 s"),
        ({"SINGLETON_JOBS_IDENTITY": "two words"}, "settings", "printable ASCII"),
        ({"SINGLETON_JOBS_STORE": "redis://x"}, "store", "is not one of"),
        ({"SINGLETON_JOBS_STORE": "sqlite:////proc/nowhere/x"}, "store", "SQLite file"),
        ({"SINGLETON_JOBS_STORE": "kubernetes:", "KUBECONFIG": "/nowhere"}, "store", "needs a pod to run in"),
        ({"SINGLETON_JOBS_STORE": "kubernetes:", "SINGLETON_JOBS_STRICT_TLS": "no"}, "store", "must be true or false"),
    ],
)
def test_what_cannot_work_is_a_finding_with_a_cure(environment: dict[str, str], what: str, says: str):
    printed = call("doctor", "nightly", COLUMNS="300", KUBERNETES_SERVICE_HOST=None, **environment)
    assert printed.status == 1
    assert levels(printed)[what] == "fail"
    assert says in printed.output
    assert "-> " in printed.output


@pytest.mark.e2e
def test_all_is_well_in_a_pod(make_pod: MakePod):
    printed = call("doctor", "nightly", **make_pod("pod-a", roles=[lease_role("nightly")]).env)
    assert printed.status == 0, printed
    assert set(levels(printed).values()) == {"ok"}
    assert {"store", "round trip", "identity", "clock", "lease nightly"} <= levels(printed).keys()


@pytest.mark.e2e
def test_a_missing_right_is_named_with_the_command_that_gives_it(make_pod: MakePod):
    role = lease_role("nightly")
    role["rules"][0]["verbs"] = ["get"]
    printed = call("doctor", "nightly", COLUMNS="300", **make_pod("pod-a", roles=[role]).env)
    assert printed.status == 1
    assert levels(printed)["permissions"] == "fail"
    assert "this account may not create nor update lease nightly" in printed.output
    assert "singleton-jobs rbac nightly --namespace" in printed.output


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("named", "asked", "verbs", "level", "says"),
    [
        ([], ["nightly"], None, "ok", "told as they happen, by one watch of the namespace"),
        (["nightly"], ["nightly"], None, "ok", "told as they happen, by a watch of each lease"),
        (
            NINE,
            NINE,
            None,
            "warn",
            "told as they happen for 8 leases, each by a watch of its own, and polled for the others",
        ),
        (["nightly"], ["nightly"], ["get", "create", "update", "list"], "warn", "may not list and watch nightly"),
    ],
    ids=["all", "by name", "too many", "an old Role"],
)
def test_how_changes_are_learnt_is_said(
    make_pod: MakePod, named: list[str], asked: list[str], verbs: list[str] | None, level: str, says: str
):
    role = lease_role(*named)
    role["rules"][0]["verbs"] = verbs or role["rules"][0]["verbs"]
    printed = call("doctor", *asked, COLUMNS="300", **make_pod("pod-a", roles=[role]).env)
    assert (printed.status, levels(printed)["changes"]) == (0, level), printed
    assert says in printed.output
    assert ("singleton-jobs rbac" in printed.output) == (level == "warn")


@pytest.mark.e2e
def test_a_server_that_is_away_is_a_finding(make_pod: MakePod, proxy: Proxy):
    pod = make_pod("pod-a", server=proxy)
    proxy.refuse()
    printed = call("doctor", "nightly", COLUMNS="300", **pod.env)
    assert printed.status == 1
    assert levels(printed)["store"] == "fail"
    assert "cannot be reached" in printed.output


@pytest.mark.e2e
def test_the_proxy_that_is_asked_is_named(make_pod: MakePod, control_plane: Served):
    pod = make_pod("pod-a")
    with Tunnel(control_plane.url) as tunnel:
        env = {"HTTPS_PROXY": f"http://me:secret@{tunnel.address}", "COLUMNS": "300"}
        printed = call("doctor", "nightly", **env, **pod.env)
        assert (printed.status, levels(printed)["proxy"]) == (0, "ok"), printed
        assert f"proxy: {tunnel.url}, from the environment" in printed.output
        assert "secret" not in printed.output
        assert tunnel.asked
    printed = call("doctor", "nightly", **env, **pod.env)
    assert (printed.status, levels(printed)["store"]) == (1, "fail")
    assert f"through the proxy {tunnel.url}" in printed.output


@pytest.mark.e2e
def test_a_certificate_authority_that_is_too_old_is_told_with_the_setting_that_helps(
    make_pod: MakePod, control_plane: Served, tmp_path: Path
):
    with Proxy(control_plane, tmp_path / "old", identifiers=False) as old:
        pod = make_pod("pod-a", server=old)
        printed = call("doctor", "nightly", COLUMNS="300", SINGLETON_JOBS_STRICT_TLS="true", **pod.env)
        assert (printed.status, levels(printed)["store"]) == (1, "fail")
        assert "Missing Authority Key Identifier" in printed.output
        [cure] = re.findall("-> (.*)", printed.output)
        assert "set SINGLETON_JOBS_STRICT_TLS=false" in cure


@pytest.mark.e2e
def test_a_slow_server_is_measured_against_the_timing(make_pod: MakePod, proxy: Proxy):
    pod = make_pod("pod-a", server=proxy)
    proxy.on("GET", "/version").delay_request(1.0)
    printed = call("doctor", "nightly", **pod.env)
    assert (printed.status, levels(printed)["round trip"]) == (0, "warn")


@pytest.mark.e2e
@pytest.mark.parametrize(("ledger", "level"), [(True, "fail"), (False, "warn")])
def test_a_clock_that_is_off_matters_where_fires_are_claimed(
    make_pod: MakePod, admin: Admin, namespace: str, proxy: Proxy, ledger: bool, level: str
):
    annotations = {"singleton-jobs/fires": '{"v":1,"jobs":{}}'} if ledger else {}
    admin.put_lease(namespace, "nightly", {"spec": {}, "metadata": {"annotations": annotations}})
    pod = make_pod("pod-a", server=proxy)
    late = {"Date": "Fri, 27 Nov 2020 10:00:00 GMT"}
    proxy.on("GET", "/version").respond(200, body={"major": "1"}, headers=late)
    printed = call("doctor", "nightly", **pod.env)
    assert levels(printed)["clock"] == level
    assert printed.status == (1 if level == "fail" else 0)
    assert "set the clock (NTP)" in printed.output
