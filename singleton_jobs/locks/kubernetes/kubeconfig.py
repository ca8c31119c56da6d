"""A kubeconfig: how to reach its cluster, and how its user is let in.

The official client would import every model of the API first, so it is asked only where a plugin is.
"""

import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

from ...errors import ConfigError
from .credentials import Access, header
from .kubeconfig_files import Chosen, Section, choose, kubeconfig_paths
from .kubeconfig_plugins import PluginUser
from .proxies import find_proxy
from .tls import client_context

__all__ = ["Kubeconfig"]

PLUGINS = ("exec", "auth-provider")
IN_HEADER_NAMES = "!#$&'*+-.^_`|~"  # what a header's name may have besides letters and digits


class Kubeconfig:
    """One context of the kubeconfig, by default the current one."""

    def __init__(self, context: str | None, strict_tls: bool | None = None) -> None:
        self._strict_tls = strict_tls
        self._user: PlainUser | PluginUser | None = None
        try:  # asks for no credentials yet: an exec plugin may take long
            chosen = choose(kubeconfig_paths(), context)
        except ConfigError as error:
            raise ConfigError(f"store 'kubernetes:' needs a pod to run in, or a usable kubeconfig: {error}") from error
        self._use(chosen)

    def load(self, *, anew: bool) -> Access:
        """The user's token, read again each time; ``anew``: the kubeconfig is, too, and a plugin is asked again."""
        if anew:
            self._use(choose(self._chosen.paths, self._chosen.name))
        if anew or self._user is None:
            plugin = any(self._chosen.user.section(kind).fields for kind in PLUGINS)
            self._user = PluginUser(self._chosen.paths, self._chosen.name) if plugin else PlainUser(self._chosen.user)
            self._tls = partial(_tls, self._chosen.cluster, self._chosen.user, self._user, self._strict_tls)
        authorization = self._user.authorization()
        tunnelled = self.address.startswith("https:")
        if tunnelled and not authorization and not self._user.certificate():
            _refuse_nobody(self._chosen.user)
        for_proxy = self.proxy.headers if self.proxy else {}
        headers = _impersonation(self._chosen.user)
        return Access(
            self.address,
            header(authorization) if authorization else None,
            tls=self._tls,
            server_hostname=self._chosen.cluster.text("tls-server-name"),
            proxy=self.proxy,
            proxy_headers=for_proxy,
            headers=headers if tunnelled else [*headers, *for_proxy.items()],
        )

    def _use(self, chosen: Chosen) -> None:
        self.proxy = find_proxy(chosen.address, chosen.cluster.text("proxy-url"))
        self._chosen, self.address, self.namespace = chosen, chosen.address, chosen.namespace


class PlainUser:
    """A user whose credentials stand in the kubeconfig, or in files that it names."""

    def __init__(self, user: Section) -> None:
        self._user = user

    def authorization(self) -> str | None:
        """The token, else the one in the token file, else name and password."""
        token = self._user.text("token") or self._token_in_file()
        if token:
            return f"Bearer {token}"
        name, password = self._user.text("username"), self._user.text("password")
        if name is None or password is None:
            return None
        return f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"

    def certificate(self) -> tuple[str | bytes, str | bytes] | None:
        """A client certificate and its key, each as a path or as what would be in the file; both may be in one."""
        certificate = self._user.pem("client-certificate")
        return (certificate, self._user.pem("client-key") or certificate) if certificate else None

    def _token_in_file(self) -> str | None:
        path = self._user.path("tokenFile")
        try:
            return Path(path).read_text().strip() if path else None
        except (OSError, ValueError) as error:
            raise self._user.wrong("tokenFile", f"cannot be read: {error}") from error


def _refuse_nobody(user: Section) -> None:
    """ConfigError if there is a user: going on without credentials helps nobody."""
    if not any(user.fields.values()):
        return
    plugin, provider = (user.section(kind).fields for kind in PLUGINS)
    what, cure = ", ".join(sorted(user.fields)), "give it a token, a tokenFile or a client-certificate"
    if plugin or provider:
        what = f"exec plugin {plugin.get('command')}" if plugin else f"auth-provider {provider.get('name')}"
        cure = "what the official client found wrong, if it did, is in the log"
    raise ConfigError(f"{user.file}: {user.what} gives no credentials ({what}): {cure}")


def _impersonation(user: Section) -> list[tuple[str, str]]:
    """The headers by which one user acts as another, as kubectl sends them."""
    pairs = [("Impersonate-User", user.text("as")), ("Impersonate-Uid", user.text("as-uid"))]
    pairs += [("Impersonate-Group", group) for group in user.texts("as-groups")]
    extra = user.section("as-user-extra")
    for name in extra.fields:
        pairs += [(f"Impersonate-Extra-{quote(name, safe=IN_HEADER_NAMES)}", value) for value in extra.texts(name)]
    return [(name, value) for name, value in pairs if value]


def _tls(cluster: Section, user: Section, let_in: PlainUser | PluginUser, strict: bool | None) -> ssl.SSLContext:
    authority, certificate = cluster.pem("certificate-authority"), let_in.certificate()
    try:
        if isinstance(authority, bytes):
            context = client_context(strict, cafile=None, cadata=authority.decode("ascii", "backslashreplace"))
        else:
            context = client_context(strict, cafile=authority)
    except OSError as error:
        raise cluster.wrong("certificate-authority", f"cannot be used: {error}") from error
    if certificate:
        try:
            with _file(certificate[0]) as chain, _file(certificate[1]) as key:
                context.load_cert_chain(chain, key, password="")  # or OpenSSL would ask for one at the terminal
        except OSError as error:
            raise user.wrong("client-certificate or client-key", f"cannot be used: {error}") from error
    if cluster.flag("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@contextmanager
def _file(pem: str | bytes) -> Iterator[str]:
    """Its path: what OpenSSL reads a key from. One that is made here is its owner's alone, and gone afterwards."""
    if isinstance(pem, str):
        yield pem
        return
    from tempfile import NamedTemporaryFile

    with NamedTemporaryFile() as file:
        file.write(pem)
        file.flush()
        yield file.name
