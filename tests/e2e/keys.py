"""What processes that lock by key have done: read from their journal, and from what they have left."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

from controlplane.admin import Admin

from .journal import Entry, Journal


def leases(admin: Admin, namespace: str) -> list[str]:
    """The names of all Leases there."""
    _, listed = admin.request("GET", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")
    return sorted(lease["metadata"]["name"] for lease in listed["items"])


def overlaps(journal: Journal, deaths: Mapping[int, float]) -> list[tuple[Entry, Entry]]:
    """Runs for one key that began before the one before had ended, or its process was dead; or with an older token.

    ``deaths``: when each process that was killed was dead at the latest. A run that has lost its lease, and says so,
    may go on beside the next.
    """
    ends = {(entry.key, entry.token): entry.at for entry in journal.entries("ended")}
    ends |= {(entry.key, entry.token): -math.inf for entry in journal.entries("lost")}
    begun: dict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(journal.entries("began"), key=lambda entry: entry.at):
        begun[entry.key].append(entry)
    return [
        (before, after)
        for runs in begun.values()
        for before, after in zip(runs, runs[1:], strict=False)
        if after.token <= before.token
        or after.at < ends.get((before.key, before.token), deaths.get(before.pid, math.inf))
    ]
