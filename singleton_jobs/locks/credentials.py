"""How to reach a Kubernetes API server: as a pod, by its service account, or with a kubeconfig.

A pod's three files are read here: the official client imports every model of the API first, which takes 0.2 CPU
seconds and 25 MiB in every replica. Kubeconfigs, with exec plugins and all, are left to it.
"""

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ..errors import ConfigError

__all__ = ["Access", "Credentials", "Kubeconfig", "ServiceAccount", "find_credentials"]

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Access(NamedTuple):
    """What one request needs besides its path."""

    address: str
    authorization: str | None
    tls: Callable[[], ssl.SSLContext]
    server_hostname: str | None = None
    proxy: str | None = None


class Credentials(Protocol):
    """Where a server is, and how to be let in."""

    address: str
    namespace: str | None

    def load(self, *, anew: bool) -> Access:
        """The current credentials; ``anew``: the last ones were refused. Blocks, and may raise anything."""


class ServiceAccount:
    """The pod's own; the kubelet renews its token file long before a token expires."""

    def __init__(self) -> None:
        self._folder = SERVICE_ACCOUNT
        if not (self._folder / "token").is_file():
            raise ConfigError(
                f"this pod has no service-account token at {self._folder}: set automountServiceAccountToken: true, "
                "or name a store with SINGLETON_JOBS_STORE"
            )
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT") or "443"
        self.address = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        namespace = self._folder / "namespace"
        self.namespace = namespace.read_text().strip() or None if namespace.is_file() else None

    def load(self, *, anew: bool) -> Access:
        """Read the token file."""
        authority = self._folder / "ca.crt"
        return Access(
            self.address,
            _header(f"Bearer {(self._folder / 'token').read_text()}"),
            tls=lambda: ssl.create_default_context(cafile=authority),
        )


class Kubeconfig:
    """One context of the kubeconfig, by default the current one."""

    def __init__(self, context: str | None) -> None:
        from kubernetes.config import ConfigException
        from yaml import YAMLError

        self._configuration: Any = None
        try:  # asks for no credentials yet: an exec plugin may take long
            self._path, self._context, chosen, cluster = _find_context(context)
            self.address = str(cluster["server"]).rstrip("/")
            self.namespace: str | None = chosen.safe_get("namespace")
        except (ConfigException, YAMLError, OSError) as error:
            raise ConfigError(f"store 'kubernetes:' needs a pod to run in, or a usable kubeconfig: {error}") from error

    def load(self, *, anew: bool) -> Access:
        """Let the official client read the kubeconfig, or refresh what it knows how to refresh."""
        from kubernetes.client import Configuration
        from kubernetes.config import load_kube_config

        if self._configuration is None or anew:
            configuration = Configuration()
            load_kube_config(self._path, self._context, configuration)
            self._configuration = configuration
        configuration = self._configuration
        keys = [key for key in ("BearerToken", "authorization") if key in configuration.api_key]  # it was renamed
        token = configuration.get_api_key_with_prefix(keys[0]) if keys else None
        return Access(
            configuration.host.rstrip("/"),
            _header(token) if token else None,
            tls=lambda: _tls(configuration),
            server_hostname=getattr(configuration, "tls_server_name", None),
            proxy=configuration.proxy,
        )


def find_credentials(context: str | None) -> ServiceAccount | Kubeconfig:
    """The pod's service account in a cluster, unless a context is named; else the kubeconfig."""
    if context is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return ServiceAccount()
    return Kubeconfig(context)


def _find_context(context: str | None) -> tuple[str, str, Any, Any]:
    """Path of the kubeconfig, and its context: name, contents and cluster."""
    from kubernetes.config import ConfigException
    from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigMerger

    path = os.environ.get("KUBECONFIG") or KUBE_CONFIG_DEFAULT_LOCATION
    merged = KubeConfigMerger(path).config
    if merged is None:
        raise ConfigException(f"there is no file at {path}")
    name = context or merged["current-context"]
    chosen = merged["contexts"].get_with_name(name)["context"]
    return path, name, chosen, merged["clusters"].get_with_name(chosen["cluster"])["cluster"]


def _header(value: str) -> str:
    """A token file may end in a newline, which no header may hold."""
    return " ".join(value.split())


def _tls(configuration: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(
        cafile=configuration.ssl_ca_cert, cadata=getattr(configuration, "ca_cert_data", None)
    )
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if getattr(configuration, "disable_strict_ssl_verification", False):
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
