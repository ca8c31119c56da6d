"""The judge of the tests beside it."""

from __future__ import annotations

import pytest

from .fires import Verdict, judge

CLEAN = Verdict([], [], [])


@pytest.mark.parametrize(
    ("runs", "verdict"),
    [
        ([100, 101, 102, 103, 104], CLEAN),
        ([101, 102, 103], CLEAN),  # the first and the last second are nobody's
        ([102, 103], Verdict([101], [], [])),
        ([101, 103], Verdict([102], [], [])),
        ([101, 102], Verdict([103], [], [])),
        ([101, 102, 102, 103], Verdict([], [102], [])),
        ([100, 100, 101, 102, 103], Verdict([], [100], [])),  # a double is one at the edge too
        ([101, 102, 102.5, 103], Verdict([], [], [102.5])),
        ([], Verdict([101, 102, 103], [], [])),
    ],
)
def test_each_second(runs: list[float], verdict: Verdict) -> None:
    assert judge(runs, every=1, begin=100, end=104) == verdict


def test_order_does_not_matter() -> None:
    assert judge([103, 101, 102], every=1, begin=100, end=104) == CLEAN


def test_phase_of_an_interval() -> None:
    runs = [100.25, 102.25, 104.25, 106.25]
    assert judge(runs, every=2, begin=100.25, end=106.25, phase=100.25, edge=0) == CLEAN
    assert judge(runs[:1] + runs[2:], every=2, begin=100.25, end=106.25, phase=100.25, edge=0).missed == [102.25]
    assert judge([*runs, 105], every=2, begin=100.25, end=106.25, phase=100.25, edge=0).strange == [105]


def test_window_without_a_fire() -> None:
    assert judge([], every=1, begin=100, end=101.5) == CLEAN


def test_real_times_survive_as_floats() -> None:
    runs = [1795446447.123457 + 2 * number for number in range(1000)]
    assert judge(runs, every=2, begin=runs[0], end=runs[-1], phase=runs[0], edge=0) == CLEAN
