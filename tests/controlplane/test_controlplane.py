"""The control plane, its client, its pods and its proxy do what the other tests rely on."""

from __future__ import annotations

import http.client
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from .admin import Admin, lease_path
from .pod import Pod, lease_role
from .proxy import Proxy
from .server import ControlPlane

MakePod = Callable[..., Pod]

pytestmark = pytest.mark.e2e


def _lease(holder: str, **metadata: str) -> dict[str, Any]:
    return {"metadata": metadata, "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15}}


def test_writes_are_compared_and_swapped(admin: Admin, namespace: str) -> None:
    status, created = admin.put_lease(namespace, "x", _lease("a"))
    assert status == 201, created
    status, refused = admin.put_lease(namespace, "x", _lease("b"))
    assert status == 422, refused
    assert "metadata.resourceVersion" in refused["message"]
    version, uid = created["metadata"]["resourceVersion"], created["metadata"]["uid"]
    assert admin.put_lease(namespace, "x", _lease("b", resourceVersion=version, uid=uid))[0] == 200
    assert admin.put_lease(namespace, "x", _lease("c", resourceVersion=version, uid=uid))[0] == 409
    now = admin.get_lease(namespace, "x")
    assert now is not None
    fresh = now["metadata"]["resourceVersion"]
    assert admin.put_lease(namespace, "x", _lease("c", resourceVersion=fresh, uid="0-old"))[0] == 409
    assert admin.patch_lease(namespace, "x", {"metadata": {"labels": {"k": "v"}}})["metadata"]["labels"] == {"k": "v"}
    admin.delete_lease(namespace, "x")
    assert admin.get_lease(namespace, "x") is None


@pytest.mark.own_control_plane
def test_requests_are_counted(admin: Admin, namespace: str) -> None:
    before = admin.lease_request_counts()
    admin.put_lease(namespace, "x", _lease("a"))
    admin.put_lease(namespace, "x", _lease("a"))
    after = admin.lease_request_counts()
    assert after["PUT", 201] - before.get(("PUT", 201), 0) == 1
    assert after["PUT", 422] - before.get(("PUT", 422), 0) == 1


def test_pod_has_its_name_in_its_token_and_only_its_rights(make_pod: MakePod, namespace: str) -> None:
    pod = make_pod("web-0", roles=[lease_role("mine")])
    client = pod.client()
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    status, answer = client.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    assert status == 201, answer
    assert answer["status"]["userInfo"]["extra"]["authentication.kubernetes.io/pod-name"] == ["web-0"]
    assert client.put_lease(namespace, "mine", _lease("web-0_1"))[0] == 201
    assert client.put_lease(namespace, "other", _lease("web-0_1"))[0] == 403
    listing = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    assert client.request("GET", listing)[0] == 403
    assert client.request("GET", f"{listing}?fieldSelector=metadata.name%3Dmine")[0] == 200
    old = pod.token
    assert pod.rotate_token() != old
    assert pod.client().request("GET", lease_path(namespace, "mine"))[0] == 200
    pod.admin.delete_pod(namespace, "web-0")


def test_revoked_token_is_refused(make_pod: MakePod, namespace: str) -> None:
    pod = make_pod()
    pod.rotate_token()  # one never used is refused at once
    pod.revoke()
    assert pod.client().request("GET", lease_path(namespace, "x"))[0] == 401


def test_pod_without_roles_may_nothing(make_pod: MakePod, namespace: str) -> None:
    assert make_pod(roles=[]).client().request("GET", lease_path(namespace, "x"))[0] == 403


def test_official_client_works_from_the_pods_environment(make_pod: MakePod, proxy: Proxy, namespace: str) -> None:
    pod = make_pod(server=proxy)
    code = (
        "from kubernetes import client, config; config.load_kube_config(); "
        "print(client.CoordinationV1Api().list_namespaced_lease(config.list_kube_config_contexts()[1]"
        "['context']['namespace']).kind)"
    )
    environment = {"PATH": os.environ["PATH"], **pod.env}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "LeaseList", done.stderr
    assert proxy.count("GET", f"/namespaces/{namespace}/leases") == 1


@pytest.mark.own_control_plane
def test_data_survives_the_death_of_the_api_server(control_plane: ControlPlane, admin: Admin, namespace: str) -> None:
    admin.put_lease(namespace, "x", _lease("a"))
    before = admin.get_lease(namespace, "x")
    control_plane.kill_apiserver()
    with pytest.raises(ConnectionRefusedError):
        admin.get_lease(namespace, "x")
    control_plane.start_apiserver()
    assert admin.get_lease(namespace, "x") == before


@pytest.mark.own_control_plane
def test_suspended_api_server_is_silent(control_plane: ControlPlane, admin: Admin, namespace: str) -> None:
    impatient = Admin(control_plane, admin.token, timeout=0.5)
    control_plane.suspend_apiserver()
    try:
        with pytest.raises(TimeoutError):
            impatient.get_lease(namespace, "x")
    finally:
        control_plane.resume_apiserver()
    assert admin.get_lease(namespace, "x") is None


def test_no_server_outlives_its_owner(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from controlplane.process import Process\n"
        "p = Process(['/bin/sleep', '60'], Path(sys.argv[1])); p.start(); print(p.pid, flush=True)\n"
        "time.sleep(60)"
    )
    root = Path(__file__).resolve().parents[1]
    owner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "log")], cwd=root, stdout=subprocess.PIPE)
    assert owner.stdout is not None
    child = int(owner.stdout.readline())
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    deadline = time.monotonic() + 5
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


# Through the proxy


@pytest.fixture
def through(proxy: Proxy, admin: Admin) -> Admin:
    return Admin(proxy, admin.token, timeout=5)


def _keep_alive(proxy: Proxy, timeout: float = 5) -> http.client.HTTPSConnection:
    url = urlsplit(proxy.url)
    context = ssl.create_default_context(cafile=str(proxy.ca_file))
    return http.client.HTTPSConnection(url.hostname or "", url.port, timeout=timeout, context=context)


def test_proxy_passes_on(proxy: Proxy, admin: Admin, namespace: str) -> None:
    client = _keep_alive(proxy)
    headers = {"Authorization": f"Bearer {admin.token}"}
    for _ in range(3):
        client.request("GET", lease_path(namespace, "x"), headers=headers)
        assert client.getresponse().read()
    assert [(seen.method, seen.connection) for seen in proxy.requests] == [("GET", 1)] * 3
    # A watch is passed on event by event, while it goes on.
    watch = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases?watch=true"
    client.request("GET", watch, headers=headers)
    response = client.getresponse()
    admin.put_lease(namespace, "x", _lease("a"))
    assert b'"ADDED"' in response.readline()
    client.close()


def test_forward_then_drop_lands(proxy: Proxy, through: Admin, admin: Admin, namespace: str) -> None:
    rule = proxy.on("PUT", "/leases/x", times=1).forward_then_drop()
    with pytest.raises((OSError, http.client.HTTPException)):
        through.put_lease(namespace, "x", _lease("a"))
    assert (rule.hits, rule.statuses) == (1, [201])
    assert admin.get_lease(namespace, "x") is not None
    assert through.put_lease(namespace, "x", _lease("a"))[0] == 422  # the rule is used up


def test_drop_and_reset_do_not_land(proxy: Proxy, through: Admin, admin: Admin, namespace: str) -> None:
    proxy.on("PUT", times=1).drop()
    with pytest.raises((OSError, http.client.HTTPException)):
        through.put_lease(namespace, "x", _lease("a"))
    proxy.on("PUT", times=1).reset()
    with pytest.raises(ConnectionResetError):
        through.put_lease(namespace, "x", _lease("a"))
    assert admin.get_lease(namespace, "x") is None


def test_late_and_delayed_requests_land_late(proxy: Proxy, through: Admin, admin: Admin, namespace: str) -> None:
    late = proxy.on("PUT", "/leases/late", times=1).forward_late(0.3)
    with pytest.raises((OSError, http.client.HTTPException)):
        through.put_lease(namespace, "late", _lease("a"))
    delayed = proxy.on("PUT", "/leases/delayed", times=2).delay_request(0.3)
    started = time.monotonic()
    assert through.put_lease(namespace, "delayed", _lease("a"))[0] == 201
    assert time.monotonic() - started >= 0.3
    impatient = Admin(proxy, admin.token, timeout=0.1)
    with pytest.raises(TimeoutError):
        impatient.put_lease(namespace, "delayed", _lease("b"))
    assert late.wait(landed=1).statuses == [201]
    assert delayed.wait(hits=2, landed=2).statuses == [201, 422]


def test_respond(proxy: Proxy, through: Admin, namespace: str) -> None:
    proxy.on("GET", "/leases/", times=1).respond(429, {"Retry-After": "7"})
    status, headers, _ = through.raw("GET", lease_path(namespace, "x"))
    assert (status, headers["Retry-After"]) == (429, "7")
    assert through.get_lease(namespace, "x") is None


def test_drip_hang_and_late_answers(proxy: Proxy, through: Admin, admin: Admin, namespace: str) -> None:
    admin.put_lease(namespace, "x", _lease("a"))
    rule = proxy.on("GET", "/leases/x", times=1).drip(0.02)
    client = _keep_alive(proxy)
    client.request("GET", lease_path(namespace, "x"), headers={"Authorization": f"Bearer {admin.token}"})
    started = time.monotonic()
    response = client.getresponse()  # the head comes at once
    assert response.status == 200
    assert len(response.read(10)) == 10
    assert 0.15 <= time.monotonic() - started <= 2
    client.close()
    assert rule.statuses == [200]
    impatient = Admin(proxy, admin.token, timeout=0.2)
    silent = proxy.on("GET", times=1).hang()
    slow = proxy.on("GET", times=1).forward_then_delay(0.5)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            impatient.get_lease(namespace, "x")
    assert slow.wait(landed=1).statuses == [200]
    assert silent.statuses == []


def test_refuse_and_partition(proxy: Proxy, through: Admin, namespace: str) -> None:
    idle = _keep_alive(proxy)
    idle.connect()
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        through.get_lease(namespace, "x")
    assert idle.sock.recv(1) == b""
    idle.close()
    proxy.accept()
    assert through.get_lease(namespace, "x") is None
    proxy.partition()
    with pytest.raises(TimeoutError):
        Admin(proxy, through.token, timeout=0.2).get_lease(namespace, "x")
    proxy.heal()
    assert through.get_lease(namespace, "x") is None


@pytest.mark.own_control_plane
def test_death_of_the_api_server_is_seen_through_the_proxy(
    control_plane: ControlPlane, proxy: Proxy, admin: Admin
) -> None:
    client = _keep_alive(proxy)
    client.request("GET", "/version", headers={"Authorization": f"Bearer {admin.token}"})
    client.getresponse().read()
    control_plane.kill_apiserver()
    try:
        assert client.sock.recv(1) == b""
    finally:
        control_plane.start_apiserver()
        client.close()
