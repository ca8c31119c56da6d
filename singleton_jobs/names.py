"""Names and URLs that can work, checked before any request: a bad lease name could address another URL."""

from __future__ import annotations

import re

from .errors import ConfigError

__all__ = ["MAX_LABEL", "MAX_SUBDOMAIN", "is_subdomain", "lease_name", "namespace_name", "shorten", "store_url"]

MAX_SUBDOMAIN, MAX_LABEL, MAX_SHOWN = 253, 63, 80

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def lease_name(name: str, prefix: str = "") -> str:
    """``prefix + name`` in lower case; ConfigError unless that is a DNS-1123 subdomain of at most 253 characters."""
    if not isinstance(name, str) or not isinstance(prefix, str):
        raise ConfigError(f"a lease name must be a string, not {name if isinstance(prefix, str) else prefix!r}")
    full = (prefix + name).lower()
    if not name or not is_subdomain(full):
        raise ConfigError(
            f"lease name {shorten(prefix + name)} cannot be used: after lower-casing it must be a DNS-1123 subdomain, "
            "that is 1 to 253 characters of a-z, 0-9, '-' and '.', each part starting and ending with a letter or digit"
        )
    return full


def is_subdomain(name: str) -> bool:
    """Whether it is a DNS-1123 subdomain as it stands."""
    return len(name) <= MAX_SUBDOMAIN and _SUBDOMAIN.fullmatch(name) is not None


def namespace_name(name: str) -> str:
    """``name``; ConfigError unless it is a DNS-1123 label of at most 63 characters."""
    if not isinstance(name, str) or len(name) > MAX_LABEL or not re.fullmatch(_LABEL, name):
        raise ConfigError(
            f"namespace {shorten(name)} cannot be used: it must be 1 to 63 characters of a-z, 0-9 and '-', "
            "starting and ending with a letter or digit"
        )
    return name


def store_url(url: str) -> tuple[str, str | None]:
    """Kind of the store, and its path (sqlite) or context (kubernetes, None: the usual one); ConfigError if neither."""
    from urllib.parse import parse_qs, unquote, urlsplit

    parts = urlsplit(url)
    match parts.scheme:
        case "memory" if url == "memory:":
            return "memory", None
        case "sqlite" if not parts.netloc and parts.path.strip("/") and not parts.query:
            return "sqlite", unquote(parts.path)
        case "kubernetes" if not parts.netloc and not parts.path:
            query = parse_qs(parts.query, keep_blank_values=True)
            contexts = query.pop("context", [])
            if not query and len(contexts) <= 1 and "" not in contexts:
                return "kubernetes", contexts[0] if contexts else None
    raise ConfigError(
        f"store {url!r} is not one of 'kubernetes:', 'kubernetes:?context=NAME', 'sqlite:///path/to/file', 'memory:'"
    )


def shorten(name: object) -> str:
    """``name`` for an error's message."""
    text = repr(name)
    return text if len(text) <= MAX_SHOWN else f"{text[:60]}... ({len(str(name))} characters)"
