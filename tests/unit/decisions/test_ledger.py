"""The ledger as text: what is read, what is kept, what a claim does to it."""

import json
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from singleton_jobs.decisions.ledger import (
    FORGOTTEN_AFTER,
    Claim,
    Mark,
    UnreadableLedger,
    advance,
    aftermath,
    judge,
    kept_until,
    lower,
    read_ledger,
    size,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def claim(job="app:report", fire=NOON, nonce="a", **more):
    return Claim(job, fire, nonce, **more)


def after(claims=(), marks=None, done=(), known=(), now=NOON):
    return read_ledger(advance(marks or {}, claims, done, known, now))


def test_the_text_is_as_documented():
    text = advance({}, [claim(nonce="n")], (), (), NOON)
    assert text == '{"v":1,"jobs":{"app:report":["2026-11-22T12:00:00.000000Z","n","c"]}}'


def test_what_is_written_is_read_back():
    marks = {"app:α": Mark(NOON + timedelta(microseconds=1), "n", "d"), "fn:b": Mark(NOON, "m")}
    assert after(marks=marks, now=NOON) == marks


def test_a_time_of_any_zone_is_written_in_utc():
    tokyo = NOON.astimezone(timezone(9 * HOUR))
    assert after([claim(fire=tokyo)])["app:report"].fire == NOON
    assert after(marks={"app:report": Mark(tokyo, "n", "d")}) == {"app:report": Mark(NOON, "n", "d")}


def test_two_times_of_one_wall_clock_are_written_apart():
    first = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    second = first.replace(fold=1)
    assert first == second  # as far as Python says
    texts = [advance({}, [Claim("job", fire, "n")], (), (), first) for fire in (first, second)]
    assert [read_ledger(text)["job"].fire.hour for text in texts] == [0, 1]


def test_a_count_of_runs_is_written_last_and_read_back():
    text = advance({}, [claim(nonce="n", runs=7)], (), (), NOON)
    assert text == '{"v":1,"jobs":{"app:report":["2026-11-22T12:00:00.000000Z","n","c",7]}}'
    assert read_ledger(text) == {"app:report": Mark(NOON, "n", "c", 7)}


def test_a_count_outlives_the_end_of_its_run_and_a_mark_that_is_lowered():
    marks = {"app:report": Mark(NOON + HOUR, "n", "c", 7)}
    assert after(marks=marks, done={("app:report", "n")})["app:report"].runs == 7
    assert lower(marks, NOON)["app:report"].runs == 7


def test_the_latest_claim_of_a_batch_says_how_many_runs_there_are():
    claims = [claim(nonce="a", runs=3), claim(nonce="b", fire=NOON + HOUR, runs=4)]
    assert after(claims)["app:report"].runs == 4


@pytest.mark.parametrize(
    ("mark", "outcome", "left"),
    [
        (Mark(NOON, "a"), None, "open"),
        (Mark(NOON, "a"), "granted", "open"),
        (Mark(NOON, "a", "d"), "granted", "cut"),
        (Mark(NOON, "b"), None, "none"),  # another has claimed this very fire
        (Mark(NOON + HOUR, "b"), None, "cut"),
        (Mark(NOON + HOUR, "b"), "granted", "cut"),
        (Mark(NOON - HOUR, "b"), None, "none"),  # it never landed
        (None, None, "none"),
        (None, "granted", "cut"),
    ],
)
def test_what_an_ended_term_has_left_of_a_claim(mark, outcome, left):
    sent = claim(nonce="a", carried={"a"})
    sent.outcome = outcome
    assert aftermath(sent, mark) == left


def test_a_claim_that_was_never_sent_leaves_nothing():
    assert aftermath(claim(), Mark(NOON + HOUR, "b")) == "none"


def test_no_ledger_has_no_marks():
    assert read_ledger(None) == {}


def test_times_of_other_zones_are_read_as_utc():
    text = json.dumps({"v": 1, "jobs": {"app:a": ["2026-11-22T14:00:00+02:00", "n", "c"]}})
    assert read_ledger(text)["app:a"].fire == NOON
    assert read_ledger(text)["app:a"].fire.tzinfo is UTC


def test_more_parts_of_a_mark_than_are_known_are_no_trouble():
    text = json.dumps({"v": 1, "jobs": {"app:a": ["2026-11-22T12:00:00Z", "n", "c", "more"]}})
    assert read_ledger(text) == {"app:a": Mark(NOON, "n")}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "7",
        '"v"',
        "{}",
        '{"v":1}',
        '{"v":1,"jobs":[]}',
        '{"v":1,"jobs":{"a":null}}',
        '{"v":1,"jobs":{"a":["2026-11-22T12:00:00Z","n"]}}',
        '{"v":1,"jobs":{"a":["2026-11-22T12:00:00","n","c"]}}',
        '{"v":1,"jobs":{"a":["yesterday","n","c"]}}',
        '{"v":1,"jobs":{"a":[7,"n","c"]}}',
        '{"v":1,"jobs":{"a":["2026-11-22T12:00:00Z",7,"c"]}}',
        '{"v":1,"jobs":{"a":["2026-11-22T12:00:00Z","n","x"]}}',
        '{"v":1,"jobs":{"a":["2026-11-22T12:00:00Z","n",["c"]]}}',
        '{"v":1,"jobs":{"a":["0001-01-01T00:00:00+14:00","n","c"]}}',
        '{"v":1,"jobs":' + "[" * 100_000,
    ],
)
def test_what_is_no_ledger_is_unreadable(text):
    with pytest.raises(UnreadableLedger):
        read_ledger(text)


@pytest.mark.parametrize("version", [0, 2, "1", None, [1]])
def test_a_ledger_of_another_version_is_unreadable_whatever_else_it_holds(version):
    with pytest.raises(UnreadableLedger, match="version"):
        read_ledger(json.dumps({"v": version, "work": 7}))


# What the marks say of a claim


def test_a_job_without_a_mark_leaves_it_open():
    assert judge(claim(), {"app:other": Mark(NOON + HOUR, "x")}) is None


def test_a_fire_after_the_mark_is_open():
    assert judge(claim(), {"app:report": Mark(NOON - timedelta(microseconds=1), "x")}) is None


@pytest.mark.parametrize("mark", [NOON, NOON + HOUR])
def test_a_fire_at_or_before_the_mark_is_refused(mark):
    assert judge(claim(), {"app:report": Mark(mark, "x")}) == "refused"


def test_one_instant_in_two_zones_is_one_fire():
    there = claim(fire=NOON.astimezone(timezone(2 * HOUR)))
    assert judge(there, {"app:report": Mark(NOON, "x")}) == "refused"


@pytest.mark.parametrize("state", ["c", "d"])
def test_the_nonce_it_was_sent_under_is_its_grant(state):
    assert judge(claim(carried={"a", "b"}), {"app:report": Mark(NOON + HOUR, "b", state)}) == "granted"


def test_its_own_nonce_proves_nothing_if_it_was_never_sent():
    assert judge(claim(), {"app:report": Mark(NOON, "a")}) == "refused"


def test_a_run_every_so_often_is_open_at_exactly_the_interval():
    often = claim(unless_since=NOON - HOUR)
    assert judge(often, {"app:report": Mark(NOON - HOUR, "x")}) is None
    assert judge(often, {"app:report": Mark(NOON - HOUR + timedelta(microseconds=1), "x")}) == "refused"
    assert judge(often, {"app:report": Mark(NOON + HOUR, "x")}) == "refused"


# What claims make of the marks


def test_a_claim_moves_the_mark_of_its_job_only():
    marks = {"app:report": Mark(NOON - HOUR, "x", "d"), "app:other": Mark(NOON - HOUR, "y", "d")}
    assert after([claim()], marks) == {**marks, "app:report": Mark(NOON, "a", "c")}


def test_a_batch_moves_the_mark_to_its_latest_fire_whose_nonce_stands_for_all():
    batch = [claim(fire=NOON, nonce="a"), claim(fire=NOON + HOUR, nonce="b"), claim(fire=NOON - HOUR, nonce="c")]
    marks = after(batch)
    assert marks == {"app:report": Mark(NOON + HOUR, "b")}
    assert [judge(one, marks) for one in batch] == ["granted"] * 3


def test_of_two_claims_of_one_fire_in_a_batch_only_the_first_is_granted():
    batch = [claim(nonce="a"), claim(nonce="b"), claim(nonce="c", fire=NOON + HOUR)]
    marks = after(batch)
    assert [judge(one, marks) for one in batch] == ["granted", "refused", "granted"]


def test_of_a_job_that_runs_every_so_often_only_the_first_claim_is_granted():
    since = NOON - HOUR
    batch = [claim(nonce="a", unless_since=since), claim(nonce="b", fire=NOON + HOUR, unless_since=since)]
    marks = after(batch)
    assert [judge(one, marks) for one in batch] == ["granted", "refused"]


def test_jobs_of_one_batch_are_apart():
    batch = [claim("app:a", nonce="a"), claim("app:b", nonce="b")]
    assert after(batch) == {"app:a": Mark(NOON, "a"), "app:b": Mark(NOON, "b")}


def test_a_finished_run_is_noted():
    marks = {"app:report": Mark(NOON, "a")}
    assert after(marks=marks, done={("app:report", "a")}) == {"app:report": Mark(NOON, "a", "d")}


def test_the_end_of_an_earlier_run_is_not_taken_for_that_of_the_last():
    marks = {"app:report": Mark(NOON, "b")}
    assert after(marks=marks, done={("app:report", "a"), ("app:gone", "g")}) == marks


def test_an_old_mark_that_nobody_here_knows_is_dropped():
    marks = {
        "app:old": Mark(NOON - 30 * DAY - HOUR, "x"),
        "app:known": Mark(NOON - 300 * DAY, "y"),
        "app:young": Mark(NOON - 30 * DAY, "z"),
    }
    assert set(after(marks=marks, known={"app:known"})) == {"app:known", "app:young"}


def test_marks_are_lowered_once_they_lie_more_than_a_minute_ahead():
    marks = {
        "app:broken": Mark(NOON + timedelta(seconds=61), "x", "d"),
        "app:ahead": Mark(NOON + timedelta(seconds=60), "y"),
        "app:past": Mark(NOON - DAY, "z"),
    }
    assert lower(marks, NOON) == {"app:broken": Mark(NOON, "x", "d")}


def test_size_is_counted_in_bytes_as_the_api_server_does():
    assert size("ä€") == 5
    assert size("\ud800") == 3


def test_a_mark_says_until_when_it_counts():
    mine = claim("a", NOON, "n1", until=NOON + timedelta(minutes=57))
    text = advance({}, [mine], (), (), NOON)
    assert json.loads(text)["jobs"]["a"][-1] == "2026-11-22T12:57:00.000000Z"
    mark = read_ledger(text)["a"]
    assert (mark.until, mark.runs, mark.attempts) == (NOON + timedelta(minutes=57), None, ())
    assert read_ledger(advance({"a": mark}, (), [("a", "n1")], (), NOON))["a"].until == mark.until


def test_a_mark_that_is_lowered_counts_as_long_from_then_on():
    mark = Mark(NOON + timedelta(hours=5), "n1", until=NOON + timedelta(hours=6))
    assert lower({"a": mark}, NOON)["a"].until == NOON + timedelta(hours=1)


NOBODYS = '{"v":1,"jobs":{"app:report":["2026-11-22T12:00:00.000000Z","n","c"]}}'
SOMEBODYS = '{"v":1,"jobs":{"app:report":["2026-11-22T12:00:00.000000Z","n","c",null,[],null,"pod-a_1"]}}'


def test_who_claimed_is_written_last_and_read_back():
    text = advance({}, [claim(nonce="n", by="pod-a_1")], (), (), NOON)
    assert text == SOMEBODYS
    assert read_ledger(text) == {"app:report": Mark(NOON, "n", by="pod-a_1")}


def test_a_ledger_that_does_not_say_who_claimed_is_written_as_it_was():
    assert read_ledger(NOBODYS)["app:report"].by == ""
    assert advance(read_ledger(NOBODYS), (), (), (), NOON) == NOBODYS


@pytest.mark.parametrize("by", ["7", "null", "[]"])
def test_who_claimed_is_a_text_or_the_ledger_is_unreadable(by):
    with pytest.raises(UnreadableLedger):
        read_ledger(SOMEBODYS.replace('"pod-a_1"', by))


def test_who_claimed_outlives_the_end_of_the_run_and_a_mark_that_is_lowered():
    marks = {"app:report": Mark(NOON + HOUR, "n", by="pod-a_1")}
    assert after(marks=marks, done={("app:report", "n")})["app:report"] == Mark(NOON + HOUR, "n", "d", by="pod-a_1")
    assert lower(marks, NOON)["app:report"].by == "pod-a_1"
    assert after([claim("app:other")], marks)["app:report"].by == "pod-a_1"


def test_the_next_fire_is_by_whoever_claims_it():
    marks = {"app:report": Mark(NOON, "n", "d", by="pod-a_1")}
    assert after([claim(fire=NOON + HOUR, by="pod-b_2")], marks)["app:report"].by == "pod-b_2"
    assert after([claim(fire=NOON + HOUR)], marks)["app:report"].by == ""


def test_the_latest_claim_of_a_batch_says_by_whom():
    claims = [claim(fire=NOON + HOUR, nonce="b", by="pod-b_2"), claim(nonce="a", by="pod-a_1")]
    assert after(claims)["app:report"].by == "pod-b_2"


@pytest.mark.parametrize(
    ("marks", "until"),
    [
        ({}, None),
        ({"a": Mark(NOON, "n1", until=NOON + timedelta(hours=1))}, NOON + timedelta(hours=1)),
        (
            {"a": Mark(NOON, "n1", until=NOON), "b": Mark(NOON, "n2", until=NOON + timedelta(hours=1))},
            NOON + timedelta(hours=1),
        ),
        ({"a": Mark(NOON, "n1")}, NOON + FORGOTTEN_AFTER),
    ],
)
def test_a_lease_is_kept_as_long_as_its_last_mark_counts(marks, until):
    assert kept_until(advance(marks, (), (), marks, NOON)) == until


@pytest.mark.parametrize(
    "text", ["rubbish", '{"v":2,"jobs":{}}', '{"v":1,"jobs":{"a":["9999-12-31T00:00:00.000000Z","n","c"]}}']
)
def test_what_cannot_be_read_keeps_it_for_ever(text):
    assert kept_until(text).year == 9999


def test_without_a_ledger_nothing_keeps_it():
    assert kept_until(None) is None
