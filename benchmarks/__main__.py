"""`python benchmarks [--quick] [--kill-for SECONDS] [row …]`: measure, print one table, and exit with 1 if a row misses its target."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "tests")]  # last, so that what is installed is what is measured

from benchmarks import (  # noqa: E402
    beats,
    calls,
    claims,
    handover,
    imports,
    keyed,
    kills,
    memory,
    renewals,
    reruns,
    schedulers,
    spread,
    takeover,
)
from benchmarks.stage import Stage  # noqa: E402
from benchmarks.table import Row, show  # noqa: E402

# Rows of one group are measured side by side: they wait more than they work.
GROUPS: tuple[dict[str, Callable[[Stage], Row | list[Row]]], ...] = (
    {"cpu": renewals.cpu},
    {"cpu-kubeconfig": renewals.cpu_kubeconfig},
    {"cpu-one": renewals.cpu_one},
    {"memory": renewals.memory},
    {"memory-pod": memory.pod},
    {"memory-kubeconfig": memory.kubeconfig},
    {"requests": renewals.requests},
    {"threads": renewals.threads},
    {"thousand": renewals.thousand},
    {"release": takeover.release},
    {"crash": takeover.crash},
    {"sigterm": handover.sigterm},
    {"reads": handover.reads},
    {"following": handover.following},
    {"watch-memory": handover.watch_memory},
    {"thousand-followed": handover.thousand_followed},
    {"claims": claims.claims},
    {"batch": claims.batch},
    {"keyed": keyed.one},
    {"keyed-eight": keyed.eight},
    {"keyed-contended": keyed.contended},
    {"latency": schedulers.latency},
    {"follower": schedulers.follower},
    {"kills-memory": kills.memory, "kills-postgresql": kills.postgresql},
    {"reruns": reruns.reruns},
    *({name: measure} for name, measure in spread.ROWS.items()),
    {"beat-kill": beats.kill},
    {"beat-term": beats.term},
    {"beat-stop": beats.stop},
    {"beat-takeover": beats.take_over},
    {"beat-rate": beats.rate},
    {"beat-many": beats.many},
    {"call": calls.calls},
    {"import": imports.imports},
    {"first-call": imports.first_call},
)
NAMES = [name for group in GROUPS for name in group]
FAMILIES = {"spread": list(spread.ROWS)}  # rows that are asked for together, too


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="row", help=f"only these, of: {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="shorter windows, fewer samples")
    parser.add_argument("--kill-for", type=float, metavar="SECONDS", help="how long leaders are killed, each 10 s")
    options = parser.parse_args()
    asked = [name for row in options.rows for name in FAMILIES.get(row, [row])]
    if unknown := set(asked) - set(NAMES):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    began = time.monotonic()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="singleton-jobs-bench-") as folder:
        stage = Stage(Path(folder), quick=options.quick, kill_for=options.kill_for)
        try:
            for group in GROUPS:
                wanted = {name: measure for name, measure in group.items() if name in (asked or NAMES)}
                with ThreadPoolExecutor() as side_by_side:
                    for measured in side_by_side.map(_measured, wanted, wanted.values(), repeat(stage)):
                        rows += measured
        finally:
            stage.close()
    how = "quick" if options.quick else "full"
    show(rows, f"singleton-jobs against its peers ({how}, {time.monotonic() - began:.0f} s)")
    return 0 if all(row.ok for row in rows) else 1


def _measured(name: str, measure: Callable[[Stage], Row | list[Row]], stage: Stage) -> list[Row]:
    began = time.monotonic()
    try:
        made = measure(stage)
        rows = made if isinstance(made, list) else [made]
    except Exception as error:  # the other rows are worth having all the same
        traceback.print_exc()
        rows = [Row(name=name, what="not measured", ours=f"{type(error).__name__}: {error}"[:200], target="", ok=False)]
    verdict = "ok" if all(row.ok for row in rows) else "MISSED"
    print(f"{name}: {verdict}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())
