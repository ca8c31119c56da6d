"""The demo's log and what is counted from it."""

import json
from pathlib import Path

import pytest

from singleton_jobs.cli.demo.runs import Run, Tail, append, judge


def runs(*moments: tuple[int, str]) -> list[Run]:
    return [Run(tick, f"{who}_abc", tick + 0.05, 7) for tick, who in moments]


def test_every_tick_once_is_good():
    verdict = judge(runs((10, "a"), (11, "a"), (12, "b"), (13, "b")), first=10, last=13)
    assert (verdict.ticks, verdict.runs, verdict.doubled, verdict.missed) == (4, 4, 0, 0)
    assert (verdict.interrupted, verdict.caught_up) == (0, 0)
    assert verdict.longest_delay == pytest.approx(0.05)
    assert verdict.longest_gap == pytest.approx(1.0)
    assert verdict.good


def test_a_tick_that_ran_three_times_is_one_doubled_tick():
    verdict = judge(runs((10, "a"), (11, "a"), (11, "b"), (11, "c"), (12, "c")), first=10, last=12)
    assert (verdict.ticks, verdict.runs, verdict.doubled, verdict.missed) == (3, 5, 1, 0)
    assert not verdict.good


def test_one_replica_alone_can_double_a_tick():
    assert judge(runs((10, "a"), (10, "a")), first=10, last=10).doubled == 1


def test_a_gap_is_timed_between_runs_and_its_ticks_are_missed():
    verdict = judge(runs((10, "a"), (14, "b"), (15, "b")), first=10, last=15)
    assert verdict.missed == 3
    assert verdict.longest_gap == pytest.approx(4.0)
    assert not verdict.good


def test_ticks_that_were_caught_up_are_neither_missed_nor_doubled():
    late = [Run(tick, "b_abc", 13.2, 9) for tick in (11, 12, 13)]
    verdict = judge([*runs((10, "a")), *late], first=10, last=13)
    assert (verdict.doubled, verdict.missed, verdict.caught_up) == (0, 0, 2)
    assert verdict.longest_delay == pytest.approx(2.2)
    assert verdict.good


def test_a_tick_that_was_claimed_and_never_ran_is_interrupted_and_not_missed():
    verdict = judge(runs((10, "a"), (13, "b")), first=10, last=13, claimed={10, 11})
    assert (verdict.interrupted, verdict.missed) == (1, 1)
    assert not verdict.good
    assert judge(runs((10, "a"), (12, "b")), first=10, last=12, claimed={11}).good


def test_a_job_that_nobody_took_over_shows_as_a_gap():
    assert judge(runs((10, "a"), (11, "a")), first=10, last=20).longest_gap == pytest.approx(8.95)


def test_nothing_at_all_is_not_good():
    verdict = judge([], first=10, last=15)
    assert (verdict.ticks, verdict.runs, verdict.doubled, verdict.missed) == (6, 0, 0, 6)
    assert verdict.longest_gap == pytest.approx(5.0)
    assert not verdict.good


def test_runs_are_judged_by_time_and_not_by_their_order():
    verdict = judge(reversed(runs((10, "a"), (11, "a"), (12, "a"))), first=10, last=12)
    assert verdict.longest_gap == pytest.approx(1.0)


def test_a_run_after_the_last_tick_counts_as_well():
    assert judge(runs((10, "a"), (11, "a"), (12, "a")), first=10, last=11).ticks == 3


def test_the_tail_gives_each_line_once_and_never_half_of_one(tmp_path: Path):
    path = tmp_path / "log"
    tail = Tail(path)
    assert list(tail) == []
    append(path, {"n": 1})
    append(path, {"n": 2})
    with path.open("a") as file:
        file.write('{"n": ')
    assert [entry["n"] for entry in tail] == [1, 2]
    assert list(tail) == []
    with path.open("a") as file:
        file.write("3}\n")
    assert [entry["n"] for entry in tail] == [3]


def test_a_line_is_written_in_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written: list[bytes] = []
    monkeypatch.setattr("os.write", lambda file, data: written.append(data) or len(data))
    append(tmp_path / "log", {"tick": 1, "identity": "a_b"})
    assert [json.loads(line) for line in written] == [{"tick": 1, "identity": "a_b"}]
    assert written[0].endswith(b"\n")


def test_a_replica_is_named_without_its_random_part():
    assert Run(1, "demo_x-1_k3j", 1.0, 1).replica == "demo_x-1"
