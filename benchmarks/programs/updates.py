"""Our own store, writing one lease when asked to: `python benchmarks/programs/updates.py`."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime

from singleton_jobs.locks.kubernetes import credentials
from singleton_jobs.locks.kubernetes.lease import LeaseLock
from singleton_jobs.locks.record import LockRecord

from protocol import SERVICE_ACCOUNT, serve  # pyright: ignore[reportImplicitRelativeImport]

LEASE = "bench-updates"


def main() -> None:
    credentials.SERVICE_ACCOUNT = SERVICE_ACCOUNT
    loop = asyncio.new_event_loop()
    lock = LeaseLock(LEASE, "bench")
    stored = loop.run_until_complete(lock.create(LockRecord("bench", 15)))

    def update() -> float:
        """Seconds that one write took."""
        nonlocal stored
        began = time.perf_counter()
        stored = loop.run_until_complete(lock.update(replace(stored.record, renew_time=datetime.now(UTC)), stored))
        return time.perf_counter() - began

    serve(update=update)


if __name__ == "__main__":
    main()
