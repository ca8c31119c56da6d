"""A simulated API server: Leases under compare-and-swap, with the answers that a real one was seen to give."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from singleton_jobs.locks.kubernetes.objects import MANAGED_BY

if TYPE_CHECKING:
    from simulation.streams import Stream

Json = dict[str, Any]


class Event(NamedTuple):
    """What a write of ``name`` came to."""

    revision: int
    kind: str
    name: str
    text: str

    @property
    def labelled(self) -> bool:
        return MANAGED_BY in (json.loads(self.text)["metadata"].get("labels") or {})


class Server:
    """What is stored, and every version of it; each write of anything takes a revision."""

    def __init__(self, now: Callable[[], float], wrote: Callable[[str, Json], None]) -> None:
        self.up = True
        self._now = now
        self._wrote = wrote  # told of each accepted write, by its lease
        self._texts: dict[str, str] = {}
        self._before: dict[str, str] = {}  # the version before, for a lagging cache
        self.revision = 0
        self.compacted = 0  # what happened before this revision is not known any more
        self.streams: dict[Stream, None] = {}  # in the order of their beginnings
        self._events: list[Event] = []
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
        text = self._texts.pop(name, None)
        self._before.pop(name, None)
        self.revision += 1
        if text:
            gone = json.loads(text)
            gone["metadata"]["resourceVersion"] = str(self.revision)
            self._tell(Event(self.revision, "DELETED", name, json.dumps(gone)))

    def list(self, name: str | None, *, lagging: bool = False) -> tuple[int, Json]:
        """All leases with our label, or that of this ``name``; ``lagging``: as they were before the last event."""
        events = self._events[:-1] if lagging else self._events
        revision = events[-1].revision if lagging and events else self.revision
        found: dict[str, Event] = {}
        for event in events:
            if event.kind == "DELETED":
                found.pop(event.name, None)
            else:
                found[event.name] = event
        items = [json.loads(e.text) for e in found.values() if e.name == name or (name is None and e.labelled)]
        return 200, {"metadata": {"resourceVersion": str(revision)}, "items": items}

    def since(self, revision: int) -> list[Event]:
        """What happened after that."""
        return [event for event in self._events if event.revision > revision]

    def compact(self) -> None:
        """Forget how it came to what is stored."""
        self.compacted = self.revision

    def restart(self) -> None:
        """Nobody answers, and whoever watched is cut off."""
        self.up = False
        for stream in tuple(self.streams):
            stream.cut()

    def stored(self, name: str) -> Json | None:
        text = self._texts.get(name)
        return json.loads(text) if text else None

    def _store(self, name: str, body: Json, found: Json | None = None, *, tell: bool = True) -> Json:
        self.revision += 1
        if found is None:
            self._objects += 1
        uid = found["metadata"]["uid"] if found else f"uid-{self._objects}"
        metadata = {
            **body["metadata"],
            "uid": uid,
            "resourceVersion": str(self.revision),
            "managedFields": [{"manager": "candidate", "time": _second(self._now())}],
        }
        stored = {**body, "metadata": metadata}
        if name in self._texts:
            self._before[name] = self._texts[name]
        self._texts[name] = json.dumps(stored)
        self._tell(Event(self.revision, "MODIFIED" if found else "ADDED", name, self._texts[name]))
        if tell:
            self._wrote(name, stored)
        return json.loads(self._texts[name])

    def _tell(self, event: Event) -> None:
        self._events.append(event)
        for stream in tuple(self.streams):
            stream.push(event)


def _content(lease: Json) -> Json:
    ignored = ("resourceVersion", "managedFields", "uid")
    return {**lease, "metadata": {k: v for k, v in lease["metadata"].items() if k not in ignored}}


def _status(code: int, message: str, *, kind: str = "", field: str = "") -> Json:
    causes = [{"field": field}] if field else []
    return {"kind": "Status", "code": code, "message": message, "details": {"kind": kind, "causes": causes}}


def _second(time: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(int(time), UTC).isoformat().removesuffix("+00:00") + "Z"
