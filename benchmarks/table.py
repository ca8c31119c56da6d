"""Rows, and the table that shows them."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One measured figure. ``ours`` and ``peer`` are for people; ``ratio`` is ours over the peer's, where it has one."""

    name: str
    what: str
    ours: str
    target: str
    ok: bool
    peer: str = "–"
    ratio: float | None = None


def machine() -> str:
    """What the figures were measured on; the load is that of the last 1, 5 and 15 minutes."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("kubernetes", "aiohappyeyeballs", "wrapt", "apscheduler", "celery")
    )
    load = "/".join(f"{number:.1f}" for number in os.getloadavg())
    return f"{os.cpu_count()} cores, {model}, load {load}; Python {platform.python_version()}, {packages}"


def show(rows: list[Row], title: str) -> None:
    """Print one table."""
    table = Table(title=title, caption=machine(), title_justify="left", caption_justify="left")
    for heading in ("row", "what", "ours", "peer", "ratio", "target", "ok?"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("row", "ratio", "ok?"))
    for row in rows:
        ratio = "–" if row.ratio is None else f"{row.ratio:.2f}"
        verdict = "[green]yes[/]" if row.ok else "[bold red]NO[/]"
        table.add_row(row.name, row.what, row.ours, row.peer, ratio, row.target, verdict)
    console = Console()
    if not console.is_terminal:  # a log should not fold the table to 80 columns
        console = Console(width=160)
    console.print(table)
