"""A short script in a pod: `python benchmarks/programs/script.py LEASE`."""

from __future__ import annotations

import sys
import time

from singleton_jobs import leader_only
from singleton_jobs.locks.kubernetes import credentials

from protocol import SERVICE_ACCOUNT, serve  # pyright: ignore[reportImplicitRelativeImport]


@leader_only(lease=sys.argv[1])
def spent() -> float:
    """CPU seconds of this process so far."""
    return time.process_time()


def main() -> None:
    credentials.SERVICE_ACCOUNT = SERVICE_ACCOUNT
    cpu = spent()
    if not isinstance(cpu, float):
        raise SystemExit(f"the call has not led: {cpu}")
    serve(cpu=lambda: cpu)


if __name__ == "__main__":
    main()
