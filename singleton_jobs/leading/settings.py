"""What a replica was told, and what follows from it: store, namespace, mode, timing; read at first use."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from ..config import Config
from ..errors import ConfigError
from ..identity import identity_prefix
from ..names import lease_name, namespace_name, store_url

if TYPE_CHECKING:
    from pathlib import Path

    from ..events import Hook
    from ..locks import Store

__all__ = ["Mode", "Settings"]

Mode = Literal["auto", "always", "never"]

DEFAULT = Config()
CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")


class _Given(NamedTuple):
    store: str | Any | None
    namespace: str | None
    identity: str | None
    prefix: str
    config: Config | None
    hooks: tuple[Hook, ...]
    mode: Mode


class Settings(_Given):
    """Arguments of `configure` and `Replica`, checked as far as that needs neither files nor requests.

    Immutable: ``_replace`` makes a changed copy, which is checked as well. (A dataclass would be slow to import.)
    """

    __slots__ = ()

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Settings:  # type: ignore[override]
        """``_replace`` makes its copies here: they are checked like any other."""
        return cls(*iterable)

    def __new__(
        cls,
        store: str | Any | None = None,
        namespace: str | None = None,
        identity: str | None = None,
        prefix: str = "",
        config: Config | None = None,
        hooks: Sequence[Hook] = (),
        mode: Mode = "auto",
    ) -> Settings:
        """Check; ConfigError for what cannot work."""
        if namespace is not None:
            namespace_name(namespace)
        if prefix:
            lease_name("x", prefix)
        if mode not in get_args(Mode):
            raise ConfigError(f"mode must be one of {', '.join(get_args(Mode))}, not {mode!r}")
        if config is not None and not isinstance(config, Config):
            raise ConfigError(f"config must be a Config, not {config!r}")
        if isinstance(store, str):
            store_url(store)
        elif store is not None and not callable(getattr(store, "lock", None)):
            raise ConfigError(f"store must be a URL or have a method lock(lease, identity), not {store!r}")
        if callable(hooks) or not isinstance(hooks, Iterable):
            raise ConfigError(f"hooks must be a list, as in hooks=[hook], not {hooks!r}")
        told = tuple(hooks)
        if any(not callable(hook) for hook in told):
            raise ConfigError("every hook must be callable with an event")
        readable = None if identity is None else identity_prefix(identity)
        return super().__new__(cls, store, namespace, readable, prefix, config, told, mode)

    def resolve_mode(self) -> Mode:
        """The mode given, else ``SINGLETON_JOBS_MODE``, else auto."""
        if self.mode != "auto":
            return self.mode
        mode = os.environ.get("SINGLETON_JOBS_MODE") or "auto"
        for known in ("auto", "always", "never"):
            if mode == known:
                return known
        raise ConfigError(f"SINGLETON_JOBS_MODE must be auto, always or never, not {mode!r}")

    def resolve_prefix(self) -> str:
        """The prefix given, else ``SINGLETON_JOBS_PREFIX``."""
        return self.prefix or os.environ.get("SINGLETON_JOBS_PREFIX", "")

    def resolve_config(self) -> Config:
        """The default timing: what was given, else ``SINGLETON_JOBS_LEASE_DURATION`` in seconds."""
        duration = os.environ.get("SINGLETON_JOBS_LEASE_DURATION")
        if self.config is not None or not duration:
            return self.config or DEFAULT
        try:
            return Config(lease_duration=float(duration))
        except ValueError as error:
            raise ConfigError(f"SINGLETON_JOBS_LEASE_DURATION={duration!r}: {error}") from None

    def resolve_store(self) -> tuple[Store, str | None]:
        """The store, and a sentence for the log if it was chosen without being asked for."""
        from ..locks import open_store

        store = self.store or os.environ.get("SINGLETON_JOBS_STORE") or None
        if isinstance(store, str):
            return open_store(store, self.namespace), None
        if store is not None:
            return store, None
        if os.environ.get("KUBERNETES_SERVICE_HOST"):
            return open_store("kubernetes:", self.namespace), None
        if any(os.path.exists(mark) for mark in CONTAINER_MARKS):  # noqa: PTH110 (pathlib is slow to import)
            raise ConfigError(
                "no store is configured, and a file in this container would be shared with nobody: set "
                "SINGLETON_JOBS_STORE, or configure(store=...), to 'kubernetes:', or to 'sqlite:///path' on a disk "
                "that the replicas share"
            )
        path = _developers_file()
        return open_store(f"sqlite://{path.as_posix()}"), f"no store configured: leases are kept in {path}"


def _developers_file() -> Path:
    """One file per project, so that two projects of one developer do not compete."""
    from hashlib import sha256
    from pathlib import Path

    from platformdirs import user_state_path

    project = Path.cwd()
    for folder in (project, *project.parents):
        if (folder / "pyproject.toml").exists() or (folder / ".git").exists():
            project = folder
            break
    key = sha256(str(project).encode()).hexdigest()[:12]
    return user_state_path("singleton-jobs") / f"{project.name or 'root'}-{key}.sqlite3"
