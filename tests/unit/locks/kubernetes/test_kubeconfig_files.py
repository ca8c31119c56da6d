"""Kubeconfig files: merged as kubectl merges them, and whatever is wrong in one is a ConfigError that names it."""

import base64
import copy
import datetime
import json
import os
import ssl
import traceback
from pathlib import Path

import pytest
import yaml
from controlplane.certs import Authority
from hypothesis import given, settings
from hypothesis import strategies as st

from singleton_jobs import ConfigError
from singleton_jobs.locks.kubernetes.kubeconfig import Kubeconfig
from singleton_jobs.locks.kubernetes.kubeconfig_files import choose, kubeconfig_paths

WHOLE = {
    "current-context": "dev",
    "clusters": [{"name": "dev", "cluster": {"server": "https://api.dev.example:6443"}}],
    "contexts": [{"name": "dev", "context": {"cluster": "dev", "user": "me"}}],
    "users": [{"name": "me", "user": {"token": "secret"}}],
}


@pytest.fixture(autouse=True)
def path(tmp_path, monkeypatch):
    path = tmp_path / "kubeconfig"
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.delenv("SINGLETON_JOBS_STRICT_TLS", raising=False)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    return path


def changed(keys, value):
    """The whole kubeconfig, but for one place in it."""
    whole = copy.deepcopy(WHOLE)
    place = whole
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return whole


def use():
    """All that is done with a kubeconfig before the first request."""
    Kubeconfig(None).load(anew=False).tls()


CLUSTER, USER = ("clusters", 0, "cluster"), ("users", 0, "user")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no current-context"),
        ("# nothing", "has no current-context"),
        ("[a, b]", "must be a mapping"),
        ("text", "must be a mapping"),
        ("{", "cannot be read as YAML"),
        ("a: b\n---\nc: d", "cannot be read as YAML"),
        ("&a {a: *b}", "cannot be read as YAML"),
        ("!!python/object:os.system {}", "cannot be read as YAML"),
        ("expiry: 2026-13-45", "cannot be read as YAML"),
        ("a: !!bool x", "cannot be read as YAML"),
        ("a: !!int ''", "cannot be read as YAML"),
        ("a: !!timestamp x", "cannot be read as YAML"),
        ("[" * 100_000, "cannot be read as YAML"),
        (b"\xff\xfe\xff", "cannot be read as YAML"),
        (b"token: \xe9", "cannot be read as YAML"),
    ],
)
@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
def test_what_is_no_kubeconfig_is_refused(path, monkeypatch, loader, text, said):
    if loader == "SafeLoader":  # what is left where PyYAML was built without libyaml
        monkeypatch.delattr(yaml, "CSafeLoader")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=said) as caught:
        use()
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (["clusters"], "dev", "clusters must be a list"),
        (["clusters"], {"dev": {}}, "clusters must be a list"),
        (["users"], ["me"], "users must be mappings, each with a name"),
        (["users"], None, "context 'dev': user is 'me', which is in none of the files: name one of none"),
        (["users"], WHOLE["users"] * 2, "users has 'me' twice: rename or delete one"),
        (["clusters"], [*WHOLE["clusters"], {"name": "b"}, "c"], "clusters must be mappings"),
        (["contexts"], [], "no context 'dev': name one of none"),
        (["clusters", 0, "name"], "prod", "context 'dev': cluster is 'dev', .* name one of prod"),
        (["clusters", 0, "name"], None, "an entry of clusters: name is not set"),
        (["clusters", 0, "name"], 5, "an entry of clusters: name must be text, and is int: put it in quotes"),
        (["clusters", 0, "cluster"], "dev", "cluster must be a mapping"),
        (["clusters", 0, "cluster"], None, "cluster 'dev': server must be like https://HOST:PORT"),
        (["contexts", 0, "context"], None, "context 'dev': cluster is not set: name one of dev"),
        (["contexts", 0, "context", "user"], 5, "context 'dev': user must be text"),
        (["contexts", 0, "context", "namespace"], 5, "context 'dev': namespace must be text"),
        (["current-context"], "gone", "no context 'gone': name one of dev"),
        (["current-context"], 5, "current-context must be text"),
        ([*CLUSTER, "server"], 6443, "server must be text"),
        ([*CLUSTER, "server"], "api.dev.example:6443", "server must be like https://HOST:PORT"),
        ([*CLUSTER, "server"], "https://api.dev.example:99999", "server must be like https://HOST:PORT"),
        ([*CLUSTER, "certificate-authority"], "nowhere.crt", "names /.*/nowhere.crt, where no file is"),
        ([*CLUSTER, "certificate-authority"], ".", "where no file is"),
        ([*CLUSTER, "certificate-authority"], "kubeconfig", "certificate-authority cannot be used"),
        ([*CLUSTER, "certificate-authority-data"], "***", "certificate-authority-data is not in base64"),
        ([*CLUSTER, "certificate-authority-data"], "YWJj", "certificate-authority cannot be used"),
        ([*CLUSTER, "certificate-authority-data"], "/w==", "certificate-authority cannot be used"),
        ([*CLUSTER, "insecure-skip-tls-verify"], "false", "insecure-skip-tls-verify must be true or false"),
        ([*CLUSTER, "tls-server-name"], True, "tls-server-name must be text, and is bool"),
        ([*CLUSTER, "proxy-url"], 3128, "proxy-url must be text"),
        ([*USER, "token"], 12345678, "user 'me': token must be text, and is int: put it in quotes"),
        (USER, {"tokenFile": "nowhere"}, "user 'me': tokenFile names /.*/nowhere, where no file is"),
        (USER, {"tokenFile": "."}, "user 'me': tokenFile names /.*, where no file is"),
        (USER, {"tokenFile": "a\0b"}, "where no file is"),
        (USER, {"tokenFile": "a" * 5000}, "where no file is"),
        (USER, {"tokenFile": "binary"}, "tokenFile cannot be read"),
        (USER, {"tokenFile": "blank"}, r"user 'me' gives no credentials \(tokenFile\): give it a token"),
        (USER, {"username": "me", "password": 12345678}, "password must be text"),
        (USER, {"username": "me"}, r"user 'me' gives no credentials \(username\): give it a token"),
        (USER, {"client-certificate": "nowhere"}, "client-certificate names /.*/nowhere, where no file is"),
        (USER, {"client-certificate-data": "YWJj"}, "client-certificate or client-key cannot be used"),
        (USER, {"client-certificate-data": "=", "token": "t"}, "client-certificate-data is not in base64"),
        ([*USER, "as"], ["jane"], "as must be text"),
        ([*USER, "as-groups"], "admins", "as-groups must be a list of texts"),
        ([*USER, "as-groups"], [5], "as-groups must be a list of texts"),
        ([*USER, "as-user-extra"], ["scopes"], "as-user-extra must be a mapping"),
        ([*USER, "as-user-extra"], {"scopes": "x"}, "as-user-extra: scopes must be a list of texts"),
        ([*USER, "exec"], "aws", "exec must be a mapping"),
        ([*USER, "auth-provider"], ["oidc"], "auth-provider must be a mapping"),
    ],
)
def test_what_is_wrong_in_a_kubeconfig_is_told_with_its_file_and_a_cure(path, tmp_path, keys, value, said):
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "blank").write_text(" \n")
    path.write_text(json.dumps(changed(keys, value)))
    with pytest.raises(ConfigError, match=said) as caught:
        use()
    assert str(path) in str(caught.value)
    assert "12345678" not in "".join(traceback.format_exception(caught.value))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["dev", "me", "https://x"]),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=3), some, max_size=3),
    max_leaves=6,
)
places = st.sampled_from(
    [[kind, 0, one, field] for kind, one in [("clusters", "cluster"), ("users", "user"), ("contexts", "context")]
     for field in ("server", "cluster", "user", "token", "tokenFile", "client-certificate", "client-key-data",
                   "certificate-authority", "certificate-authority-data", "proxy-url", "as", "as-groups",
                   "as-user-extra", "insecure-skip-tls-verify", "tls-server-name", "username", "password", "namespace")]
    + [[kind, 0, one] for kind, one in [("clusters", "cluster"), ("users", "user"), ("contexts", "name")]]
    + [[kind, 0] for kind in ("clusters", "users", "contexts")]
    + [["clusters"], ["users"], ["contexts"], ["current-context"]]
)  # fmt: skip


@given(places, anything)
@settings(max_examples=200, deadline=None)
def test_nothing_but_a_config_error_comes_of_whatever_stands_anywhere(tmp_path_factory, keys, value):
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.getbasetemp() / "anything"
        path.write_text(json.dumps(changed(keys, value)))
        patch.setenv("KUBECONFIG", str(path))
        try:
            use()
        except ConfigError as error:
            assert str(error)


def test_a_file_that_cannot_be_opened_is_named(path):
    path.mkdir()
    with pytest.raises(ConfigError, match=f"{path} cannot be read"):
        use()


def test_where_no_file_is_the_variable_to_set_is_told(monkeypatch, tmp_path):
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=f"no file at {tmp_path}/.kube/config: set KUBECONFIG"):
        use()
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(json.dumps(WHOLE))
    use()


def test_paths_are_seen_from_the_file_that_they_stand_in(tmp_path, monkeypatch):
    """A user's too, for which the official client looks where the cluster stands."""
    for name, part in [("a", "clusters"), ("b", "users"), ("c", "contexts")]:
        (tmp_path / name).mkdir()
        for file in ("ca.crt", "me.crt", "token"):
            (tmp_path / name / file).write_text(f"{name}/{file}")
        whole = {"clusters": [{"name": "dev", "cluster": {"server": "https://x", "certificate-authority": "ca.crt"}}]}
        whole |= {"users": [{"name": "me", "user": {"tokenFile": "./token", "client-certificate": "../b/me.crt"}}]}
        (tmp_path / name / "config").write_text(json.dumps({part: (WHOLE | whole)[part]}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(["a/config", "", str(tmp_path / "b/config"), "c/../c/config"]))
    paths = kubeconfig_paths()
    monkeypatch.chdir("/")  # as a daemon does
    chosen = choose(paths, "dev")
    assert Path(chosen.cluster.path("certificate-authority")).read_text() == "a/ca.crt"
    assert Path(chosen.user.path("tokenFile")).read_text() == "b/token"
    assert Path(chosen.user.path("client-certificate")).read_text() == "b/me.crt"


def test_of_one_name_in_several_files_the_first_counts_whole(tmp_path):
    other = changed([*CLUSTER], {"server": "https://other", "insecure-skip-tls-verify": True})
    for name, whole in [("a", {"clusters": WHOLE["clusters"]}), ("b", other)]:
        (tmp_path / name).write_text(json.dumps(whole))
    chosen = choose(f"{tmp_path}/a{os.pathsep}{tmp_path}/b", None)
    assert (chosen.address, chosen.cluster.flag("insecure-skip-tls-verify")) == ("https://api.dev.example:6443", False)


def test_an_empty_field_is_as_good_as_none(path, tmp_path):
    (tmp_path / "token").write_text("in-file\n")
    path.write_text(json.dumps(changed(USER, {"token": "", "tokenFile": "token", "exec": None})))
    assert Kubeconfig(None).load(anew=False).authorization == "Bearer in-file"


def test_yaml_with_all_that_people_write_in_it(path):
    path.write_text(
        """\
# kind: Config
apiVersion: v1
current-context: "dev"   # the usual one
clusters:
- cluster: &shared
    insecure-skip-tls-verify: true
    server: https://api.dev.example:6443
    extensions: [{name: x, extension: {last-update: 2026-01-02T03:04:05Z, id: 0o17}}]
  name: dev
contexts: [{name: dev, context: {cluster: dev, user: me, namespace: jobs}}]
users:
- name: me
  user:
    token: |
      secret
"""
    )
    found = Kubeconfig(None)
    access = found.load(anew=False)
    assert (access.authorization, found.namespace) == ("Bearer secret", "jobs")
    assert access.tls().verify_mode == ssl.CERT_NONE


@pytest.fixture(scope="module")
def jane():
    return Authority().client("jane", "guests", ends_in=datetime.timedelta(days=1))


def inline(certificate, key):
    encoded = {"client-certificate-data": certificate, "client-key-data": key}
    return {name: base64.encodebytes(pem).decode() for name, pem in encoded.items() if pem}  # in lines


@pytest.mark.parametrize("usable", [True, False])
def test_an_inline_key_is_on_no_disk_once_it_is_loaded(path, tmp_path, monkeypatch, jane, usable):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    path.write_text(json.dumps(changed(USER, inline(jane[0], jane[1] if usable else b"no key"))))
    seen = []

    class Context(ssl.SSLContext):
        def load_cert_chain(self, *files, **more):
            seen.extend((Path(file).parent, Path(file).stat().st_mode & 0o777) for file in files)
            super().load_cert_chain(*files, **more)

    monkeypatch.setattr(ssl, "create_default_context", lambda **_: Context(ssl.PROTOCOL_TLS_CLIENT))
    access = Kubeconfig(None).load(anew=False)
    assert not list(folder.iterdir())
    if usable:
        access.tls()
    else:
        with pytest.raises(ConfigError, match="client-certificate or client-key cannot be used"):
            access.tls()
    assert seen == [(folder, 0o600)] * 2
    assert not list(folder.iterdir())


def test_a_key_may_be_in_a_file_and_its_certificate_inline_or_both_in_one(path, tmp_path, jane):
    certificate, key = jane
    (tmp_path / "key").write_bytes(key)
    (tmp_path / "both").write_bytes(certificate + key)
    for user in (inline(certificate, None) | {"client-key": "key"}, {"client-certificate": "both"}):
        path.write_text(json.dumps(changed(USER, user)))
        use()


def test_an_encrypted_key_is_refused_and_no_passphrase_asked_for(path, jane):
    from cryptography.hazmat.primitives import serialization

    encrypted = serialization.load_pem_private_key(jane[1], None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open sesame"),
    )
    path.write_text(json.dumps(changed(USER, inline(jane[0], encrypted))))
    with pytest.raises(ConfigError, match="client-certificate or client-key cannot be used"):
        use()


def test_an_authority_may_come_with_comments(path):
    authority = Authority().pem
    text = "Ümläut says:\n".encode() + authority
    path.write_text(json.dumps(changed([*CLUSTER, "certificate-authority-data"], base64.b64encode(text).decode())))
    assert len(Kubeconfig(None).load(anew=False).tls().get_ca_certs()) == 1


def test_a_kubeconfig_is_read_anew_once_its_credentials_were_refused(path):
    path.write_text(json.dumps(WHOLE))
    found = Kubeconfig(None)
    later = changed([*USER, "token"], "rotated") | {"current-context": "other"}
    path.write_text(json.dumps(later))
    assert found.load(anew=False).authorization == "Bearer secret"
    assert found.load(anew=True).authorization == "Bearer rotated"
    path.write_text("{")
    with pytest.raises(ConfigError, match=str(path)):
        found.load(anew=True)


def test_a_token_file_is_read_each_time_as_kubectl_does(path, tmp_path):
    (tmp_path / "token").write_text("secret")
    path.write_text(json.dumps(changed(USER, {"tokenFile": "token"})))
    found = Kubeconfig(None)
    first = found.load(anew=False)
    (tmp_path / "token").write_text("rotated\n")
    second = found.load(anew=False)
    assert (first.authorization, second.authorization) == ("Bearer secret", "Bearer rotated")
    assert first.tls is second.tls
