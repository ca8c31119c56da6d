"""One request of a candidate's to its resource lock: within its time, and whatever a store of anybody's making does."""

import asyncio
import logging
from typing import Literal, cast

from ..decisions.actions import Delete, Read, Write
from ..errors import AccessDenied, StoreError
from ..hooks.dispatcher import log
from ..locks.keyed import KeyedLock
from ..locks.record import REQUEST_TIMEOUT, ResourceLock, Stored

__all__ = ["kind", "send"]


async def send(action: Read | Write | Delete, lock: ResourceLock, patience: float) -> Stored | StoreError | None:
    """Do it within ``patience`` seconds: what is stored then (None: there is no such lease), or what went wrong."""
    REQUEST_TIMEOUT.set(patience)  # a store's own threads and sockets cannot be cancelled, so it limits itself too
    try:
        async with asyncio.timeout(patience):
            if isinstance(action, Read):
                return await lock.get()
            if isinstance(action, Delete):
                await cast(KeyedLock, lock).delete(action.replaces)
                return None
            if action.replaces is None:
                return await lock.create(action.record, ledger=action.ledger)
            return await lock.update(action.record, action.replaces, ledger=action.ledger)
    except StoreError as error:
        return error
    except TimeoutError:
        what = f"no answer within {patience:.2f} s"
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():  # this very step is to end, not only its request
            raise
        what = "the store cancelled the request"
    except Exception as error:  # noqa: BLE001 (a store of somebody else's making; logged in full)
        log(logging.ERROR, "%s: the store failed unexpectedly", lock.describe(), error=error)
        what = repr(error)
    return StoreError(f"{lock.describe()}: {what}")


def kind(outcome: Stored | StoreError | None) -> Literal["done", "conflict", "not done", "unknown", "denied"]:
    """What became of a request, in a word."""
    if not isinstance(outcome, StoreError):
        return "done"
    return "denied" if isinstance(outcome, AccessDenied) else outcome.outcome
