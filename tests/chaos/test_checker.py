"""The judge of a storm, by logs written by hand: each promise that is broken there is found."""

from __future__ import annotations

import pytest
from scoreboard import Figure, show

from chaos.beats import BeatsVerdict
from chaos.checker import Verdict, growth, judge
from chaos.crons import judge_crons
from chaos.figures import figures
from chaos.log import Line
from chaos.pace import at_pace

PIDS = {"a": 1, "b": 2, "witness": 9}


def at(time: float, event: str, who: str = "director", **fields: object) -> Line:
    return {"at": time, "who": who, "pid": PIDS.get(who, 0), "event": event, **fields}


def work(who: str, start: float, end: float | None, token: int, lease: str = "x") -> list[Line]:
    facts = {"lease": lease, "token": token, "identity": f"{who}_1"}
    lines = [at(start, "start", who, **facts)]
    return lines if end is None else [*lines, at(end, "end", who, **facts)]


def put(time: float, who: str, *, holder: str | None = None, told: bool = True, status: int = 200) -> Line:
    holder = f"{who}_1" if holder is None else holder
    return at(time, "put", "proxy", lease="x", holder=holder, status=status, told=told, by=who)


def fault(time: float, kind: str, who: str, until: float | None = None) -> Line:
    return at(time, "fault", kind=kind, until=time if until is None else until, size=0, by=who, by_pid=PIDS[who])


def calm(begin: float, until: float) -> Line:
    return at(begin, "scene", calm=True, until=until)


def judged(*lines: Line | list[Line]) -> Verdict:
    flat = [line for each in lines for line in (each if isinstance(each, list) else [each])]
    return judge(sorted(flat, key=lambda line: line["at"]))


# Overlaps


def test_one_after_the_other_is_a_failover() -> None:
    verdict = judged(work("a", 1, 1.1, 1), work("a", 2, 2.1, 1), work("b", 3, 3.1, 2))
    assert (verdict.failovers, verdict.overlaps, verdict.starts) == (1, [], 3)


def test_work_at_the_same_time_is_an_overlap() -> None:
    verdict = judged(work("a", 1, 1.5, 1), work("b", 1.4, 1.6, 2))
    assert len(verdict.overlaps) == 1
    assert not verdict.clock_overlaps


def test_two_leases_do_not_overlap() -> None:
    assert not judged(work("a", 1, 1.5, 1), work("b", 1.4, 1.6, 2, lease="y")).overlaps


def test_work_that_stalled_beyond_the_margin_may_overlap() -> None:
    verdict = judged(work("a", 1, 6, 1), work("b", 4, 4.1, 2))
    assert (verdict.overlaps, verdict.stalled) == ([], 1)


def test_a_killed_process_works_no_more() -> None:
    killed = [*work("a", 1, None, 1), fault(1.1, "kill", "a")]
    assert not judged(killed, work("b", 1.2, 1.3, 2)).overlaps
    assert judged(killed, work("b", 1.05, 1.3, 2)).overlaps


def test_an_overlap_while_a_clock_is_off_counts_for_clocks() -> None:
    verdict = judged(fault(1, "clock", "a", 5), work("a", 2, 2.5, 1), work("b", 2.4, 2.6, 2))
    assert (len(verdict.clock_overlaps), verdict.clock_jumps) == (1, 1)


# What is held by


def test_a_start_after_the_deadline_is_late() -> None:
    assert not judged(put(1, "a"), work("a", 2.9, 3, 1)).late_starts
    assert judged(put(1, "a"), work("a", 3.1, 3.2, 1)).late_starts


def test_what_nobody_was_told_of_renews_nothing() -> None:
    for unheard in (put(2, "a", told=False), put(2, "a", status=409), put(2, "b")):
        assert judged(put(1, "a"), unheard, work("a", 3.1, 3.2, 1)).late_starts


def test_a_start_without_any_write_is_late() -> None:
    assert judged(work("a", 1, 1.1, 1)).late_starts


# The sink


def test_an_older_token_after_a_newer_one_is_stale() -> None:
    def sink(time: float, token: int, event: str = "accepted") -> Line:
        return at(time, event, "sink", lease="x", token=token, by="a", by_pid=1)

    assert not judged(sink(1, 1), sink(2, 1), sink(3, 2)).stale
    assert judged(sink(1, 2), sink(2, 1)).stale
    verdict = judged(sink(1, 2), sink(2, 1, "refused"))
    assert (verdict.stale, verdict.refused, verdict.accepted) == ([], 1, 1)


# Gaps


def test_gap_after_a_kill_in_calm() -> None:
    crash = [work("a", 1, 1.1, 1), fault(1.2, "kill", "a"), work("b", 4.5, 4.6, 2)]
    verdict = judged(calm(0, 9), *crash)
    assert [round(gap, 6) for gap in verdict.crash_gaps] == [3.3]
    assert not judged(*crash).crash_gaps


def test_no_gap_is_measured_while_there_is_no_server() -> None:
    crash = [calm(0, 90), work("a", 1, 1.1, 1), fault(1.2, "kill", "a"), work("b", 34, 34.1, 2)]
    restart = at(0.5, "fault", kind="restart", until=8, size=0)
    assert judged(*crash).crash_gaps
    assert not judged(*crash, restart, at(30, "served again")).crash_gaps
    assert not judged(*crash, restart).crash_gaps


def test_gap_after_a_release_in_calm() -> None:
    verdict = judged(calm(0, 9), work("a", 1, 1.1, 1), put(1.2, "a", holder=""), work("b", 1.5, 1.6, 2))
    assert [round(gap, 6) for gap in verdict.release_gaps] == [0.3]
    assert not verdict.crash_gaps


# Lost answers


def test_a_term_outlives_a_lost_answer() -> None:
    verdict = judged(put(1, "a", told=False), work("a", 2, 2.1, 1), at(9, "scene", calm=True, until=9))
    assert (verdict.swallowed, verdict.swallow_errors) == (1, [])


def test_a_term_that_ends_by_a_lost_answer_is_an_error() -> None:
    over = at(3, "over", "a", lease="x", token=1, lost=True, reason="told by the test")
    assert judged(put(1, "a", told=False), over).swallow_errors
    verdict = judged(put(1, "a", told=False), fault(2, "kill", "a"), over)
    assert (verdict.swallowed, verdict.swallow_errors) == (0, [])
    verdict = judged(put(1, "a", told=False), over, at(1.5, "request", "witness", seconds=0.5))
    assert (verdict.swallowed, verdict.swallow_errors, verdict.unjudged) == (0, [], 1)
    assert "1 more on too slow a machine" in next(each for each in figures(verdict) if each.row == 7).figure
    assert judged(put(1, "a", told=False), over, at(1.5, "request", "witness", seconds=0.4)).swallow_errors


# Cost


def test_what_the_witness_writes_is_counted_between_restarts() -> None:
    writes = [at(10 + 0.4 * number, "put", "proxy", lease="x", by="witness") for number in range(100)]
    for line in writes:
        line |= {"holder": "witness_1", "told": True, "status": 200}
    verdict = judged(at(0, "starts"), work("witness", 1, 1.1, 1), writes, at(50, "storm ends"))
    assert (verdict.writes, round(verdict.periods)) == (100, 100)
    restart = [at(20, "fault", kind="restart", until=28, size=0), at(30, "served again")]
    verdict = judged(at(0, "starts"), work("witness", 1, 1.1, 1), writes, restart, at(50, "storm ends"))
    assert round(verdict.periods) == (10 + 10) / 0.4


def test_memory_that_grows_is_seen() -> None:
    assert growth([(float(second), 50.0) for second in range(100)]) == (0.0, 0.0)
    grown, an_hour = growth([(float(second), 50.0 + second) for second in range(100)])
    assert (grown, round(an_hour)) == (49.0, 3600)


# Fires


def run(second: float) -> Line:
    return at(second, "fire", "cron-0", job="tick", fire=float(second), token=1)


def test_each_second_once() -> None:
    seconds = [run(second) for second in range(1, 20)]
    assert judge_crons(seconds).ok
    assert judge_crons([*seconds, run(5)]).doubled == (5,)
    assert judge_crons([each for each in seconds if each["fire"] != 5]).missing == (5,)


def test_an_interrupted_fire_is_no_lost_one_if_there_was_a_crash() -> None:
    crash = {**fault(5, "kill", "a"), "by": "cron-0"}
    told = at(9, "interrupted", "cron-1", job="tick", fire=5.0)
    others = [run(second) for second in range(1, 20) if second != 5]
    assert judge_crons([*others, crash, told]).ok
    assert not judge_crons([*others, told]).ok
    assert not judge_crons([]).ok


def test_a_fire_that_runs_again_comes_to_its_end_each_attempt_once() -> None:
    def again(event: str, fire: int, attempt: int = 1) -> Line:
        return at(fire, event, "cron-0", job="again", fire=float(fire), attempt=attempt)

    ticks = [run(second) for second in range(1, 30)]
    begun = [again("attempt", fire) for fire in range(2, 30, 2)]
    ended = [again("done", fire) for fire in range(2, 30, 2) if fire != 6]
    assert judge_crons([*ticks, *begun, *ended]).unfinished == (6,)
    second = again("attempt", 6, 2)
    whole = judge_crons([*ticks, *begun, *ended, second, again("done", 6, 2)])
    assert (whole.ok, whole.reruns) == (True, 1)
    assert judge_crons([*ticks, *begun, *ended, again("gave up", 6)]).ok
    assert judge_crons([*ticks, *begun, *ended, second, second, again("done", 6, 2)]).attempts_doubled == ((6, 2),)
    assert judge_crons([*ticks, *begun[:7], *begun[8:], *ended[:6], *ended[7:], second]).unfinished == (6, 16)


def test_spread_schedulers_are_judged_for_themselves() -> None:
    led = [run(second) for second in range(1, 20) if second != 5]
    spread = [{**run(second), "who": "spread-0"} for second in range(1, 20)]
    assert judge_crons([*led, *spread]).missing == (5,)
    verdict = judge_crons([*led, *spread], kind="spread")
    assert (verdict.ok, verdict.fires) == (True, 19)


def test_runs_of_two_processes_overlap_unless_the_first_has_stalled() -> None:
    def again(time: float, event: str, pid: int, fire: int) -> Line:
        return at(time, event, "cron-0", job="again", fire=float(fire), attempt=1) | {"pid": pid}

    def overlaps(end: float, later: float) -> int:
        first = [again(2, "attempt", 1, 2), again(later, "attempt", 2, 4)]
        return len(judge_crons([run(1), *first, again(end, "done", 1, 2), again(9, "done", 2, 4)]).overlaps)

    assert overlaps(end=2.5, later=2.4) == 1
    assert overlaps(end=2.5, later=2.6) == 0
    assert overlaps(end=3.1, later=2.4) == 0


def test_beats_may_lose_what_was_in_flight_when_they_crashed() -> None:
    assert BeatsVerdict(sent=9, lost={"e": 1}, crashes=1).ok
    assert not BeatsVerdict(sent=9, lost={"e": 2}, crashes=1).ok
    assert not BeatsVerdict(sent=9, lost={"e": -1}, crashes=1).ok
    assert not BeatsVerdict(sent=9, doubled=1).ok
    assert not BeatsVerdict().ok


# A slow machine


def test_a_log_at_a_pace_is_judged_as_if_it_were_faster() -> None:
    crash = [calm(0, 27), work("a", 3, 3.3, 1), fault(3.6, "kill", "a"), work("b", 13.5, 13.8, 2)]
    flat = [line for each in crash for line in (each if isinstance(each, list) else [each])]
    assert [round(gap, 6) for gap in judge(at_pace(flat, 3)).crash_gaps] == [3.3]


def test_requests_that_take_long_are_allowed_for_and_no_missed_look_is() -> None:
    def after_a_release(gap: float, request: float) -> Figure:
        return next(each for each in figures(Verdict(release_gaps=[gap], requests=[request] * 9)) if each.row == 4)

    assert not after_a_release(0.21, 0.05).ok
    assert not after_a_release(0.21, 0.05).target
    assert after_a_release(0.21, 0.11).ok
    assert "0.22 s" in after_a_release(0.21, 0.11).target
    assert not after_a_release(0.25, 9).ok


# The scoreboard


def test_a_row_is_at_its_target_only_without_a_complaint() -> None:
    good = Verdict(failovers=3, starts=9, accepted=9, crash_gaps=[3.9], release_gaps=[0.05], swallowed=2, clock_jumps=1)
    assert all(figure.ok is not False for figure in figures(good))
    bad = Verdict(
        failovers=3,
        overlaps=["x"],
        stale=["x"],
        crash_gaps=[4.1],
        release_gaps=[0.7],
        starts=9,
        late_starts=["x"],
        swallowed=1,
        swallow_errors=["x"],
        clock_jumps=1,
        clock_overlaps=["x"],
        writes=106,
        periods=100,
    )
    assert all(figure.ok is False for figure in figures(bad))


def test_what_a_slow_machine_misses_breaks_no_promise(capsys: pytest.CaptureFixture[str]) -> None:
    slow, broken = Figure(4, "p99 9 s", 200, ok=False), Figure(1, "1", 3, ok=False)
    assert show([slow], "a storm", timed=False)
    assert "NO" in capsys.readouterr().out
    assert not show([slow], "a storm")
    assert not show([slow, broken], "a storm", timed=False)
