"""`singleton-jobs step-down`: ask the holder to let another lead, and wait until one does."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from ..errors import Conflict, SingletonJobsError
from ..locks import ResourceLock, Stored
from .status import lease_status
from .target import Inspectable, closing

__all__ = ["HandOver", "NotHandedOver", "hand_over"]

POLL = 0.25  # seconds between two looks at who holds the lease


class HandOver(NamedTuple):
    """Who held the lease, and who does now; None: nobody did."""

    lease: str
    before: str | None
    after: str | None


class NotHandedOver(SingletonJobsError):
    """Nobody else leads after the time given."""


async def hand_over(store: Inspectable, lease: str, timeout: float) -> HandOver:
    """Ask, and wait up to ``timeout`` seconds. Raises NotHandedOver, and StoreError."""
    lock: Any = store.lock(lease, "step-down")
    before: Stored | None = None
    async with closing(store):
        try:
            async with asyncio.timeout(timeout):
                before = await _ask(lock)
                if before is None or not before.record.holder_identity:
                    return HandOver(lease, None, None)
                return HandOver(lease, before.record.holder_identity, await _successor(lock, before))
        except TimeoutError:
            raise NotHandedOver(await _why(lock, before, timeout)) from None


async def _ask(lock: Any) -> Stored | None:
    """The record that was asked; None if there is none. The holder may renew in between, so more than once."""
    while True:
        stored: Stored | None = await lock.get()
        if stored is None or not stored.record.holder_identity:
            return stored
        try:
            await lock.request_step_down(stored)
        except Conflict:
            continue
        return stored


async def _successor(lock: ResourceLock, before: Stored) -> str:
    while True:
        await asyncio.sleep(POLL)
        stored = await lock.get()
        if stored and stored.record.holder_identity not in ("", before.record.holder_identity):
            return stored.record.holder_identity


async def _why(lock: ResourceLock, before: Stored | None, timeout: float) -> str:
    what = f"{lock.describe()}: nobody else leads after {timeout:g} s"
    now = await lock.get()
    if before is None or now is None:
        return f"{what}, as its holder renews faster than it can be asked"
    if not now.record.holder_identity:
        return f"{what}: it is free, and no other replica competes for it"
    if now.record.lease_transitions != before.record.lease_transitions:
        return f"{what}: it was handed over, and its old holder took it again, as no other replica competes for it"
    if now.asked_to_step_down is None:
        return f"{what}: its holder has been told and lets its running work end first; `status` shows when it has"
    if lease_status("", now).state != "alive":
        return f"{what}: its holder looks dead, and is taken over from once its record has run out"
    return f"{what}: its holder does not listen, as it is no replica of singleton-jobs, or an older one"
