"""A simulated API server: Leases under compare-and-swap, with the answers that a real one was seen to give."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]


class Server:
    """What is stored, and every version of it; each write of anything takes a revision."""

    def __init__(self, now: Callable[[], float], wrote: Callable[[str, Json], None]) -> None:
        self.up = True
        self._now = now
        self._wrote = wrote  # told of each accepted write, by its lease
        self._texts: dict[str, str] = {}
        self._before: dict[str, str] = {}  # the version before, for a lagging cache
        self._revision = 0
        self._objects = 0

    def read(self, name: str, *, lagging: bool = False) -> tuple[int, Json]:
        """A GET; ``lagging``: answered with the version before the last."""
        text = (self._before if lagging else self._texts).get(name) or self._texts.get(name)
        if text is None:
            return 404, _status(404, "not found", kind="leases")
        return 200, json.loads(text)

    def write(self, name: str, body: Json) -> tuple[int, Json]:
        """A PUT; creates what is not there if it names no version."""
        metadata = body["metadata"]
        version, uid = metadata.get("resourceVersion"), metadata.get("uid")
        text = self._texts.get(name)
        if text is None:
            if version or uid:
                return 409, _status(409, "the object is gone", kind="leases")
            return 201, self._store(name, body)
        found = json.loads(text)
        if version is None:
            return 422, _status(422, "must be specified for an update", field="metadata.resourceVersion")
        if version != found["metadata"]["resourceVersion"] or uid not in (None, found["metadata"]["uid"]):
            return 409, _status(409, "the object has been modified", kind="leases")
        if _content(found) == _content(body):
            return 200, found  # nothing changes, and nobody is told
        return 200, self._store(name, body, found)

    def edit(self, name: str, change: Callable[[Json], None]) -> None:
        """Somebody who is no candidate changes the lease."""
        if name in self._texts:
            lease = json.loads(self._texts[name])
            change(lease)
            self._store(name, lease, lease, tell=False)

    def delete(self, name: str) -> None:
        """Somebody deletes the lease."""
        self._texts.pop(name, None)
        self._before.pop(name, None)
        self._revision += 1

    def stored(self, name: str) -> Json | None:
        text = self._texts.get(name)
        return json.loads(text) if text else None

    def _store(self, name: str, body: Json, found: Json | None = None, *, tell: bool = True) -> Json:
        self._revision += 1
        if found is None:
            self._objects += 1
        uid = found["metadata"]["uid"] if found else f"uid-{self._objects}"
        metadata = {
            **body["metadata"],
            "uid": uid,
            "resourceVersion": str(self._revision),
            "managedFields": [{"manager": "candidate", "time": _second(self._now())}],
        }
        stored = {**body, "metadata": metadata}
        if name in self._texts:
            self._before[name] = self._texts[name]
        self._texts[name] = json.dumps(stored)
        if tell:
            self._wrote(name, stored)
        return json.loads(self._texts[name])


def _content(lease: Json) -> Json:
    ignored = ("resourceVersion", "managedFields", "uid")
    return {**lease, "metadata": {k: v for k, v in lease["metadata"].items() if k not in ignored}}


def _status(code: int, message: str, *, kind: str = "", field: str = "") -> Json:
    causes = [{"field": field}] if field else []
    return {"kind": "Status", "code": code, "message": message, "details": {"kind": kind, "causes": causes}}


def _second(time: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(int(time), UTC).isoformat().removesuffix("+00:00") + "Z"
