"""What replicas write down: append-only files of JSON lines, and the verdict that is counted from them."""

import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

__all__ = ["LATE", "Run", "Tail", "Verdict", "append", "judge"]

LATE = 0.5  # seconds after which a tick that runs is caught up rather than on time


@dataclass(frozen=True, slots=True)
class Run:
    """One tick that one replica ran."""

    tick: int
    identity: str
    time: float
    token: int

    @property
    def replica(self) -> str:
        """The replica's name, without the random part of its identity."""
        return self.identity.rpartition("_")[0]

    @property
    def delay(self) -> float:
        """Seconds from its nominal time to its run."""
        return max(0.0, self.time - self.tick)

    @property
    def caught_up(self) -> bool:
        """Whether it ran after its time, as it was due while nobody led."""
        return self.delay >= LATE


def append(path: Path, entry: dict[str, Any]) -> None:
    """Append one line in one write, so that lines of several processes never mix."""
    line = json.dumps(entry) + "\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


class Tail:
    """Reads what was appended to a file since the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return
        complete = data[: data.rfind(b"\n") + 1]
        self._offset += len(complete)
        for line in complete.splitlines():
            yield json.loads(line)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the log says: ``doubled`` ticks ran more than once, ``missed`` ones nowhere, though nobody claimed them.

    ``interrupted`` ones were claimed by a leader that died before they ran: nobody can know, so nobody repeats them.
    """

    ticks: int
    runs: int
    doubled: int
    missed: int
    interrupted: int
    caught_up: int
    longest_delay: float  # seconds from a tick's nominal time to its run
    longest_gap: float  # seconds between two runs

    @property
    def good(self) -> bool:
        """Whether the job ran, no tick of it twice, and none was missed."""
        return self.runs > 0 and self.doubled == 0 and self.missed == 0


def judge(runs: Iterable[Run], first: int, last: int, claimed: Collection[int] = ()) -> Verdict:
    """The verdict on ``runs``, asked for from tick ``first`` to ``last``; new leaders found these to be ``claimed``."""
    runs = sorted(runs, key=lambda run: run.time)
    count = Counter(run.tick for run in runs)
    last = max([last, *count])
    unseen = [tick for tick in range(first, last + 1) if tick not in count]
    interrupted = sum(1 for tick in unseen if tick in claimed)
    # The ends count too, or a job that nobody took over would show no gap.
    times = [float(first), *(run.time for run in runs), float(last)]
    return Verdict(
        ticks=last - first + 1,
        runs=len(runs),
        doubled=sum(1 for times_run in count.values() if times_run > 1),
        missed=len(unseen) - interrupted,
        interrupted=interrupted,
        caught_up=len({run.tick for run in runs if run.caught_up}),
        longest_delay=max((run.delay for run in runs), default=0.0),
        longest_gap=max(later - earlier for earlier, later in pairwise(times)),
    )
