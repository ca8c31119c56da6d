"""The twelve figures by which a lock is judged: what each is, its target, and how a run came out."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table


class Row:
    """What is measured, and what it has to be; leases of 3 s unless it says otherwise.

    ``timed``: it says how fast, or how cheap, and so tells of the machine, too; all others are promises.
    """

    def __init__(self, what: str, target: str, *, timed: bool = False) -> None:
        self.what = what
        self.target = target
        self.timed = timed


ROWS = {
    1: Row("overlaps, stalls under the margin", "0"),
    2: Row("stale writes accepted by a sink that checks the token, unbounded stalls", "0"),
    3: Row("nobody leads after a crash", "max ≤ duration + 1 s", timed=True),
    4: Row("nobody leads after a release", "p99 ≤ 0.1 s", timed=True),
    5: Row("starts after the send of the last acknowledged renewal + renew_deadline", "0"),
    6: Row("leaderships lost across a 5 s restart of the API server, at 15/10/2", "0"),
    7: Row("terms lost or doubled by a write that landed and whose answer was lost", "0"),
    8: Row(
        "renewals held up by 429/503 with Retry-After 32, dripping and hanging answers",
        "≤ request_timeout + 0.5 s",
        timed=True,
    ),
    9: Row("others' delay beside one lease of 50 that hangs", "< 1 retry_period", timed=True),
    10: Row("overlaps, wall clocks jump ±30 days", "0"),
    11: Row("forks: children that lead, sockets shared", "0"),
    12: Row("cost: writes per lease and retry_period; growth of memory", "≤ 1; ≈ 0"),
}


@dataclass(frozen=True)
class Figure:
    """How one row came out in ``cases`` cases; ``ok`` None: not measured, and ``figure`` says why."""

    row: int
    figure: str
    cases: int
    ok: bool | None
    target: str = ""  # where the run itself has shown what is to be allowed


def environment() -> str:
    """What a run was made on and with."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    packages = ", ".join(f"{name} {version(name)}" for name in ("singleton-jobs", "kubernetes", "aiohappyeyeballs"))
    return f"{os.cpu_count()} cores, {model}; Python {platform.python_version()}, {packages}"


def show(figures: Iterable[Figure], title: str, *, timed: bool = True) -> bool:
    """Print the table, all rows of it; whether each one that was measured (``timed`` ones: if so) is at its target."""
    found = {figure.row: figure for figure in figures}
    table = Table(title=title, caption=environment(), title_justify="left", caption_justify="left")
    for heading in ("#", "figure", "target", "measured", "cases", "ok?"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("#", "cases", "ok?"))
    verdicts = {True: "[green]yes[/]", False: "[bold red]NO[/]", None: "–"}
    for number, row in ROWS.items():
        figure = found.get(number, Figure(number, "not measured", 0, None))
        table.add_row(
            str(number),
            row.what,
            figure.target or row.target,
            escape(figure.figure),
            f"{figure.cases:,}" if figure.cases else "–",
            verdicts[figure.ok],
        )
    console = Console()
    if not console.is_terminal:  # a log should not fold the table to 80 columns
        console = Console(width=160)
    console.print(table)
    return all(figure.ok is not False for figure in found.values() if timed or not ROWS[figure.row].timed)


def record(
    page: Path, section: str, figures: Iterable[Figure], heading: str, only: Collection[int] = tuple(ROWS)
) -> None:
    """Put the table (``only`` these rows of it) into ``page``, between the comments that name ``section``."""
    found = {figure.row: figure for figure in figures}
    lines = [heading, "", f"{environment()}.", "", "| # | figure | target | measured | cases | ok? |", "|-|-|-|-|-|-|"]
    verdicts = {True: "yes", False: "**no**", None: "–"}
    for number in only:
        row, figure = ROWS[number], found.get(number, Figure(number, "not measured", 0, None))
        cases = f"{figure.cases:,}" if figure.cases else "–"
        lines.append(
            f"| {number} | {row.what} | {figure.target or row.target} | {figure.figure} | {cases} | {verdicts[figure.ok]} |"
        )
    begin, end = f"<!-- {section} -->", f"<!-- end of {section} -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    text, count = pattern.subn(lambda _: "\n".join([begin, "", *lines, "", end]), page.read_text())
    if count != 1:
        raise ValueError(f"{page} has {count} sections {section!r}, not one")
    page.write_text(text)
