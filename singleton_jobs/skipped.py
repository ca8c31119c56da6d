"""Skipped: what a guarded call returns when it did not run here."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["OnBusy", "Reason", "Skipped"]

Reason = Literal[
    "not-leader", "not-ready", "store-unreachable", "access-denied", "draining", "too-soon", "busy", "mode"
]

OnBusy = Literal["skip", "raise", "retry"]  # what a call does that is not to wait any longer


class Skipped(NamedTuple):
    """A call that did not run here; falsy. ``holder`` is who was last seen to hold the lease, if anybody."""

    lease: str
    reason: Reason
    holder: str | None = None

    def __bool__(self) -> Literal[False]:
        return False
