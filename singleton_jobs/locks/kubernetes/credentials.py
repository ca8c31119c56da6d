"""How to reach a Kubernetes API server: as a pod, by its service account, or with a kubeconfig.

Files are read by ourselves: the official client imports every model of the API first, which takes 0.2 CPU seconds and
23 MiB in every replica. Only exec plugins and auth providers are left to it.
"""

import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from ...errors import ConfigError
from .proxies import Proxy
from .tls import client_context

__all__ = ["Access", "Credentials", "ServiceAccount", "find_credentials", "header"]

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Access(NamedTuple):
    """What one request needs besides its path. ``tls``: another one once its certificates are to be read anew."""

    address: str
    authorization: str | None
    tls: Callable[[], ssl.SSLContext]
    server_hostname: str | None = None
    proxy: Proxy | None = None
    proxy_headers: Mapping[str, str] | None = None  # for the proxy alone
    headers: Sequence[tuple[str, str]] = ()


class Credentials(Protocol):
    """Where a server is, and how to be let in."""

    address: str
    namespace: str | None
    proxy: Proxy | None

    def load(self, *, anew: bool) -> Access:
        """The current credentials; ``anew``: the last ones were refused. Blocks, and may raise anything."""


class ServiceAccount:
    """The pod's own; the kubelet renews its token file long before a token expires.

    No proxy is asked: the address is one of the cluster's own network.
    """

    proxy: Proxy | None = None

    def __init__(self, strict_tls: bool | None = None) -> None:
        self._folder = SERVICE_ACCOUNT
        if not (self._folder / "token").is_file():
            raise ConfigError(
                f"this pod has no service-account token at {self._folder}: set automountServiceAccountToken: true, "
                "or name a store with SINGLETON_JOBS_STORE"
            )
        host, port = os.environ["KUBERNETES_SERVICE_HOST"].strip("[]"), os.environ.get("KUBERNETES_SERVICE_PORT")
        self.address = f"https://{f'[{host}]' if ':' in host else host}:{port or 443}"
        namespace = self._folder / "namespace"
        self.namespace = namespace.read_text().strip() or None if namespace.is_file() else None
        self._strict_tls = strict_tls
        self._tls = self._new_tls()

    def load(self, *, anew: bool) -> Access:
        """Read the token file."""
        if anew:
            self._tls = self._new_tls()
        return Access(self.address, header(f"Bearer {(self._folder / 'token').read_text()}"), tls=self._tls)

    def _new_tls(self) -> Callable[[], ssl.SSLContext]:
        return partial(client_context, self._strict_tls, cafile=self._folder / "ca.crt")


def find_credentials(context: str | None, strict_tls: bool | None = None) -> Credentials:
    """The pod's service account in a cluster, unless a context is named; else the kubeconfig."""
    if context is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return ServiceAccount(strict_tls)
    from .kubeconfig import Kubeconfig

    return Kubeconfig(context, strict_tls)


def header(value: str) -> str:
    """A token file may end in a newline, which no header may hold."""
    return " ".join(value.split())
