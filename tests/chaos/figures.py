"""From a verdict to rows of the scoreboard, and to sentences about what was wrong."""

from __future__ import annotations

from dataclasses import replace

from scoreboard import Figure

from chaos.checker import DURATION, PERIOD, Verdict, growth, worst

ENOUGH = 200  # cases for a 99th percentile
TAKEN = 0.1  # seconds for the event and the requests of a take-over, or more where the witness's took longer
MOST = 0.6 * PERIOD
GROWTH = 1.0  # MiB by which a replica's memory may differ between two moments


def figures(verdict: Verdict) -> list[Figure]:
    """The rows that a storm measures."""
    grown, slope = growth(verdict.memory)
    cost = verdict.writes / verdict.periods if verdict.periods else 0.0
    return [
        _none(1, verdict.overlaps, verdict.failovers),
        Figure(2, f"{len(verdict.stale)}; {verdict.refused:,} refused", verdict.accepted, not verdict.stale),
        _worst(3, verdict.crash_gaps, DURATION + 1),
        _after_release(verdict),
        _none(5, verdict.late_starts, verdict.starts),
        _swallowed(verdict),
        _none(10, verdict.clock_overlaps, verdict.clock_jumps),
        Figure(
            12,
            f"{cost:.2f}; {grown:+.1f} MiB in half the run ({slope:+.1f} MiB/h)",
            round(verdict.periods),
            cost <= 1.05 and grown <= GROWTH if verdict.periods else None,
        ),
    ]


def complaints(verdict: Verdict) -> list[str]:
    """What must not be, a line each."""
    return [
        *(f"overlap: {each}" for each in verdict.overlaps),
        *(f"stale: {each}" for each in verdict.stale),
        *(f"late start: {each}" for each in verdict.late_starts),
        *(f"swallowed answer: {each}" for each in verdict.swallow_errors),
        *verdict.out_of_order,
    ]


def _after_release(verdict: Verdict) -> Figure:
    """A take-over needs an event and a write, of which the replica that nothing befalls shows how long they take here.

    Allowed is no more than ``MOST`` for them: a release that is noticed by a poll is never within the target.
    """
    share = 99 if len(verdict.release_gaps) >= ENOUGH else 90
    needed = 2 * worst(verdict.requests, share) if verdict.requests else 0.0
    limit = max(TAKEN, min(MOST, needed))
    figure = _worst(4, verdict.release_gaps, limit, share=99)
    if limit == TAKEN:
        return figure
    return replace(figure, target=f"p99 ≤ {limit:.2f} s, twice a request's p{share} here")


def _swallowed(verdict: Verdict) -> Figure:
    figure = _none(7, verdict.swallow_errors, verdict.swallowed)
    if not verdict.unjudged:
        return figure
    return replace(figure, figure=f"{figure.figure}; {verdict.unjudged} more on too slow a machine")


def _none(row: int, wrong: list[str], cases: int) -> Figure:
    return Figure(row, str(len(wrong)), cases, not wrong if cases else None)


def _worst(row: int, seconds: list[float], limit: float, *, share: int = 100) -> Figure:
    """``share`` 99 is a percentile only if there are enough cases for one; of fewer, nine in ten are judged."""
    if share < 100 and len(seconds) < ENOUGH:
        share = 90
    if not seconds:
        return Figure(row, "no cases in this run", 0, None)
    value = worst(seconds, share)
    return Figure(row, f"{'max' if share == 100 else f'p{share}'} {value:.2f} s", len(seconds), value <= limit)
