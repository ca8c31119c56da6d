"""`python -m simulation --minutes 1`: storms and drills until time is up; prints the scoreboard, exits with 1 if a promise broke."""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

from scoreboard import record, show

from simulation.batches import run_all
from simulation.figures import figures
from simulation.shrink import describe, shrink
from simulation.storm import storm


def main() -> int:
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long")
    parser.add_argument("--runs", type=int, help="so many storms instead, always the same ones for one seed")
    parser.add_argument("--seed", type=int, help="of the first storm; a new one each time if it is not given")
    parser.add_argument("--replay", type=int, metavar="SEED", help="run this one storm, and print its trace")
    parser.add_argument("--only", help="with --replay: only the faults with these numbers, such as 0,3,17")
    parser.add_argument("--record", type=Path, metavar="PAGE", help="put the scoreboard into this page")
    options = parser.parse_args()
    if options.replay is not None:
        return _replay(options.replay, options.only)
    seed = random.SystemRandom().randrange(2**31) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    began = time.monotonic()
    last = began + 60 * options.minutes if options.runs is None else float("inf")
    tally, drilled, failed = run_all(seed, options.runs, last)
    took = time.monotonic() - began
    rate = tally.failovers / took * 3600
    happened = (
        f"{tally.runs:,} storms from seed {seed}: {tally.failovers:,} failovers ({rate:,.0f} an hour), "
        f"{tally.grants:,} fires granted{', each once' if failed is None else ''}, {tally.reruns:,} of them reruns, "
        f"{tally.bids:,} of them by bids"
    )
    rows = figures(tally, drilled, broken=failed is not None)
    good = show(rows, f"Simulation, {happened}")
    for sentence in drilled.broken:
        print(sentence)
    if failed is not None:
        print(f"\nA promise is broken by seed {failed}. Looking for the faults that do it ...", flush=True)
        kept, outcome = shrink(failed)
        print(describe(outcome, kept))
    if options.record:
        how = f"MINUTES={options.minutes:g}" if options.runs is None else f"RUNS={options.runs}"
        record(options.record, "simulation", rows, f"`make simulate {how} SEED={seed}`: {happened}.")
    return 0 if good and failed is None and not drilled.broken else 1


def _replay(seed: int, only: str | None) -> int:
    outcome = storm(seed, None if only is None else [int(number) for number in only.split(",") if number])
    for at, who, what, *more in outcome.trace:
        print(f"{at:10.4f}  {who:<10} {what} {' '.join(map(str, more))}")
    print(f"seed {seed}, digest {outcome.digest}: {outcome.broken or 'every promise held'}")
    return 1 if outcome.broken else 0


if __name__ == "__main__":
    sys.exit(main())
