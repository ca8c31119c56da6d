"""Columns for a thousand rows: rich's own tables take half a millisecond a row."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.text import Text

__all__ = ["Cell", "columns"]

Cell = str | tuple[str, str]  # a cell's text, alone or with a style; whoever makes it has escaped control characters

GAP = 2  # characters between columns
LEAST = 8  # characters that a column keeps, however narrow the terminal


def columns(header: Sequence[str], rows: Sequence[Sequence[Cell]], width: int, shrink: Collection[str]) -> Text:
    """One line each, as wide as ``width`` allows; where that is too little, the columns in ``shrink`` are cut."""
    plain = [[cell if isinstance(cell, str) else cell[0] for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *plain, strict=True)]
    _fit(widths, [header.index(name) for name in shrink], width - GAP * (len(header) - 1))
    made = Text(no_wrap=True, overflow="ellipsis")
    for number, row in enumerate([[(name, "bold") for name in header], *rows]):
        made.append("\n" if number else "")
        for left, (cell, room) in zip(reversed(range(len(widths))), zip(row, widths, strict=True), strict=True):
            text, style = (cell, "") if isinstance(cell, str) else cell
            cut = text if len(text) <= room else f"{text[: room - 1]}…"
            made.append(cut, style or None)
            if left:
                made.append(" " * (room - len(cut) + GAP))
    return made


def _fit(widths: list[int], shrinking: Sequence[int], room: int) -> None:
    """Take from the widest of the columns that may be cut, until all have room."""
    while sum(widths) > room:
        widest = max(shrinking, key=lambda index: widths[index])
        if widths[widest] <= LEAST:
            return
        widths[widest] -= 1
