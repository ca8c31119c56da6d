"""Kubeconfig files, merged and looked through as kubectl does it: which cluster and which user a context stands for."""

import os.path
from base64 import b64decode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ...errors import ConfigError

__all__ = ["Chosen", "Section", "choose", "kubeconfig_paths"]


class Section(NamedTuple):
    """A cluster, context or user, as it stands in ``file``. What is wrong in it is a ConfigError without secrets."""

    file: str
    what: str
    fields: Mapping[str, Any]

    def wrong(self, key: str, why: str) -> ConfigError:
        """The error that names the file, the section and the field."""
        return ConfigError(f"{self.file}: {self.what}: {key} {why}")

    def text(self, key: str) -> str | None:
        """None if it is not set."""
        value = self.fields.get(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(key, f"must be text, and is {type(value).__name__}: put it in quotes")
        return value

    def texts(self, key: str) -> list[str]:
        """A list of them, empty if it is not set."""
        values = self.fields.get(key) or []
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self.wrong(key, "must be a list of texts, each in quotes")
        return values

    def flag(self, key: str) -> bool:
        """False if it is not set; text is refused, or "false" would be true."""
        value = self.fields.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, "must be true or false, without quotes")
        return bool(value)

    def section(self, key: str) -> "Section":
        """A mapping in it, empty if it is not set."""
        fields = self.fields.get(key) or {}
        if not isinstance(fields, dict) or not all(isinstance(name, str) for name in fields):
            raise self.wrong(key, "must be a mapping of names")
        return Section(self.file, f"{self.what}: {key}", fields)

    def path(self, key: str) -> str | None:
        """The file that it names, which must be there; seen from the folder of the file that this stands in."""
        name = self.text(key)
        if not name:
            return None
        path = str(Path(self.file).parent / name)
        if not os.path.isfile(path):  # noqa: PTH113 (Path's raises for some)
            raise self.wrong(key, f"names {path}, where no file is")
        return path

    def pem(self, key: str) -> str | bytes | None:
        """What ``key``-data holds, else the path of the file that ``key`` names."""
        data = "".join((self.text(f"{key}-data") or "").split())
        if not data:
            return self.path(key)
        try:
            return b64decode(data, validate=True)
        except ValueError as error:
            raise self.wrong(f"{key}-data", f"is not in base64: {error}") from error


class Chosen(NamedTuple):
    """A context of the files in ``paths``; ``user`` is empty if it names none."""

    paths: str
    name: str
    namespace: str | None
    address: str
    cluster: Section
    user: Section


def kubeconfig_paths() -> str:
    """Where kubeconfigs are, in the form of ``KUBECONFIG``, also once the process has gone to another folder."""
    paths = (os.environ.get("KUBECONFIG") or "~/.kube/config").split(os.pathsep)
    return os.pathsep.join(os.path.abspath(os.path.expanduser(path)) for path in paths if path)  # noqa: PTH100, PTH111


def choose(paths: str, context: str | None) -> Chosen:
    """The context of that name, else the current one, of the files in ``paths`` that are there.

    Raises ConfigError for a file that cannot be used, or what is in none of them.
    """
    files = [_read(path) for path in paths.split(os.pathsep) if os.path.exists(path)]  # noqa: PTH110 (Path's raises for some)
    if not files:
        raise ConfigError(f"there is no file at {paths}: set KUBECONFIG to the path of one")
    contexts, clusters, users = (_named(files, kind) for kind in ("context", "cluster", "user"))
    # The first file that names one decides, as for kubectl; the official client has the last one do it.
    name = context or next(filter(None, (file.text("current-context") for file in files)), None)
    if not name:
        raise ConfigError(
            f"{paths} has no current-context: name one with kubernetes:?context=NAME, of {_listed(contexts)}"
        )
    if name not in contexts:
        raise ConfigError(f"{paths} has no context {name!r}: name one of {_listed(contexts)}")
    chosen = contexts[name]
    cluster = _referred(chosen, "cluster", clusters)
    if cluster is None:
        raise chosen.wrong("cluster", f"is not set: name one of {_listed(clusters)}")
    user = _referred(chosen, "user", users) or Section(chosen.file, f"{chosen.what} without a user", {})
    return Chosen(paths, name, chosen.text("namespace"), _address(cluster), cluster, user)


def _read(path: str) -> Section:
    """A whole file."""
    import yaml

    try:
        with Path(path).open("rb") as file:
            # CSafeLoader is ten times as fast, and is there unless PyYAML was built without libyaml.
            whole = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (both are safe)
    # The last four are what PyYAML lets out for scalars and depths that it cannot take.
    except (OSError, yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {error}") from error
    if whole is None:  # an empty file, which may stand in for a missing one
        whole = {}
    if not isinstance(whole, dict):
        raise ConfigError(f"{path} is no kubeconfig: it must be a mapping with clusters, contexts and users")
    return Section(path, "kubeconfig", whole)


def _named(files: Iterable[Section], kind: str) -> dict[str, Section]:
    """All of one kind; of the same name in several files the first counts."""
    found: dict[str, Section] = {}
    for file in files:
        entries = file.fields.get(f"{kind}s") or []
        if not isinstance(entries, list):
            raise file.wrong(f"{kind}s", "must be a list")
        here: dict[str, Section] = {}
        for entry in entries:
            if not isinstance(entry, dict):
                raise file.wrong(f"{kind}s", "must be mappings, each with a name")
            named = Section(file.file, f"an entry of {kind}s", entry)
            name = named.text("name")
            if not name:
                raise named.wrong("name", "is not set")
            if name in here:
                raise file.wrong(f"{kind}s", f"has {name!r} twice: rename or delete one")
            here[name] = named.section(kind)._replace(what=f"{kind} {name!r}")
        found |= {name: here[name] for name in here if name not in found}
    return found


def _referred(context: Section, kind: str, known: Mapping[str, Section]) -> Section | None:
    """What the context names, if it does."""
    name = context.text(kind)
    if name and name not in known:
        raise context.wrong(kind, f"is {name!r}, which is in none of the files: name one of {_listed(known)}")
    return known[name] if name else None


def _address(cluster: Section) -> str:
    server = cluster.text("server") or ""
    try:
        parts = urlsplit(server)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # the port is no number, or too great a one
        usable = False
    if not usable:
        raise cluster.wrong("server", "must be like https://HOST:PORT")
    return parts.geturl().rstrip("/")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
