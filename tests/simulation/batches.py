"""Storms and drills on all cores."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import count
from multiprocessing import get_context

from simulation.drills import Drilled, drill
from simulation.forks import fork_drill
from simulation.referee import Tally
from simulation.storm import storm

BATCH = 5  # storms to one drill

Result = tuple[Tally, Drilled, int | None]


def run_all(seed: int, runs: int | None, last: float) -> tuple[Tally, Drilled, int | None]:
    """Results of all batches until ``last``, or of so many ``runs``; and the first seed that broke a promise."""
    workers = os.cpu_count() or 1
    tally, drilled, failed = Tally(), Drilled(), None
    batches: Iterator[int] = count(seed, BATCH) if runs is None else iter(range(seed, seed + runs, BATCH))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        under_way: set[Future[Result]] = set()
        while True:
            while len(under_way) < 2 * workers and failed is None and time.monotonic() < last:
                first = next(batches, None)
                if first is None:
                    break
                end = first + BATCH if runs is None else min(first + BATCH, seed + runs)
                under_way.add(pool.submit(_batch, first, end))
            if not under_way:
                return tally, drilled, failed
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                more, measured, broken = future.result()
                tally.add(more)
                drilled.add(measured)
                failed = broken if failed is None else failed


def _batch(first: int, end: int) -> Result:
    tally = Tally()
    for seed in range(first, end):
        outcome = storm(seed)
        tally.add(outcome.tally)
        if outcome.broken:
            return tally, Drilled(), seed
    drilled = drill(first)
    drilled.forks, wrong = fork_drill(first)
    drilled.broken += wrong
    return tally, drilled, None
