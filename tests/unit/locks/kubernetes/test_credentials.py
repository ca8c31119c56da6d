"""How a Kubernetes API server is found, without asking it anything."""

import json
import sys

import pytest

from singleton_jobs import ConfigError
from singleton_jobs.locks.kubernetes import credentials
from singleton_jobs.locks.kubernetes.credentials import ServiceAccount, find_credentials
from singleton_jobs.locks.kubernetes.kubeconfig import Kubeconfig


@pytest.fixture
def kubeconfig(tmp_path, monkeypatch):
    """Writes a kubeconfig with two contexts; what is given replaces parts of it."""
    path = tmp_path / "kubeconfig"
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    def write(user=None, **parts):
        clusters = [{"name": name, "cluster": {"server": f"https://{name}.example:6443/"}} for name in ("dev", "prod")]
        contexts = [
            {"name": "dev", "context": {"cluster": "dev", "user": "me"}},
            {"name": "prod", "context": {"cluster": "prod", "user": "me", "namespace": "billing"}},
        ]
        whole = {
            "current-context": "dev",
            "clusters": clusters,
            "contexts": contexts,
            "users": [{"name": "me", "user": user or {"token": "secret"}}],
        }
        path.write_text(json.dumps({**whole, **parts}))

    return write


@pytest.fixture
def mount(tmp_path, monkeypatch):
    """A service account's folder."""
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / "namespace").write_text("jobs\n")
    monkeypatch.setattr(credentials, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    return tmp_path


def test_the_current_context_is_used(kubeconfig):
    kubeconfig()
    found = find_credentials(None)
    assert (found.address, found.namespace) == ("https://dev.example:6443", None)


def test_a_context_may_be_named_even_in_a_cluster(kubeconfig, mount):
    kubeconfig()
    found = find_credentials("prod")
    assert (found.address, found.namespace) == ("https://prod.example:6443", "billing")


def test_a_pods_own_service_account_comes_first(kubeconfig, mount):
    kubeconfig()
    found = find_credentials(None)
    assert (found.address, found.namespace) == ("https://10.0.0.1:6443", "jobs")


def test_an_address_of_the_sixth_version_is_bracketed(mount, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    assert ServiceAccount().address == "https://[fd00::1]:6443"


def test_a_token_is_read_anew_each_time_and_without_its_newline(mount):
    account = ServiceAccount()
    assert account.load(anew=False).authorization == "Bearer secret"
    (mount / "token").write_text("rotated\n")
    assert account.load(anew=False).authorization == "Bearer rotated"


def test_a_kubeconfigs_token_file_is_read_anew_once_it_was_refused(kubeconfig, tmp_path):
    token = tmp_path / "token"
    token.write_text("secret")
    kubeconfig(user={"tokenFile": str(token)})
    found = Kubeconfig(None)
    assert found.load(anew=False).authorization.lower() == "bearer secret"
    token.write_text("rotated")
    assert found.load(anew=True).authorization.lower() == "bearer rotated"


def test_an_exec_plugin_is_not_run_before_credentials_are_needed(kubeconfig, tmp_path):
    ran = tmp_path / "ran"
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", f"open({str(ran)!r}, 'w')"],
    }
    kubeconfig(user={"exec": plugin})
    Kubeconfig(None)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"current-context": "gone"}, "gone"),
        ({"clusters": []}, "dev"),
        ({"current-context": None}, "current-context"),
    ],
)
def test_a_kubeconfig_that_cannot_work_is_refused(kubeconfig, parts, said):
    kubeconfig(**parts)
    with pytest.raises(ConfigError, match=said):
        Kubeconfig(None)


@pytest.mark.parametrize("text", ["{", "]["])
def test_a_kubeconfig_that_is_no_yaml_is_refused(tmp_path, monkeypatch, text):
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(ConfigError, match="usable kubeconfig"):
        Kubeconfig(None)


def test_a_missing_kubeconfig_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="nowhere"):
        Kubeconfig(None)
