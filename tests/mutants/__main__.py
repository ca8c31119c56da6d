"""`python -m mutants [NAME...]`: breaks each rule in a copy of the source, and fails unless a test notices each time."""

import argparse
import os
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mutants.catalogue import MUTANTS
from mutants.mutant import Mutant
from mutants.run import Outcome, baseline, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these; all by default")
    names = parser.parse_args().names
    unknown = sorted(set(names) - {mutant.name for mutant in MUTANTS})
    if unknown:
        parser.error(f"there is no mutant {', '.join(unknown)}")
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    console = Console(width=None if sys.stdout.isatty() else 200)
    began = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        healthy = [workers.submit(baseline, tests) for tests in _halves(chosen)]
        outcomes = list(workers.map(run, chosen))
        wrong = [outcome.noticed or outcome.wrong for outcome in (each.result() for each in healthy)]
    console.print(_table(chosen, outcomes))
    for mutant, outcome in zip(chosen, outcomes, strict=True):
        if outcome.wrong:
            console.print(f"{mutant.name}: {outcome.wrong}", markup=False)
    for reason in filter(None, wrong):
        console.print(f"The unbroken source is red: {reason}", markup=False)
    survivors = [mutant.name for mutant, outcome in zip(chosen, outcomes, strict=True) if outcome.noticed is None]
    found = f"{len(chosen) - len(survivors)} of {len(chosen)} mutants noticed in {time.monotonic() - began:.0f} s"
    console.print(f"{found}{'; survived: ' + ', '.join(survivors) if survivors else ''}", markup=False)
    return 1 if survivors or any(wrong) else 0


def _halves(mutants: Iterable[Mutant]) -> list[tuple[str, ...]]:
    """The tests of all mutants, each once, in two shares for two cores."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    return [share for share in (tuple(tests[::2]), tuple(tests[1::2])) if share]


def _table(mutants: list[Mutant], outcomes: list[Outcome]) -> Table:
    table = Table("rule", "mutant", "what is broken", "noticed by", "s")
    for mutant, outcome in zip(mutants, outcomes, strict=True):
        noticed = escape(outcome.noticed) if outcome.noticed else "[bold red]nobody[/]"
        table.add_row(str(mutant.rule), mutant.name, escape(mutant.breaks), noticed, f"{outcome.seconds:.1f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
