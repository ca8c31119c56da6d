"""What the log says of jobs under APScheduler: each fire once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from chaos.log import Line

LATE = 8  # seconds before the end of a storm whose fires are not waited for


@dataclass(frozen=True)
class CronVerdict:
    """``interrupted``: claimed, told of as such, and perhaps not run; ``missing``: neither run nor told of."""

    fires: int
    doubled: tuple[float, ...]
    interrupted: int
    missing: tuple[float, ...]
    crashes: int

    @property
    def ok(self) -> bool:
        """A crash may interrupt the fire in flight."""
        return self.fires > 0 and not self.doubled and not self.missing and self.interrupted <= self.crashes

    def __str__(self) -> str:
        return (
            f"APScheduler: {self.fires:,} fires, {len(self.doubled)} doubled, {len(self.missing)} lost, "
            f"{self.interrupted} interrupted in {self.crashes} crashes"
        )


def judge_crons(lines: list[Line], pace: int = 1) -> CronVerdict:
    """``lines`` in the order of their times, as they were written; ``pace``: seconds that one of the storm's took."""
    runs = Counter(round(line["fire"]) for line in lines if line["event"] == "fire")
    told = {round(line["fire"]) for line in lines if line["event"] == "interrupted"}
    crashes = sum(
        line["event"] == "fault"
        and line["by"].startswith("cron")
        and line["kind"] in ("kill", "stop long", "partition")
        for line in lines
        if "by" in line
    )
    due = range(min(runs), max(runs) - LATE * pace) if runs else range(0)
    return CronVerdict(
        fires=sum(runs.values()),
        doubled=tuple(fire for fire, count in runs.items() if count > 1),
        interrupted=len(told - runs.keys()),
        missing=tuple(fire for fire in due if fire not in runs and fire not in told),
        crashes=crashes,
    )
