"""What every command is told alike: which store, which namespace, and whether to print JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import click

from ..errors import ConfigError, StoreError
from ..leading.settings import Settings

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from ..locks import ResourceLock, Stored
    from ..locks.kubernetes.proxies import Proxy

__all__ = [
    "ApiStore",
    "Inspectable",
    "asked_store",
    "closing",
    "common",
    "exits",
    "open_store",
    "print_json",
    "settings",
]

F = TypeVar("F", bound=Callable[..., Any])

KUBERNETES = "kubernetes:"


@runtime_checkable
class Inspectable(Protocol):
    """A store that other processes' leases can be looked at in: Kubernetes or a SQLite file."""

    def lock(self, lease: str, identity: str) -> ResourceLock:
        """The resource lock of one lease."""

    def describe(self) -> str:
        """The store's name, for people."""

    async def list_leases(self) -> Mapping[str, Stored | StoreError]:
        """Every lease by name."""

    def list_keyed(self, base: str) -> AsyncIterator[Mapping[str, Stored | StoreError]]:
        """Those of keys of ``base`` by name, in pages."""


@runtime_checkable
class ApiStore(Inspectable, Protocol):
    """A store that is a namespace of an API server, which has accounts and a clock."""

    namespace: str
    proxy: Proxy | None

    async def ping(self) -> datetime | None:
        """The server's own time of its answer."""

    async def rights(self, verb: str, lease: str) -> bool:
        """Whether this account may do that to the Lease; the empty name: to all of the namespace."""


@asynccontextmanager
async def closing(store: object) -> AsyncIterator[None]:
    """Inside, the running event loop may ask ``store``; its connections, if it has any, are closed at the end."""
    try:
        yield
    finally:
        if isinstance(store, _Connected):
            await store.aclose()


@runtime_checkable
class _Connected(Protocol):
    async def aclose(self) -> None: ...


def common(command: F) -> F:
    """The options ``--namespace``, ``--store`` and ``--json``."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option(
            "--store",
            metavar="URL",
            help="Where the leases are: kubernetes:, kubernetes:?context=NAME or sqlite:///path. By default as the "
            "library finds it: SINGLETON_JOBS_STORE, the pod's cluster, a developer's SQLite file.",
        ),
        click.option("-n", "--namespace", help="Of the Leases; without --store, it means Kubernetes."),
    ):
        command = option(command)
    return command


def asked_store(store: str | None, namespace: str | None) -> str | None:
    """The store that the options name; a kubeconfig is used only where Kubernetes is asked for."""
    asked = namespace is not None or click.get_current_context().obj == KUBERNETES
    if store is None and asked and not os.environ.get("SINGLETON_JOBS_STORE"):
        return KUBERNETES
    return store


def settings(store: str | None, namespace: str | None) -> Settings:
    """What the options say. Raises ConfigError for what cannot work."""
    return Settings(asked_store(store, namespace), namespace)


def open_store(store: str | None, namespace: str | None) -> Inspectable:
    """The store to look into; ConfigError if there is none that other processes share, StoreError if nobody uses it."""
    opened: Any = settings(store, namespace).resolve_store()[0]
    path: Path | None = getattr(opened, "path", None)
    if path and not path.exists():  # a store makes its file at first use, and who only looks must not
        raise StoreError(f"{opened.describe()}: there is no such file yet, as no replica has kept a lease in it")
    if not isinstance(opened, Inspectable):
        raise ConfigError("'memory:' is one space per process, so there is nothing to see from another one")
    return opened


def print_json(value: object) -> None:
    """One document on one line, in ASCII: no text of anybody's can do anything to a terminal."""
    click.echo(json.dumps(value, default=str))


class exits:  # noqa: N801 (read as: with exits():)
    """Turns errors into a message on standard error and an exit status: 2, a bad request; 1, a store's fault."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (ConfigError, StoreError)):
            click.echo(f"Error: {error}", err=True)
            sys.exit(2 if isinstance(error, ConfigError) else 1)
