"""What the log says of jobs under APScheduler: each fire once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from chaos.log import Line

LATE = 8  # seconds before the end of a storm whose fires are not waited for
AGAIN_EVERY = 2  # seconds from one fire to the next of the job whose fires run again


@dataclass(frozen=True)
class CronVerdict:
    """``interrupted``: claimed, told of as such, and perhaps not run; ``missing``: neither run nor told of.

    Of the job whose fires run again: attempts made twice, and fires that neither came to their end nor were given up.
    """

    fires: int
    doubled: tuple[float, ...]
    interrupted: int
    missing: tuple[float, ...]
    crashes: int
    reruns: int = 0
    attempts_doubled: tuple[tuple[float, int], ...] = ()
    unfinished: tuple[float, ...] = ()
    given_up: int = 0

    @property
    def ok(self) -> bool:
        """A crash may interrupt the fire in flight."""
        once = self.fires > 0 and not self.doubled and not self.missing and self.interrupted <= self.crashes
        return once and not self.attempts_doubled and not self.unfinished

    def __str__(self) -> str:
        return (
            f"APScheduler: {self.fires:,} fires, {len(self.doubled)} doubled, {len(self.missing)} lost, "
            f"{self.interrupted} interrupted in {self.crashes} crashes; where they run again: {self.reruns} reruns, "
            f"{len(self.attempts_doubled)} attempts made twice, {len(self.unfinished)} fires left unfinished, "
            f"{self.given_up} given up"
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
    attempts = Counter((round(line["fire"]), line["attempt"]) for line in lines if line["event"] == "attempt")
    given_up = {round(line["fire"]) for line in lines if line["event"] == "gave up"}
    ended = {round(line["fire"]) for line in lines if line["event"] == "done"} | given_up
    begun = {fire for fire, _ in attempts}
    to_end = range(min(begun), max(begun) - LATE * pace, AGAIN_EVERY) if begun else range(0)
    return CronVerdict(
        fires=sum(runs.values()),
        doubled=tuple(fire for fire, count in runs.items() if count > 1),
        interrupted=len(told - runs.keys()),
        missing=tuple(fire for fire in due if fire not in runs and fire not in told),
        crashes=crashes,
        reruns=sum(attempt > 1 for _, attempt in attempts),
        attempts_doubled=tuple(each for each, count in attempts.items() if count > 1),
        unfinished=tuple(fire for fire in to_end if fire not in ended),
        given_up=len(given_up),
    )
