"""Users of a kubeconfig whom an exec plugin or an auth provider lets in: the official client asks it.

Only what lets a user in is taken from the official client: each field of its Configuration is used for that, refused,
or of no matter.
"""

from typing import Any

from ...errors import ConfigError

__all__ = ["PluginUser"]

USED = {"api_key", "api_key_prefix", "cert_file", "key_file", "refresh_api_key_hook"}
REFUSED = {"access_token", "password", "username"}
OF_NO_MATTER = {
    # the way to the server: read by ourselves, for every user alike
    "assert_hostname",
    "ca_cert_data",
    "disable_strict_ssl_verification",
    "host",
    "no_proxy",
    "proxy",
    "proxy_headers",
    "proxy_ssl_context",
    "ssl_ca_cert",
    "tls_server_name",
    "verify_ssl",
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


class PluginUser:
    """The user of one context, asked for at once: a plugin may take long, and may raise anything."""

    def __init__(self, paths: str, context: str) -> None:
        from kubernetes.client import Configuration  # 23 MiB and 0.2 CPU seconds, for who needs it
        from kubernetes.config import load_kube_config

        self._configuration: Any = Configuration()
        load_kube_config(paths, context, self._configuration)
        given = sorted(name for name in REFUSED if getattr(self._configuration, name, None) not in (None, ""))
        if given:
            raise ConfigError(
                f"the kubeconfig, as the official client reads it, sets {', '.join(given)}: cannot be used here"
            )

    def authorization(self) -> str | None:
        """What the official client would send; it asks the plugin again once that has run out."""
        # The official client has renamed the key.
        keys = [key for key in ("BearerToken", "authorization") if key in self._configuration.api_key]
        return self._configuration.get_api_key_with_prefix(keys[0]) if keys else None

    def certificate(self) -> tuple[str, str] | None:
        """The paths of a client certificate and its key."""
        certificate, key = self._configuration.cert_file, self._configuration.key_file
        return (certificate, key or certificate) if certificate else None
