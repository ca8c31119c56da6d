"""Skipped: what a guarded call returns when it did not run here."""

from __future__ import annotations

from typing import Literal, NamedTuple

from .errors import AccessDenied, StoreError

__all__ = ["OnBusy", "Reason", "Skipped", "reason_of"]

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


def reason_of(error: StoreError) -> Literal["access-denied", "store-unreachable"]:
    """What kept the store from answering, in a word."""
    return "access-denied" if isinstance(error, AccessDenied) else "store-unreachable"
