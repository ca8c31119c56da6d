"""A kubeconfig, read by the official client: merged files, inline certificates, exec plugins and all.

Each field of its Configuration is used here, refused, or of no matter to requests of our own making.
"""

import os
import ssl
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote

from ...errors import ConfigError
from .credentials import Access, header
from .proxies import Proxy, bypasses
from .tls import client_context

__all__ = ["Kubeconfig"]

USED = {
    "api_key",
    "api_key_prefix",
    "ca_cert_data",
    "cert_file",
    "disable_strict_ssl_verification",
    "host",
    "key_file",
    "no_proxy",
    "proxy",
    "proxy_headers",
    "refresh_api_key_hook",
    "ssl_ca_cert",
    "tls_server_name",
    "verify_ssl",
}
REFUSED = {"access_token", "assert_hostname", "password", "proxy_ssl_context", "username"}
OF_NO_MATTER = {
    # the official client's connections, and its resending: our requests are sent once
    "client_go_retries",
    "client_go_retry_backoff",
    "connection_pool_maxsize",
    "keep_alive",
    "retries",
    "socket_options",
    # its generated models: ours is plain JSON
    "client_side_validation",
    "date_format",
    "datetime_format",
    "disabled_client_side_validations",
    "discard_unknown_keys",
    "ignore_operation_servers",
    "safe_chars_for_path_param",
    "server_index",
    "server_operation_index",
    "server_operation_variables",
    "server_variables",
    "temp_folder_path",
    # its log: what we say goes through ours
    "debug",
    "logger",
    "logger_file",
    "logger_file_handler",
    "logger_format",
    "logger_formatter",
    "logger_stream_handler",
}

IN_HEADER_NAMES = "!#$&'*+-.^_`|~"  # what a header's name may have besides letters and digits


class Kubeconfig:
    """One context of the kubeconfig, by default the current one."""

    def __init__(self, context: str | None, strict_tls: bool | None = None) -> None:
        from kubernetes.config import ConfigException
        from yaml import YAMLError

        self._strict_tls = strict_tls
        self._configuration: Any = None
        try:  # asks for no credentials yet: an exec plugin may take long
            self._chosen = chosen = _choose(context)
            self.address = str(chosen.cluster["server"]).rstrip("/")
        except (ConfigException, YAMLError, OSError) as error:
            raise ConfigError(f"store 'kubernetes:' needs a pod to run in, or a usable kubeconfig: {error}") from error
        self.namespace = chosen.namespace
        self.proxy = _find_proxy(self.address, chosen.cluster.safe_get("proxy-url"))

    def load(self, *, anew: bool) -> Access:
        """Let the official client read the kubeconfig, or refresh what it knows how to refresh."""
        from kubernetes.client import Configuration
        from kubernetes.config import load_kube_config

        if self._configuration is None or anew:
            configuration = Configuration()
            load_kube_config(self._chosen.path, self._chosen.name, configuration)
            _refuse(configuration)
            self._configuration, self._tls = configuration, partial(_tls, configuration, self._strict_tls)
        configuration = self._configuration
        # The official client has renamed the key.
        keys = [key for key in ("BearerToken", "authorization") if key in configuration.api_key]
        token = configuration.get_api_key_with_prefix(keys[0]) if keys else None
        host = configuration.host.rstrip("/")
        tunnelled = host.startswith("https:")
        if tunnelled and not token and not configuration.cert_file:
            self._chosen.refuse_nobody()
        for_proxy = {**self.proxy.headers, **(configuration.proxy_headers or {})} if self.proxy else {}
        headers = _impersonation(self._chosen.user)
        return Access(
            host,
            header(token) if token else None,
            tls=self._tls,
            server_hostname=configuration.tls_server_name,
            proxy=self.proxy,
            proxy_headers=for_proxy,
            headers=headers if tunnelled else [*headers, *for_proxy.items()],
        )


class _Chosen(NamedTuple):
    """The context that is used: its cluster (a node of the official client's), and its user, empty if it has none."""

    path: str
    name: str
    namespace: str | None
    cluster: Any
    user_name: str | None
    user: Mapping[str, Any]

    def refuse_nobody(self) -> None:
        """ConfigError if there is a user: the official client goes on without credentials, which helps nobody."""
        if any(self.user.values()):
            plugin, provider = self.user.get("exec") or {}, self.user.get("auth-provider") or {}
            what = ", ".join(sorted(self.user))
            if plugin:
                what = f"exec plugin {plugin.get('command')}"
            elif provider:
                what = f"auth-provider {provider.get('name')}"
            raise ConfigError(
                f"user {self.user_name!r} of the kubeconfig gives none ({what}): what the official client found wrong, "
                "if it did, is in the log"
            )


def _choose(context: str | None) -> _Chosen:
    from kubernetes.config import ConfigException
    from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigMerger

    path = os.environ.get("KUBECONFIG") or KUBE_CONFIG_DEFAULT_LOCATION
    merger = KubeConfigMerger(path)
    merged = merger.config
    if merged is None:
        raise ConfigException(f"there is no file at {path}")
    # The first current-context that a file has counts, as for kubectl; the official client takes the last, perhaps of
    # another cluster.
    currents = (config.get("current-context") for config in merger.config_files.values())
    name = context or next(filter(None, currents), None)
    if not name:
        known = ", ".join(str(node.value["name"]) for node in merged.value["contexts"]) or "none"
        raise ConfigException(f"{path} has no current-context: name one with kubernetes:?context=NAME, of {known}")
    chosen = merged["contexts"].get_with_name(name)["context"]
    cluster = merged["clusters"].get_with_name(chosen["cluster"])["cluster"]
    user_name = chosen.safe_get("user")
    found = merged["users"].get_with_name(user_name, safe=True) if user_name else None
    return _Chosen(
        path, name, chosen.safe_get("namespace"), cluster, user_name, (found and found.value.get("user")) or {}
    )


def _find_proxy(server: str, named: str | None) -> Proxy | None:
    """The kubeconfig's own (which the official client heeds from 37 on), else the environment's; None past NO_PROXY."""
    from kubernetes.client import Configuration

    configuration = Configuration()
    configuration.host = server  # its scheme decides which of the environment's proxies is meant
    url = named or configuration.proxy
    if not url or bypasses(server, configuration.no_proxy or ""):
        return None
    return Proxy.named(url, "the kubeconfig's proxy-url" if named else "the environment")


def _refuse(configuration: Any) -> None:
    given = sorted(name for name in REFUSED if getattr(configuration, name, None) not in (None, ""))
    if given:
        raise ConfigError(
            f"the kubeconfig, as the official client reads it, sets {', '.join(given)}: cannot be used here"
        )


def _impersonation(user: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The headers by which one user acts as another, as kubectl sends them."""
    pairs = [("Impersonate-User", user.get("as")), ("Impersonate-Uid", user.get("as-uid"))]
    pairs += [("Impersonate-Group", group) for group in user.get("as-groups") or ()]
    for name, values in (user.get("as-user-extra") or {}).items():
        pairs += [(f"Impersonate-Extra-{quote(name, safe=IN_HEADER_NAMES)}", value) for value in values]
    return [(name, value) for name, value in pairs if value]


def _tls(configuration: Any, strict: bool | None) -> ssl.SSLContext:
    if strict is None and getattr(configuration, "disable_strict_ssl_verification", False):
        strict = False
    context = client_context(
        strict, cafile=configuration.ssl_ca_cert, cadata=getattr(configuration, "ca_cert_data", None)
    )
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
