"""One replica with many leaderships, started over SPREAD seconds: `python benchmarks/programs/ours.py COUNT [SPREAD]`."""

from __future__ import annotations

import random
import sys
import time

from singleton_jobs import Replica
from singleton_jobs.events import Event, TermEnded, TermStarted
from singleton_jobs.locks.kubernetes import credentials

from protocol import SERVICE_ACCOUNT, boot_time, serve  # pyright: ignore[reportImplicitRelativeImport]

LEASE = "bench-{:04}"


def main() -> None:
    credentials.SERVICE_ACCOUNT = SERVICE_ACCOUNT
    started: list[tuple[str, float]] = []
    lost: list[tuple[str, str]] = []

    def note(event: Event) -> None:
        if isinstance(event, TermStarted):
            started.append((event.lease, boot_time()))
        elif isinstance(event, TermEnded) and event.lost:
            lost.append((event.lease, event.reason))

    replica = Replica("kubernetes:")
    leaderships = [replica.leadership(LEASE.format(number)) for number in range(int(sys.argv[1]))]
    for leadership in leaderships:
        leadership.subscribe(note)
    spread = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    for leadership in random.sample(leaderships, len(leaderships)):
        leadership.start()
        time.sleep(random.uniform(0, 2 * spread / len(leaderships)))

    def step_down(number: str) -> float:
        """Release one lease; when that was asked for."""
        at = boot_time()
        leaderships[int(number)].step_down()
        return at

    def leave() -> float:
        """Release them all, in good order; when that began."""
        at = boot_time()
        replica.close()
        return at

    serve(
        held=lambda: sum(leadership.is_leader for leadership in leaderships),
        seen=lambda: sum(leadership.holder is not None for leadership in leaderships),
        started=lambda: started,
        lost=lambda: lost,
        step_down=step_down,
        leave=leave,
    )


if __name__ == "__main__":
    main()
