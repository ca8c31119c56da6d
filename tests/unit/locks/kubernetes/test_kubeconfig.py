"""What is made of a kubeconfig's cluster and user."""

import json
import logging
import os

import pytest

from singleton_jobs import ConfigError
from singleton_jobs.locks.kubernetes.credentials import ServiceAccount, find_credentials
from singleton_jobs.locks.kubernetes.kubeconfig import Kubeconfig
from singleton_jobs.locks.kubernetes.tls import strictness


@pytest.fixture(autouse=True)
def kubeconfig(tmp_path, monkeypatch):
    """Writes one with this cluster and this user."""
    path = tmp_path / "kubeconfig"
    monkeypatch.setenv("KUBECONFIG", str(path))
    for name in ("KUBERNETES_SERVICE_HOST", "SINGLETON_JOBS_STRICT_TLS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)

    def write(user=None, **cluster):
        whole = {
            "current-context": "dev",
            "clusters": [{"name": "dev", "cluster": {"server": "https://api.dev.example:6443", **cluster}}],
            "contexts": [{"name": "dev", "context": {"cluster": "dev", "user": "me"}}],
            "users": [{"name": "me", "user": user or {"token": "secret"}}],
        }
        path.write_text(json.dumps(whole))

    write()
    return write


def test_a_proxys_login_goes_to_the_proxy_alone(kubeconfig):
    kubeconfig(**{"proxy-url": "http://me:x@proxy:3128"})
    sent = {"Proxy-Authorization": "Basic bWU6eA=="}
    access = Kubeconfig(None).load(anew=False)
    assert (access.proxy_headers, access.headers) == (sent, [])
    kubeconfig(**{"proxy-url": "http://me:x@proxy:3128", "server": "http://api.dev.example"})
    assert Kubeconfig(None).load(anew=False).headers == list(sent.items())  # there is no tunnel, so the proxy reads all
    kubeconfig(server="http://api.dev.example")
    assert Kubeconfig(None).load(anew=False).headers == []


def test_the_environments_proxy_for_a_server_without_tls(kubeconfig, monkeypatch):
    monkeypatch.setenv("http_proxy", "proxy:3128")
    kubeconfig(server="http://api.dev.example")
    found = Kubeconfig(None)
    assert (found.proxy.url, found.proxy.source) == ("http://proxy:3128", "the environment")
    monkeypatch.setenv("no_proxy", ".dev.example")
    assert Kubeconfig(None).proxy is None


def test_no_proxy_counts_for_a_kubeconfigs_proxy_as_it_does_for_the_official_client(kubeconfig, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "dev.example")
    kubeconfig(**{"proxy-url": "http://proxy:3128"})
    assert Kubeconfig(None).proxy is None


def test_an_impersonated_user_with_all_that_belongs_to_it(kubeconfig):
    kubeconfig(
        user={
            "token": "secret",
            "as": "jane",
            "as-uid": "7",
            "as-groups": ["a", "b"],
            "as-user-extra": {"scopes": ["x", "y"], "acme/of": ["z"]},
        }
    )
    assert Kubeconfig(None).load(anew=False).headers == [
        ("Impersonate-User", "jane"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-scopes", "x"),
        ("Impersonate-Extra-scopes", "y"),
        ("Impersonate-Extra-acme%2Fof", "z"),
    ]


def test_a_user_name_and_a_password_are_sent(kubeconfig):
    kubeconfig(user={"username": "me", "password": "secret"})
    assert Kubeconfig(None).load(anew=False).authorization == "Basic bWU6c2VjcmV0"


def test_a_user_without_credentials_is_refused_by_name(kubeconfig, caplog):
    kubeconfig(user={"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/nowhere/login"}})
    with (
        caplog.at_level(logging.CRITICAL),
        pytest.raises(ConfigError, match=r"user 'me' .*\(exec plugin /nowhere/login\)"),
    ):
        Kubeconfig(None).load(anew=False)


def test_a_server_without_tls_needs_no_credentials(kubeconfig):
    kubeconfig(user={"client-certificate": "/nowhere"}, server="http://127.0.0.1:8001")  # as `kubectl proxy` serves
    assert Kubeconfig(None).load(anew=False).authorization is None


@pytest.mark.parametrize("current", ["", None])
def test_no_current_context_is_a_question_of_which(kubeconfig, tmp_path, current):
    whole = json.loads((tmp_path / "kubeconfig").read_text()) | {"current-context": current}
    (tmp_path / "kubeconfig").write_text(json.dumps(whole))
    with pytest.raises(ConfigError, match=r"no current-context.*kubernetes:\?context=NAME, of dev"):
        Kubeconfig(None)


@pytest.mark.parametrize("first", ["a", "none:a", "empty:a"])
def test_of_merged_files_the_first_that_names_a_current_context_counts_as_for_kubectl(
    kubeconfig, tmp_path, monkeypatch, first
):
    for name, current in [("a", {"current-context": "a"}), ("empty", {"current-context": ""}), ("none", {})]:
        whole = {
            "clusters": [{"name": name, "cluster": {"server": f"https://{name}.example"}}],
            "contexts": [{"name": name, "context": {"cluster": name, "namespace": f"of-{name}"}}],
        }
        (tmp_path / name).write_text(json.dumps(whole | current))
    files = [*first.split(":"), "kubeconfig"]  # whose own is "dev"
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(str(tmp_path / name) for name in files))
    found = Kubeconfig(None)
    assert (found.address, found.namespace) == ("https://a.example", "of-a")
    assert found.load(anew=False).address == "https://a.example"


@pytest.mark.parametrize(("word", "strict"), [("true", True), ("false", False), ("", None), (None, None)])
def test_strictness_may_be_set_in_the_environment(monkeypatch, word, strict):
    if word is not None:
        monkeypatch.setenv("SINGLETON_JOBS_STRICT_TLS", word)
    assert strictness(None) is strict
    assert strictness(True) is True
    assert strictness(False) is False


@pytest.mark.parametrize("word", ["0", "no", "False", " true"])
def test_a_bad_strictness_in_the_environment_is_refused_by_name(monkeypatch, word):
    monkeypatch.setenv("SINGLETON_JOBS_STRICT_TLS", word)
    with pytest.raises(ConfigError, match="SINGLETON_JOBS_STRICT_TLS must be true or false"):
        strictness(None)
    with pytest.raises(ConfigError, match="strict_tls"):
        strictness(word)


def test_certificates_are_read_anew_once_something_was_refused_and_no_sooner(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("secret")
    monkeypatch.setattr("singleton_jobs.locks.kubernetes.credentials.SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    in_a_pod, by_kubeconfig = find_credentials(None), Kubeconfig(None)
    assert isinstance(in_a_pod, ServiceAccount)
    for found in (in_a_pod, by_kubeconfig):
        first = found.load(anew=False)
        assert found.load(anew=False).tls is first.tls
        assert found.load(anew=True).tls is not first.tls
