"""One lease per key: the text of a key, the name of its lease, and the label of all that share a base."""

from __future__ import annotations

import re
from hashlib import sha256

from .errors import ConfigError
from .names import MAX_LABEL, MAX_SUBDOMAIN, is_subdomain, shorten

__all__ = ["base_label", "key_text", "keyed_name"]

MAX_KEY = 1024  # characters
READABLE = 40  # characters of what a hash stands for

_HASHED = re.compile(r".*--[0-9a-f]{16}")
_HASH = 2 + 16  # characters
_MAX_BASE = MAX_SUBDOMAIN - len(".") - READABLE - _HASH


def key_text(base: str, key: object) -> str:
    """``key``, of a lease called ``base``, as text: a str as it is, an int in decimal, a UUID in hex with dashes.

    ConfigError for anything else, since its text may be another one in the next process, and for a text that is
    empty, has more than 1,024 characters, or any that cannot be printed.
    """
    if isinstance(key, int) and key.bit_length() > 4 * MAX_KEY:
        key = f"{key:#x}"  # too long as well, and Python writes no such number in decimal
    text = _text(key)
    if text is None:
        problem = "it must be a str, an int or a UUID, whose text is the same in every process"
    elif not 0 < len(text) <= MAX_KEY:
        problem = f"it must have 1 to {MAX_KEY:,} characters"
    elif not text.isprintable():
        problem = "it has characters that cannot be printed"
    else:
        return text
    raise ConfigError(f"lease {base!r} cannot be kept for the key {shorten(key)}: {problem}")


def keyed_name(base: str, text: str) -> str:
    """The name of the lease of ``base`` for one key: ``base.key`` where that is a name, else readable and hashed.

    No two keys share one. ConfigError if ``base`` leaves no room.
    """
    if len(base) > _MAX_BASE:
        raise ConfigError(f"lease name {shorten(base)} is too long for one with keys: at most {_MAX_BASE} characters")
    name = f"{base}.{text}"
    if is_subdomain(name) and not _HASHED.fullmatch(text):
        return name
    readable = re.sub("[^a-z0-9]+", "-", text[:READABLE].lower())[:READABLE].strip("-")
    return f"{base}.{_hashed(readable or 'key', text)}"


def base_label(base: str) -> str:
    """``base`` as the value of a label, of which no two share one either."""
    if len(base) <= MAX_LABEL and not _HASHED.fullmatch(base):
        return base
    return _hashed(base[:READABLE].rstrip("-."), base)


def _hashed(readable: str, text: str) -> str:
    return f"{readable}--{sha256(text.encode()).hexdigest()[:16]}"


def _text(key: object) -> str | None:
    if isinstance(key, str):
        return str.__str__(key)  # an enum's own would name its class
    if isinstance(key, int) and not isinstance(key, bool):
        return int.__repr__(key)
    from uuid import UUID

    return str(key) if isinstance(key, UUID) else None
