"""A plain kubeconfig as it is read here, and as the official client reads it, whichever version is installed."""

import json
import os
from base64 import b64encode
from pathlib import Path
from typing import Any
from unittest.mock import patch

import kubernetes
from kubernetes.client import Configuration
from kubernetes.config import load_kube_config
from singleton_jobs.locks.kubernetes.kubeconfig import Kubeconfig
from singleton_jobs.locks.kubernetes.proxies import Proxy

SERVER = "https://api.dev.example:6443"
FILES = {"ca.crt": "authority\n", "me.crt": "certificate\n", "me.key": "key\n", "token": "in-file\n"}
KNOWS_PROXY_URL = int(kubernetes.__version__.partition(".")[0]) >= 37


def data(text: str) -> str:
    return b64encode(text.encode()).decode()


PAIR = {"client-certificate": "me.crt", "client-key": "me.key"}
INLINE = {"client-certificate-data": data("inline certificate"), "client-key-data": data("inline key")}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # a cluster and a user
    "token": ({"server": SERVER}, {"token": "secret"}),
    "token file": ({"server": SERVER}, {"tokenFile": "token"}),
    "token and its file": ({"server": SERVER}, {"token": "secret", "tokenFile": "token"}),
    "name and password": ({"server": SERVER}, {"username": "me", "password": "s3cret:x"}),
    "an empty password": ({"server": SERVER}, {"username": "me", "password": ""}),
    "a token, a name and a password": ({"server": SERVER}, {"token": "t", "username": "me", "password": "x"}),
    "certificate files": ({"server": SERVER, "certificate-authority": "./ca.crt"}, PAIR),
    "inline certificates": ({"server": SERVER, "certificate-authority-data": data("inline authority")}, INLINE),
    "inline and files": (
        {"server": SERVER, "certificate-authority-data": data("x"), "certificate-authority": "/nowhere"},
        PAIR | INLINE,
    ),
    "an inline key alone": ({"server": SERVER}, {**PAIR, "client-key-data": data("inline key")}),
    "certificate and token": ({"server": SERVER}, {**PAIR, "tokenFile": "token"}),
    "a certificate with its key": ({"server": SERVER}, {"client-certificate": "me.crt"}),
    "no verification": ({"server": SERVER, "insecure-skip-tls-verify": True}, {"token": "secret"}),
    "verification": ({"server": SERVER, "insecure-skip-tls-verify": False}, {"token": "secret"}),
    "a name for TLS": ({"server": SERVER, "tls-server-name": "kubernetes.default"}, {"token": "secret"}),
    "a proxy": ({"server": SERVER, "proxy-url": "http://me:x@proxy:3128"}, {"token": "secret"}),
    "a path": ({"server": "https://rancher.example/k8s/clusters/c-1/"}, {"token": "secret"}),
    "without TLS": ({"server": "http://127.0.0.1:8001", "certificate-authority": "/nowhere"}, {"token": "secret"}),
    "nobody": ({"server": "http://127.0.0.1:8001"}, {}),
    "impersonation": ({"server": SERVER}, {"token": "secret", "as": "jane", "as-groups": ["guests"]}),
}


def write(folder: Path, cluster: dict[str, Any], user: dict[str, Any]) -> str:
    """A kubeconfig of its own folder, with the files that it may name."""
    for name, content in FILES.items():
        (folder / name).write_text(content)
    whole = {
        "current-context": "dev",
        "clusters": [{"name": "dev", "cluster": cluster}],
        "contexts": [{"name": "dev", "context": {"cluster": "dev", "user": "me"}}],
        "users": [{"name": "me", "user": user}],
    }
    (folder / "config").write_text(json.dumps(whole))
    return str(folder / "config")


def official(paths: str, context: str | None = None) -> dict[str, Any]:
    configuration = Configuration()
    load_kube_config(paths, context, configuration)
    token = next(iter(configuration.api_key.values()), None)
    proxy = configuration.proxy if KNOWS_PROXY_URL else None
    return {
        "address": configuration.host.rstrip("/"),
        "authorization": token and " ".join(token.split()),
        "authority": content(configuration.ssl_ca_cert),
        "certificate": content(configuration.cert_file),
        "key": content(configuration.cert_file and (configuration.key_file or configuration.cert_file)),
        "verified": configuration.verify_ssl,
        "tls name": configuration.tls_server_name,
        "proxy": proxy and Proxy.named(proxy, "")._replace(source=""),
    }


def ours(paths: str, context: str | None = None) -> dict[str, Any]:
    with patch.dict(os.environ, {"KUBECONFIG": paths}):
        found = Kubeconfig(context)
    access = found.load(anew=False)
    cluster = found._chosen.cluster
    with_tls = access.address.startswith("https:")
    certificate, key = (with_tls and found._user.certificate()) or (None, None)
    return {
        "address": access.address,
        "authorization": access.authorization,
        "authority": content(with_tls and cluster.pem("certificate-authority")),
        "certificate": content(certificate),
        "key": content(key),
        "verified": not cluster.flag("insecure-skip-tls-verify"),
        "tls name": access.server_hostname,
        "proxy": access.proxy and access.proxy._replace(source="") if KNOWS_PROXY_URL else None,
    }


def content(pem: Any) -> bytes | None:
    if not pem:
        return None
    return pem if isinstance(pem, bytes) else Path(pem).read_bytes()
