"""A failover as a picture: who worked under one lease when, and what befell whom."""

from __future__ import annotations

from html import escape
from itertools import pairwise, zip_longest

from chaos.checker import MARGIN, Work, pieces
from chaos.log import Line

SPAN = 40.0  # seconds that are shown
JOINED = 0.5  # seconds between two pieces of work that look like one
WIDTH, LEFT, LANE, TOP = 960, 90, 34, 46
COLOURS = {"kill": "#c62828", "stop long": "#8e24aa", "term": "#ef6c00", "step down": "#2e7d32"}
NAMES = {"kill": "SIGKILL", "stop long": "SIGSTOP", "term": "SIGTERM"}
OTHERS = "#8d6e63"
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}line{stroke:#bbb}.b{fill:#1976d2}.s{opacity:.35}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}line{stroke:#555}.b{fill:#64b5f6}}"
)


def draw(lines: list[Line], lease: str | None = None) -> str:
    """An SVG of the liveliest stretch of ``lease``, or of the lease that changed hands most."""
    works = pieces(lines)
    lease = lease or _liveliest(works)
    works = [work for work in works if work.lease == lease]
    begin = _stretch(works)
    shown = [work for work in works if begin <= work.start < begin + SPAN]
    lanes = sorted({work.who for work in works})
    height = TOP + LANE * len(lanes) + 60
    scale = (WIDTH - LEFT - 20) / SPAN

    def x(at: float) -> float:
        return round(LEFT + (min(max(at, begin), begin + SPAN) - begin) * scale, 1)

    def y(who: str) -> int:
        return TOP + LANE * lanes.index(who)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>Who worked under {escape(lease)}, and when</title><style>{STYLE}</style>",
        f'<text x="{LEFT}" y="20">Work under one lease of 3 s, {len(lanes)} replicas; a bar is work, '
        "a pale one was stopped in its midst, a mark is what befell that replica</text>",
    ]
    for who in lanes:
        parts.append(f'<text x="8" y="{y(who) + 19}">{escape(who)}</text>')
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{y(who) + 15}" y2="{y(who) + 15}"/>')
    for who, start, end, look in _bars(shown):
        width = max(2.0, round(x(end) - x(start), 1))
        parts.append(f'<rect class="{look}" x="{x(start)}" y="{y(who) + 5}" width="{width}" height="20" rx="3"/>')
    for line in lines:
        inside = begin <= line["at"] < begin + SPAN
        if line["event"] == "fault" and line.get("by") in lanes and inside:
            colour = COLOURS.get(line["kind"], OTHERS)
            at = x(line["at"])
            parts.append(
                f'<rect x="{at - 1}" y="{y(line["by"])}" width="3" height="30" fill="{colour}">'
                f"<title>{escape(line['kind'])}</title></rect>"
            )
    bottom = TOP + LANE * len(lanes) + 16
    for second in range(0, int(SPAN) + 1, 5):
        parts.append(f'<text x="{x(begin + second) - 6}" y="{bottom}">{second} s</text>')
    marks = {**{NAMES.get(kind, kind): colour for kind, colour in COLOURS.items()}, "network or clock": OTHERS}
    keys = "   ".join(f'<tspan fill="{colour}">| {name}</tspan>' for name, colour in marks.items())
    parts.append(f'<text x="{LEFT}" y="{bottom + 26}" xml:space="preserve">{keys}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _liveliest(works: list[Work]) -> str:
    counts: dict[str, int] = {}
    latest: dict[str, str] = {}
    for work in works:
        changed = latest.get(work.lease, work.identity) != work.identity
        counts[work.lease] = counts.get(work.lease, 0) + changed
        latest[work.lease] = work.identity
    return max(counts, key=counts.__getitem__)


def _stretch(works: list[Work]) -> float:
    """The beginning of the stretch in which most failovers are."""
    changes = [after.start for before, after in pairwise(works) if before.identity != after.identity]
    begins = [at - SPAN / 8 for at in changes] or [works[0].start]
    return max(begins, key=lambda begin: sum(begin <= at < begin + SPAN for at in changes))


def _bars(works: list[Work]) -> list[tuple[str, float, float, str]]:
    """Pieces of one identity that follow each other closely, as one; those that stalled by themselves."""
    bars = [(work.who, work.start, work.end, "b s") for work in works if work.end - work.start > MARGIN]
    brief: dict[str, list[Work]] = {}
    for work in works:
        if work.end - work.start <= MARGIN:
            brief.setdefault(work.identity, []).append(work)
    for mine in brief.values():
        start = mine[0].start
        for work, following in zip_longest(mine, mine[1:]):
            if following is None or following.start - work.end > JOINED:
                bars.append((work.who, start, work.end, "b"))
                start = following.start if following else 0.0
    return bars
