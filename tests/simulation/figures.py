"""From what storms and drills have counted to the rows of the scoreboard."""

from __future__ import annotations

from statistics import quantiles

from scoreboard import Figure
from singleton_jobs import Config

from simulation.drills import Drilled
from simulation.referee import Tally

QUICK = Config(lease_duration=3)


def figures(tally: Tally, drilled: Drilled, *, broken: bool) -> list[Figure]:
    """``broken``: a storm has broken a promise; the run stopped there, and rows of storms are not at their targets."""
    held = not broken
    rows = [
        Figure(1, "0" if held else "a promise broke", tally.failovers, held),
        Figure(2, f"0; {tally.stale_refused:,} refused" if held else "a promise broke", tally.effects, held),
        _worst(3, drilled.crash_gaps, QUICK.lease_duration + 1),
        _worst(4, drilled.release_gaps, 0.1, share=99),
        Figure(5, "0" if held else "a promise broke", tally.starts, held),
        _none(6, drilled.lost_by_restarts, drilled.restarts),
        _none(7, drilled.lost_by_swallowing, drilled.swallowed),
        _worst(8, drilled.held_up, QUICK.request_timeout + 0.5),
        _worst(9, drilled.delays, QUICK.retry_period),
        Figure(10, "0" if held else "a promise broke", tally.clock_steps, held),
        _none(11, sum(what.startswith("a fork") for what in drilled.broken), drilled.forks),
    ]
    if drilled.periods:
        writes = drilled.writes / drilled.periods
        note = "; memory is not simulated"
        rows.append(Figure(12, f"{writes:.2f}{note}", round(drilled.periods), writes <= 1.01))
    return rows


def _worst(row: int, seconds: list[float], limit: float, *, share: int = 100) -> Figure:
    if len(seconds) < 2:
        return Figure(row, "not measured: the run was too short", len(seconds), None)
    worst = max(seconds) if share == 100 else quantiles(seconds, n=100)[share - 1]
    return Figure(row, f"{'max' if share == 100 else f'p{share}'} {worst:.2f} s", len(seconds), worst <= limit)


def _none(row: int, count: int, cases: int) -> Figure:
    return Figure(row, str(count), cases, count == 0 if cases else None)
