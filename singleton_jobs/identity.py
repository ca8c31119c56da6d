"""Who am I: the pod this process runs in, and an identity no other process ever has."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from .errors import ConfigError

if TYPE_CHECKING:
    from random import Random

__all__ = ["identity_and_source", "identity_prefix", "new_identity", "new_nonce", "readable", "secure_random"]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PRINTABLE = re.compile(r"[!-~]+")
MAX_PREFIX = 200
NONCE = 12  # letters


def identity_prefix(given: str | None = None) -> str:
    """The readable part: what was given, ``SINGLETON_JOBS_IDENTITY``, ``POD_NAME``, or else the host's name."""
    return identity_and_source(given)[0]


def identity_and_source(given: str | None = None) -> tuple[str, str]:
    """`identity_prefix`, and where it comes from. Raises ConfigError for what can be no identity."""
    for source, value in (
        ("identity", given),
        ("SINGLETON_JOBS_IDENTITY", os.environ.get("SINGLETON_JOBS_IDENTITY")),
        ("POD_NAME", os.environ.get("POD_NAME")),
    ):
        if value is None or (value == "" and source != "identity"):
            continue
        if not isinstance(value, str) or len(value) > MAX_PREFIX or not _PRINTABLE.fullmatch(value):
            raise ConfigError(
                f"{source} must be 1 to {MAX_PREFIX} printable ASCII characters without spaces: {value!r}"
            )
        return value, source
    import socket

    return readable(socket.gethostname()) or "unknown", "the host's name"


def readable(name: str) -> str:
    """``name``, of a task or a host, as a part of an identity."""
    return re.sub(r"[^!-~]", "-", name)[:MAX_PREFIX]


def secure_random() -> Random:
    """Chance that no fork and no seed repeats."""
    from random import SystemRandom

    return SystemRandom()


def new_nonce(rng: Random) -> str:
    """A word that no other process and no other claim has."""
    bits = rng.getrandbits(5 * NONCE)  # at once: a choice for each letter asks the system for each
    return "".join(_ALPHABET[bits >> 5 * place & 31] for place in range(NONCE))


def new_identity(prefix: str, rng: Random) -> str:
    """``<prefix>_<random>``: unique per process, so never shared with a restarted container or a forked child."""
    return f"{prefix}_{new_nonce(rng)}"
