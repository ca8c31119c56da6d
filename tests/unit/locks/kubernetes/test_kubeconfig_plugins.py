"""What lets a user in by the official client, field by field: used, refused, or of no matter; and who needs that client."""

import inspect
import json
import sys

import pytest
from kubernetes.client import Configuration

from singleton_jobs import ConfigError
from singleton_jobs.locks.kubernetes.kubeconfig_plugins import OF_NO_MATTER, REFUSED, USED, PluginUser
from unit.programs import run

TOKEN = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "of-plugin"}}
PLUGIN = {
    "apiVersion": TOKEN["apiVersion"],
    "command": sys.executable,
    "args": ["-c", f"print({json.dumps(TOKEN)!r})"],
    "interactiveMode": "Never",
}


def fields():
    made = Configuration()
    properties = {name for name, value in inspect.getmembers(Configuration) if isinstance(value, property)}
    arguments = set(inspect.signature(Configuration).parameters)
    return {name for name in vars(made) if not name.startswith("_")} | properties | arguments


def test_no_field_of_the_official_clients_configuration_is_overlooked():
    assert fields() <= USED | REFUSED | OF_NO_MATTER
    assert not USED & REFUSED | USED & OF_NO_MATTER | REFUSED & OF_NO_MATTER


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_field_that_cannot_be_used_is_refused_by_name(monkeypatch, name):
    def load_kube_config(path, context, configuration):
        setattr(configuration, name, False)

    monkeypatch.setattr("kubernetes.config.load_kube_config", load_kube_config)
    with pytest.raises(ConfigError, match=f"sets {name}"):
        PluginUser("", "dev")


@pytest.mark.parametrize(
    ("user", "sent", "imported"),
    [
        ({"token": "secret"}, "Bearer secret", False),
        ({"tokenFile": "token"}, "Bearer in-file", False),
        ({"username": "me", "password": "secret"}, "Basic bWU6c2VjcmV0", False),
        ({"exec": PLUGIN}, "Bearer of-plugin", True),
        ({"auth-provider": {"name": "azure"}, "token": "secret"}, "Bearer secret", True),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_the_official_client_is_imported_for_plugins_alone(tmp_path, user, sent, imported):
    (tmp_path / "token").write_text("in-file")
    path = tmp_path / "kubeconfig"
    whole = {
        "current-context": "dev",
        "clusters": [{"name": "dev", "cluster": {"server": "https://api.dev.example:6443"}}],
        "contexts": [{"name": "dev", "context": {"cluster": "dev", "user": "me"}}],
        "users": [{"name": "me", "user": user}],
    }
    path.write_text(json.dumps(whole))
    program = """
        import sys
        from singleton_jobs.locks import KubernetesStore
        from singleton_jobs.locks.kubernetes.credentials import find_credentials
        KubernetesStore()
        found = find_credentials(None)
        access = found.load(anew=False)
        access.tls()
        found.load(anew=True)
        print(access.authorization)
        print({"kubernetes", "urllib3", "requests"} & set(sys.modules) != set())
        """
    out = run(program, env={"KUBECONFIG": str(path), "KUBERNETES_SERVICE_HOST": ""})
    assert out.split("\n")[:2] == [sent, str(imported)]


def test_a_plugin_is_asked_again_once_it_was_refused(tmp_path, monkeypatch):
    from singleton_jobs.locks.kubernetes.kubeconfig import Kubeconfig

    (tmp_path / "said").write_text(json.dumps(TOKEN))
    plugin = {**PLUGIN, "args": ["-c", f"print(open({str(tmp_path / 'said')!r}).read())"]}
    whole = {
        "clusters": [{"name": "dev", "cluster": {"server": "https://api.dev.example:6443"}}],
        "contexts": [{"name": "dev", "context": {"cluster": "dev", "user": "me"}}],
        "users": [{"name": "me", "user": {"exec": plugin, "as": "jane"}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(whole))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    found = Kubeconfig("dev")
    first = found.load(anew=False)
    assert (first.authorization, first.headers) == ("Bearer of-plugin", [("Impersonate-User", "jane")])
    (tmp_path / "said").write_text(json.dumps({**TOKEN, "status": {"token": "later"}}))
    assert found.load(anew=False).authorization == "Bearer of-plugin"
    assert found.load(anew=True).authorization == "Bearer later"
