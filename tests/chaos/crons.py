"""What the log says of jobs under APScheduler: each fire once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from chaos.log import Line

LATE = 8  # seconds before the end of a storm whose fires are not waited for
AGAIN_EVERY = 2  # seconds from one fire to the next of the job whose fires run again
MARGIN = 1.0  # seconds that work may stall, at 3/2/0.4
KINDS = {"cron": "APScheduler", "spread": "APScheduler, spread"}  # by what the names of their slots begin with


@dataclass(frozen=True)
class CronVerdict:
    """``interrupted``: claimed, told of as such, and perhaps not run; ``missing``: neither run nor told of.

    Of the job whose fires run again: attempts made twice, fires that neither came to their end nor were given up, and
    runs that began before another replica's had ended, though that had not stalled.
    """

    kind: str
    fires: int
    doubled: tuple[float, ...]
    interrupted: int
    missing: tuple[float, ...]
    crashes: int
    reruns: int = 0
    attempts_doubled: tuple[tuple[float, int], ...] = ()
    unfinished: tuple[float, ...] = ()
    given_up: int = 0
    overlaps: tuple[float, ...] = ()

    @property
    def ok(self) -> bool:
        """A crash may interrupt the fire in flight."""
        once = self.fires > 0 and not self.doubled and not self.missing and self.interrupted <= self.crashes
        return once and not self.attempts_doubled and not self.unfinished and not self.overlaps

    def __str__(self) -> str:
        return (
            f"{self.kind}: {self.fires:,} fires, {len(self.doubled)} doubled, {len(self.missing)} lost, "
            f"{self.interrupted} interrupted in {self.crashes} crashes; where they run again: {self.reruns} reruns, "
            f"{len(self.attempts_doubled)} attempts made twice, {len(self.unfinished)} fires left unfinished, "
            f"{len(self.overlaps)} overlaps, {self.given_up} given up"
        )


def judge_crons(whole: list[Line], pace: int = 1, kind: str = "cron") -> CronVerdict:
    """``whole``: a log in the order of its times, as it was written; ``pace``: seconds that one of the storm's took."""
    lines = [line for line in whole if line["who"].startswith(kind) or line.get("by", "").startswith(kind)]
    runs = Counter(round(line["fire"]) for line in lines if line["event"] == "fire")
    told = {round(line["fire"]) for line in lines if line["event"] == "interrupted"}
    crashes = sum(line["event"] == "fault" and line["kind"] in ("kill", "stop long", "partition") for line in lines)
    due = range(min(runs), max(runs) - LATE * pace) if runs else range(0)
    attempts = Counter((round(line["fire"]), line["attempt"]) for line in lines if line["event"] == "attempt")
    given_up = {round(line["fire"]) for line in lines if line["event"] == "gave up"}
    ended = {round(line["fire"]) for line in lines if line["event"] == "done"} | given_up
    begun = {fire for fire, _ in attempts}
    to_end = range(min(begun), max(begun) - LATE * pace, AGAIN_EVERY) if begun else range(0)
    return CronVerdict(
        kind=KINDS[kind],
        fires=sum(runs.values()),
        doubled=tuple(fire for fire, count in runs.items() if count > 1),
        interrupted=len(told - runs.keys()),
        missing=tuple(fire for fire in due if fire not in runs and fire not in told),
        crashes=crashes,
        reruns=sum(attempt > 1 for _, attempt in attempts),
        attempts_doubled=tuple(each for each, count in attempts.items() if count > 1),
        unfinished=tuple(fire for fire in to_end if fire not in ended),
        given_up=len(given_up),
        overlaps=tuple(_overlaps(lines, MARGIN * pace)),
    )


def _overlaps(lines: list[Line], margin: float) -> list[float]:
    """When an attempt began before that of another process had ended, which took no longer than ``margin``."""
    ends = {(line["pid"], line["fire"]): line["at"] for line in lines if line["event"] == "done"}
    killed = {line["by_pid"]: line["at"] for line in lines if line["event"] == "fault" and line["kind"] == "kill"}
    begun = [line for line in lines if line["event"] == "attempt"]
    found = []
    for earlier, later in pairwise(begun):
        end = ends.get((earlier["pid"], earlier["fire"]), killed.get(earlier["pid"], earlier["at"]))
        if later["pid"] != earlier["pid"] and later["at"] < end <= earlier["at"] + margin:
            found.append(later["at"])
    return found
