"""How the API server's certificate is checked, and what to do where only Python's strict verification refuses it."""

import os
import ssl

from ...errors import ConfigError

__all__ = ["client_context", "cure", "strictness"]

VARIABLE = "SINGLETON_JOBS_STRICT_TLS"
STRICT_ONLY = range(80, 94)  # OpenSSL's X509_V_ERR_*: what it minds under VERIFY_X509_STRICT alone


def strictness(given: bool | None) -> bool | None:
    """What was given, else ``SINGLETON_JOBS_STRICT_TLS``; None: as Python itself does, from 3.13 on strictly."""
    if given is not None and not isinstance(given, bool):
        raise ConfigError(f"strict_tls must be True, False or None, not {given!r}")
    word = os.environ.get(VARIABLE) or None
    if given is not None or word is None:
        return given
    if word not in ("true", "false"):
        raise ConfigError(f"{VARIABLE} must be true or false, not {word!r}")
    return word == "true"


def client_context(
    strict: bool | None, *, cafile: str | os.PathLike[str] | None, cadata: str | bytes | None = None
) -> ssl.SSLContext:
    """Trusts the authority given, else the system's. Signatures, names and dates count, strict or not."""
    if cafile:
        os.stat(cafile)  # noqa: PTH116 (ssl's own error names no file)
    context = ssl.create_default_context(cafile=cafile, cadata=cadata)
    if strict:
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    elif strict is not None:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def cure(error: BaseException) -> str | None:
    """What helps against ``error``, if strictness is its reason."""
    if getattr(error, "verify_code", None) not in STRICT_ONLY:
        return None
    return (
        "Python verifies certificates strictly (from 3.13 on by default), and the cluster's were not made for that: "
        f"set {VARIABLE}=false, which still checks their signatures, names and dates, or renew the cluster's authority"
    )
