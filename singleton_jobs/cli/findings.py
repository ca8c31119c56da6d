"""How `singleton-jobs doctor` prints what it finds."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from ..leading.settings import Settings
from .doctor import Finding, examine
from .target import print_json

__all__ = ["report"]

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


async def report(settings: Settings, leases: Sequence[str], *, as_json: bool) -> int:
    """Print every finding as it comes; the exit status."""
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    found = []
    async with aclosing(examine(settings, leases)) as findings:
        async for finding in findings:
            found.append(finding)
            if not as_json:
                _print(console, finding)
    fails = sum(finding.level == "fail" for finding in found)
    if as_json:
        print_json({"would_lead": not fails, "findings": [asdict(finding) for finding in found]})
    elif fails:
        console.print(Text(f"\n{fails} finding{'s' if fails > 1 else ''} would keep a replica from leading here."))
    else:
        console.print(Text("\nNothing would keep a replica from leading here."))
    return 1 if fails else 0


def _print(console: Console, finding: Finding) -> None:
    mark = Text(f"{finding.level:<5}", STYLES[finding.level])
    console.print(Text.assemble(mark, f"{finding.what}: {finding.detail}"))
    if finding.cure:
        console.print(Text(f"   -> {finding.cure}".replace("\n", "\n      ")))
