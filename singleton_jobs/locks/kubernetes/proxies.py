"""Which proxy leads to a server, if any: decided as the official client decides it from 37 on, whatever its version."""

import os
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

from ...errors import ConfigError

__all__ = ["Proxy", "bypasses", "find_proxy"]

PORTS = {"http": 80, "https": 443}


class Proxy(NamedTuple):
    """One that is asked; its login is in ``headers``, apart from what people see. ``source``: who named it."""

    url: str
    headers: Mapping[str, str]
    source: str

    @classmethod
    def named(cls, url: str, source: str) -> "Proxy":
        """The proxy of that URL, ``http://`` if it names no scheme; ConfigError for one that cannot be used."""
        cure = "name one like http://HOST:PORT or https://HOST:PORT, or the server in NO_PROXY"
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
        except ValueError:  # whose words may hold the password
            raise ConfigError(f"the proxy from {source} cannot be used: {cure}") from None
        login, _, place = parts.netloc.rpartition("@")
        shown = f"{parts.scheme}://{place}"
        if "@" in f"{parts.path}{parts.query}{parts.fragment}":  # urlsplit takes a part of the password for the host
            raise ConfigError(
                f"the {parts.scheme} proxy from {source} cannot be used: percent-encode the /, ? and # in its login"
            )
        try:
            usable = parts.scheme in PORTS and parts.hostname and parts.port != 0 and parts.path in ("", "/")
        except ValueError:  # the port is no number, or too great a one
            usable = False
        if not usable:
            raise ConfigError(f"the proxy {shown}, from {source}, cannot be used: {cure}")
        basic = b64encode(unquote_to_bytes(login if ":" in login else f"{login}:")).decode()
        return cls(shown, {"Proxy-Authorization": f"Basic {basic}"} if login else {}, source)


def find_proxy(server: str, named: str | None) -> Proxy | None:
    """The one that a kubeconfig names, else the environment's for that scheme, or for all; None past NO_PROXY."""
    url = named or _variable(urlsplit(server).scheme) or _variable("all")
    if not url or bypasses(server, _variable("no") or ""):
        return None
    return Proxy.named(url, "the kubeconfig's proxy-url" if named else "the environment")


def _variable(name: str) -> str | None:
    """The lower case comes first, also if it is empty."""
    return os.environ.get(f"{name}_proxy", os.environ.get(f"{name}_proxy".upper()))


def bypasses(server: str, no_proxy: str) -> bool:
    """Whether ``no_proxy`` names the server: by host, domain, address or network, with or without a port, or by *."""
    parts = urlsplit(server)
    port = parts.port or PORTS.get(parts.scheme)
    return any(_names(entry.strip().lower(), parts.hostname or "", port) for entry in no_proxy.split(","))


def _names(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    with suppress(ValueError):  # a name is no address, nor a domain a network
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    name, colon, only = entry.rpartition(":")
    if colon:
        return only == str(port) and _names(name, host, port)
    domain = entry.removeprefix("*").lstrip(".")
    return bool(domain) and f".{host}".endswith(f".{domain}")
