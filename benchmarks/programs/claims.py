"""One leader that claims as fast as it can: `python benchmarks/programs/claims.py`."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

from singleton_jobs import Replica
from singleton_jobs.locks.kubernetes import credentials

from protocol import SERVICE_ACCOUNT, serve  # pyright: ignore[reportImplicitRelativeImport]

LEASE = "bench-claims"
SECOND = timedelta(seconds=1)


def main() -> None:
    credentials.SERVICE_ACCOUNT = SERVICE_ACCOUNT
    replica = Replica("kubernetes:")
    leadership = replica.leadership(LEASE)
    leadership.start()
    fire = datetime.now(UTC) - timedelta(days=1)

    def one_by_one(times: str) -> tuple[int, float]:
        """How many claims were granted, and in how many seconds."""
        nonlocal fire
        granted = 0
        began = time.perf_counter()
        for _ in range(int(times)):
            fire += SECOND
            granted += leadership.claim("report", fire)
        return granted, time.perf_counter() - began

    async def at_once(jobs: str, times: str) -> tuple[int, float]:
        """The same, of so many jobs that are due at the same moment, so many times."""
        nonlocal fire
        granted = 0
        began = time.perf_counter()
        for _ in range(int(times)):
            fire += SECOND
            claims = (leadership.claim_async(f"report-{number:03}", fire) for number in range(int(jobs)))
            granted += sum(await asyncio.gather(*claims))
        return granted, time.perf_counter() - began

    serve(
        held=lambda: int(leadership.is_leader),
        one_by_one=one_by_one,
        at_once=lambda jobs, times: asyncio.run(at_once(jobs, times)),
    )


if __name__ == "__main__":
    main()
