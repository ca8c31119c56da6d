"""How the demo is shown: a live table on a terminal, plain lines elsewhere."""

import os
import time
from collections import Counter, deque
from types import TracebackType
from typing import Protocol, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .runs import Verdict
from .stage import Stage

__all__ = ["LiveView", "PlainView", "View", "clock_time", "make_view", "verdict_table"]

LINES = 6  # of the latest events, under the live table
REFRESH = 0.1  # seconds between two drawings of the live table
LIVE_WIDTH = 60  # columns that the live table needs at least
LEGEND = "█ ran  ▒ caught up  ✗ killed"


class View(Protocol):
    """Is told what happens; a context manager."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
    def begin(self, first: int, last: int) -> None:
        """Ticks are due from ``first`` to ``last``."""

    def say(self, at: float, text: str, style: str = "") -> None:
        """Something happened."""

    def refresh(self, stage: Stage) -> None:
        """Show the replicas as they are now."""


class PlainView:
    """One line for each event."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Self:
        self._console.print()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing to put away."""

    def begin(self, first: int, last: int) -> None:
        """Nothing to prepare."""

    def say(self, at: float, text: str, style: str = "") -> None:
        """Print the line at once."""
        self._console.print(_line(at, text, ""), soft_wrap=True)

    def refresh(self, stage: Stage) -> None:
        """Nothing to draw."""


class LiveView:
    """A table of the replicas with what each ran, second by second, and the latest events below."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False)
        self._lines: deque[Text] = deque(maxlen=LINES)
        self._ticks = range(0)
        self._drawn_at = 0.0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def begin(self, first: int, last: int) -> None:
        """Make room for these ticks."""
        self._ticks = range(first, last + 1)

    def say(self, at: float, text: str, style: str = "") -> None:
        """Add the line to the latest ones."""
        self._lines.append(_line(at, text, style))
        self._drawn_at = 0.0

    def refresh(self, stage: Stage) -> None:
        """Draw, unless nothing can have changed."""
        if time.monotonic() - self._drawn_at >= REFRESH:
            self._live.update(self._draw(stage), refresh=True)
            self._drawn_at = time.monotonic()

    def _draw(self, stage: Stage) -> RenderableType:
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("replica")
        table.add_column("state", min_width=len("leads (token 123456)"), no_wrap=True)
        table.add_column("runs", justify="right")
        table.add_column("second by second", no_wrap=True)
        ran = Counter(tick for actor in stage.actors.values() for tick in actor.ran)
        now = stage.ticks.now()
        room = max(10, self._console.width - 46)
        past = [tick for tick in self._ticks if tick < now]
        shown = self._ticks[max(0, len(past) - room) :][:room]
        for actor in stage.actors.values():
            style = {"leads": "bold green", "down": "red", "starting": "dim"}.get(actor.state, "")
            state = f"leads (token {actor.token})" if actor.state == "leads" else actor.state
            strip = Text()
            for tick in shown:
                if tick in actor.ran:
                    strip.append("▒" if tick in actor.caught_up else "█", "red" if ran[tick] > 1 else "green")
                elif tick in actor.killed:
                    strip.append("✗", "bold red")
                else:
                    strip.append("·" if tick < now else " ", "dim")
                if tick in actor.ran and tick in actor.killed:
                    strip.right_crop(1)
                    strip.append("✗", "bold red")
            table.add_row(actor.name, Text(state, style), str(len(actor.ran)), strip)
        return Group(table, Text(LEGEND, "dim"), Text(), *self._lines, *([Text()] * (LINES - len(self._lines))))


def make_view(console: Console, *, plain: bool) -> View:
    """A live table if people look at it, else plain lines."""
    # Not console.is_terminal: FORCE_COLOR makes that true for a build server's log as well.
    capable = console.file.isatty() and not console.is_dumb_terminal and console.encoding.startswith("utf")
    if plain or not capable or os.environ.get("NO_COLOR") or console.width < LIVE_WIDTH:
        return PlainView(console)
    return LiveView(console)


def verdict_table(verdict: Verdict) -> Table:
    """The verdict in a few rows."""
    table = Table(box=SIMPLE_HEAD, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("ticks", str(verdict.ticks))
    table.add_row("runs", str(verdict.runs))
    for name, number in (("doubled", verdict.doubled), ("missed", verdict.missed)):
        table.add_row(name, Text(str(number), "bold red" if number else "bold green"))
    if verdict.interrupted:
        table.add_row("interrupted", Text(str(verdict.interrupted), "bold yellow"))
    table.add_row("caught up", str(verdict.caught_up))
    table.add_row("longest delay", f"{verdict.longest_delay:.1f} s")
    table.add_row("longest gap", f"{verdict.longest_gap:.1f} s")
    return table


def clock_time(at: float) -> str:
    """The time of day, to the second."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def _line(at: float, text: str, style: str) -> Text:
    return Text(clock_time(at), "dim" if style else "").append("  ").append(text, style)
