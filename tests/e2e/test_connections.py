"""What a kubeconfig and the environment say about the way to the API server is done, or refused by name."""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from controlplane.admin import Admin
from controlplane.certs import Authority
from controlplane.fixtures import MakePod
from controlplane.pod import Pod
from controlplane.proxy import Proxy
from controlplane.server import Served
from controlplane.tunnel import Tunnel
from kubernetes.client import VersionApi
from kubernetes.config import new_client_from_config

from singleton_jobs import ConfigError
from singleton_jobs.errors import AccessDenied, StoreError
from singleton_jobs.locks import KubernetesStore
from singleton_jobs.locks.kubernetes import credentials

pytestmark = pytest.mark.e2e

LONG_AGO = datetime.timedelta(minutes=-5)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
    for name in (*names, *map(str.lower, names), "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def pod(make_pod: MakePod, monkeypatch: pytest.MonkeyPatch) -> Pod:
    """Whose kubeconfig is used."""
    pod = make_pod()
    monkeypatch.setenv("KUBECONFIG", str(pod.kubeconfig))
    return pod


@pytest.fixture
def tunnel(control_plane: Served) -> Iterator[Tunnel]:
    with Tunnel(control_plane.url) as tunnel:
        yield tunnel


def edit(pod: Pod, *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> None:
    """Change its kubeconfig's cluster, and replace its user."""
    whole = json.loads(pod.kubeconfig.read_text())
    whole["clusters"][0]["cluster"] |= cluster or {}
    if user is not None:
        whole["users"][0]["user"] = user
    pod.kubeconfig.write_text(json.dumps(whole))


def ask(store: KubernetesStore | None = None) -> None:
    """Read a lease that does not exist."""

    async def main() -> None:
        asked = store or KubernetesStore()
        try:
            assert await asked.lock("x", "me_1").get() is None
        finally:
            await close(asked)

    asyncio.run(main())


async def close(store: KubernetesStore) -> None:
    await store.aclose()
    transports = asyncio.get_running_loop()._transports
    async with asyncio.timeout(5):
        while any(transport._sock for transport in transports.values()):  # TLS takes some turns of the loop
            await asyncio.sleep(0.001)


def failure(store: KubernetesStore | None = None) -> StoreError:
    with pytest.raises(StoreError) as caught:
        ask(store)
    return caught.value


def ask_with_the_official_client() -> None:
    with new_client_from_config(os.environ["KUBECONFIG"]) as client:
        VersionApi(client).get_code(_request_timeout=10)


@pytest.mark.parametrize(
    ("no_proxy", "through"),
    [
        (None, True),
        ("", True),
        ("127.0.0.1", False),
        ("127.0.0.0/8", False),
        ("10.0.0.0/8, 127.0.0.1/32", False),
        ("*", False),
        ("127.0.0.1:PORT", False),
        ("127.0.0.1:1", True),
        ("example.com,.svc", True),
    ],
)
def test_a_proxy_is_asked_when_the_official_client_asks_it(
    pod: Pod, tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch, no_proxy: str | None, through: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
    if no_proxy is not None:
        monkeypatch.setenv("NO_PROXY", no_proxy.replace("PORT", pod.server.url.rpartition(":")[2]))
    ask_with_the_official_client()
    assert bool(tunnel.asked) == through
    tunnel.asked.clear()
    ask()
    assert bool(tunnel.asked) == through


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY"])
def test_the_environments_proxy_is_used_in_either_case(
    pod: Pod, tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, tunnel.url)
    ask()
    assert tunnel.asked


def test_a_kubeconfigs_proxy_comes_before_the_environments(
    pod: Pod, tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    edit(pod, cluster={"proxy-url": tunnel.url})
    ask()
    assert tunnel.asked


def test_a_server_that_only_the_proxy_knows_is_checked_by_its_tls_name(pod: Pod, tunnel: Tunnel) -> None:
    edit(pod, cluster={"server": "https://api.invalid", "proxy-url": tunnel.url, "tls-server-name": "localhost"})
    ask()
    assert tunnel.asked == ["CONNECT api.invalid:443 HTTP/1.1"]
    edit(pod, cluster={"tls-server-name": "elsewhere.example"})
    assert "elsewhere.example" in str(failure())


def test_a_proxys_login_is_sent_to_it_and_shown_to_nobody(pod: Pod, control_plane: Served) -> None:
    with Tunnel(control_plane.url, login="me:open sesame") as tunnel:
        edit(pod, cluster={"proxy-url": f"http://me:open%20sesame@{tunnel.address}"})
        store = KubernetesStore()
        ask(store)
        assert f"through the proxy http://{tunnel.address}" in store.describe()
        edit(pod, cluster={"proxy-url": f"http://me:secret@{tunnel.address}"})
        error = failure()
    assert error.outcome == "not done"
    assert "407" in str(error)
    assert tunnel.address in str(error)
    assert "secret" not in str(error) + store.describe()


def test_a_proxy_that_is_not_there_is_named(pod: Pod) -> None:
    edit(pod, cluster={"proxy-url": "http://me:secret@127.0.0.1:1"})
    error = failure()
    assert error.outcome == "not done"
    assert "through the proxy http://127.0.0.1:1" in str(error)
    assert "secret" not in str(error)


def test_a_proxy_may_speak_tls(pod: Pod, control_plane: Served) -> None:
    files = control_plane.directory / "server.crt", control_plane.directory / "server.key"
    with Tunnel(control_plane.url, tls=files) as tunnel:
        edit(pod, cluster={"proxy-url": tunnel.url})
        ask()
        assert tunnel.asked


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4"])
def test_another_kind_of_proxy_is_refused_before_it_is_asked(pod: Pod, tunnel: Tunnel, scheme: str) -> None:
    edit(pod, cluster={"proxy-url": f"{scheme}://me:secret@{tunnel.address}"})
    with pytest.raises(ConfigError, match=f"{scheme}://{tunnel.address}.*proxy-url.*http://") as caught:
        KubernetesStore()
    assert "secret" not in str(caught.value)
    assert not tunnel.asked


@pytest.fixture
def old_cluster(control_plane: Served, tmp_path: Path) -> Iterator[Proxy]:
    """The API server, with certificates like those of older clusters."""
    with Proxy(control_plane, tmp_path / "old", identifiers=False) as proxy:
        yield proxy


@pytest.mark.parametrize("in_cluster", [True, False])
def test_a_certificate_authority_without_key_identifiers_is_accepted_where_that_is_set(
    make_pod: MakePod, old_cluster: Proxy, monkeypatch: pytest.MonkeyPatch, in_cluster: bool
) -> None:
    pod = make_pod(server=old_cluster, in_cluster=in_cluster)
    monkeypatch.setattr(credentials, "SERVICE_ACCOUNT", pod.directory)
    for name, value in pod.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SINGLETON_JOBS_STRICT_TLS", "true")  # as it is by default from Python 3.13 on
    error = failure()
    assert error.outcome == "not done"
    assert "Missing Authority Key Identifier" in str(error)
    assert "SINGLETON_JOBS_STRICT_TLS=false" in str(error)
    monkeypatch.setenv("SINGLETON_JOBS_STRICT_TLS", "false")
    ask()
    monkeypatch.delenv("SINGLETON_JOBS_STRICT_TLS")
    ask(KubernetesStore(strict_tls=False))
    if sys.version_info < (3, 13):
        ask()
    else:
        assert "SINGLETON_JOBS_STRICT_TLS=false" in str(failure())


def test_another_authority_is_refused_however_lenient_one_is(
    make_pod: MakePod, old_cluster: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pod = make_pod(server=old_cluster)
    monkeypatch.setenv("KUBECONFIG", str(pod.kubeconfig))
    (pod.directory / "ca.crt").write_bytes(Authority(identifiers=False).pem)
    error = failure(KubernetesStore(strict_tls=False))
    assert "certificate verify failed" in str(error)
    assert "SINGLETON_JOBS_STRICT_TLS" not in str(error)
    edit(pod, cluster={"insecure-skip-tls-verify": True})
    ask()


def test_a_pod_reaches_a_server_at_an_address_of_the_sixth_version(
    make_pod: MakePod, control_plane: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Proxy(control_plane, tmp_path / "six", "::1") as proxy:
        pod = make_pod(server=proxy, in_cluster=True)
        monkeypatch.setattr(credentials, "SERVICE_ACCOUNT", pod.directory)
        for name, value in pod.env.items():
            monkeypatch.setenv(name, value)
        assert os.environ["KUBERNETES_SERVICE_HOST"] == "::1"
        ask()
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "[::1]")
        ask()


def test_without_an_authority_of_its_own_a_server_is_checked_by_the_systems(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = json.loads(pod.kubeconfig.read_text())
    del whole["clusters"][0]["cluster"]["certificate-authority"]
    pod.kubeconfig.write_text(json.dumps(whole))
    assert "certificate verify failed" in str(failure())
    monkeypatch.setenv("SSL_CERT_FILE", str(pod.server.ca_file))
    ask()


def test_a_pod_without_its_authority_is_told_which_file_is_missing(
    make_pod: MakePod, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = make_pod(in_cluster=True)
    monkeypatch.setattr(credentials, "SERVICE_ACCOUNT", pod.directory)
    for name, value in pod.env.items():
        monkeypatch.setenv(name, value)
    (pod.directory / "ca.crt").unlink()
    error = failure()
    assert error.outcome == "not done"
    assert f"{pod.directory}/ca.crt" in str(error)


def client_certificate(control_plane: Served, ends_in: datetime.timedelta) -> tuple[bytes, bytes]:
    return control_plane.client_authority.client("jane", "system:masters", ends_in=ends_in)


def test_certificates_may_be_in_the_kubeconfig_itself(pod: Pod, control_plane: Served) -> None:
    certificate, key = client_certificate(control_plane, datetime.timedelta(days=1))
    inline = {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }
    authority = base64.b64encode(pod.server.ca_file.read_bytes()).decode()
    edit(pod, cluster={"certificate-authority-data": authority, "certificate-authority": "/nowhere"}, user=inline)
    ask()


def test_a_client_certificate_that_ran_out_is_read_anew(pod: Pod, control_plane: Served, tmp_path: Path) -> None:
    files = {"client-certificate": tmp_path / "jane.crt", "client-key": tmp_path / "jane.key"}
    edit(pod, user={name: str(file) for name, file in files.items()})

    def write(ends_in: datetime.timedelta) -> None:
        for file, data in zip(files.values(), client_certificate(control_plane, ends_in), strict=True):
            file.write_bytes(data)

    async def main() -> None:
        store = KubernetesStore()
        lock = store.lock("x", "me_1")
        write(LONG_AGO)
        with pytest.raises(AccessDenied, match="does not accept these credentials"):
            await lock.get()
        write(datetime.timedelta(days=1))
        assert await lock.get() is None
        await close(store)

    asyncio.run(main())


def test_kubeconfigs_are_merged(pod: Pod, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = json.loads(pod.kubeconfig.read_text())
    pieces = [{key: whole.pop(key)} for key in ("clusters", "users")]
    for number, piece in enumerate([*pieces, whole]):
        (tmp_path / str(number)).write_text(json.dumps(piece))
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(str(tmp_path / name) for name in ("0", "absent", "1", "2")))
    ask()


def test_an_impersonated_user_is_the_one_who_asks(pod: Pod, admin: Admin) -> None:
    edit(pod, user={"token": admin.token, "as": "jane", "as-groups": ["guests", "night-shift"]})
    assert 'User "jane" cannot get' in str(failure())
    edit(pod, user={"token": admin.token, "as": "jane", "as-groups": ["guests", "system:masters"]})
    ask()


def plugin(program: str, **more: Any) -> dict[str, Any]:
    api = "client.authentication.k8s.io/v1"
    return {"exec": {"apiVersion": api, "command": sys.executable, "args": ["-c", program], **more}}


def test_an_exec_plugin_is_told_of_the_cluster(pod: Pod) -> None:
    program = f"""import json, os
asked = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
assert asked["spec"]["cluster"]["server"] == {pod.server.url!r}
print(json.dumps({{**asked, "status": {{"token": {pod.token!r}}}}}))"""
    edit(pod, user=plugin(program, provideClusterInfo=True))
    ask()


@pytest.mark.parametrize(
    ("user", "said"),
    [
        (plugin("raise SystemExit('log in first')"), f"exec plugin {sys.executable}.*log"),
        ({"auth-provider": {"name": "azure", "config": {}}}, "auth-provider azure"),
        ({"username": "me"}, "username"),
    ],
    ids=["exec", "auth-provider", "username"],
)
def test_a_user_without_credentials_is_not_sent_as_nobody(pod: Pod, proxy: Proxy, user: Any, said: str) -> None:
    edit(pod, cluster={"server": proxy.url, "certificate-authority": str(proxy.ca_file)}, user=user)
    error = failure()
    assert error.outcome == "not done"
    with pytest.raises(StoreError, match=f"(?s)user 'pod'.*{said}"):
        raise error
    assert not proxy.requests


def test_nobody_is_asked_for_as_nobody(pod: Pod) -> None:
    edit(pod, user={})
    assert "system:anonymous" in str(failure())
