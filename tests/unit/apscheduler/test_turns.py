"""Whose turn a fire is, and how long a busy replica lets others go first."""

from collections import Counter
from datetime import timedelta

import pytest

from singleton_jobs_apscheduler.fairness import SHARE, STEP, delay
from singleton_jobs_apscheduler.turns import ALONE, KNOWN, LONGEST, TURN, Turns

NAMES = ["pod-a_1", "pod-b_2", "pod-c_3"]
GRACE = timedelta(seconds=28)


def most(a, b):
    return b


def least(a, b):
    return a


@pytest.fixture
def replicas():
    """Three that know each other."""
    made = [Turns(least) for _ in NAMES]
    for turns in made:
        for name in NAMES:
            turns.note(name, 0.0)
    return made


def test_whoever_knows_nobody_spreads_by_chance():
    assert Turns(most).delay("me", "fire", 0.0) == ALONE


def test_marks_of_its_own_are_of_nobody_else():
    turns = Turns(most)
    turns.note("me", 0.0)
    turns.note("", 0.0)
    assert turns.delay("me", "fire", 0.0) == ALONE


def test_of_each_fire_one_is_first_and_the_others_come_after_one_turn_each(replicas):
    for fire in map(str, range(50)):
        assert sorted(turns.delay(name, fire, 1.0) for name, turns in zip(NAMES, replicas, strict=True)) == [
            0,
            TURN,
            2 * TURN,
        ]


def test_each_is_first_as_often_as_others(replicas):
    first = Counter(
        min(range(3), key=lambda each: replicas[each].delay(NAMES[each], str(fire), 1.0)) for fire in range(600)
    )
    assert all(0.25 <= first[each] / 600 <= 0.42 for each in range(3))


def test_who_has_left_no_mark_for_long_is_forgotten():
    turns = Turns(most)
    turns.note("other", 0.0)
    assert turns.delay("me", "fire", KNOWN - 1) != ALONE
    assert turns.delay("me", "fire", KNOWN) == ALONE


def test_turns_grow_where_writes_are_refused_and_shrink_again(replicas):
    last = max(NAMES, key=lambda name: replicas[0].delay(name, "fire", 1.0))
    turns = replicas[NAMES.index(last)]
    turns.raced(refused=True)
    assert turns.delay(last, "fire", 1.0) == pytest.approx(3 * TURN)
    for _ in range(20):
        turns.raced(refused=True)
    assert turns.delay(last, "fire", 1.0) == pytest.approx(2 * LONGEST)
    for _ in range(40):
        turns.raced(refused=False)
    assert turns.delay(last, "fire", 1.0) == pytest.approx(2 * TURN)


# Busy replicas


def test_whoever_is_idle_waits_for_nobody():
    assert delay(0, 5, GRACE) == delay(0, None, None) == timedelta(0)


def test_the_delay_grows_with_what_runs():
    assert timedelta(0) < delay(1, 5, GRACE) < delay(4, 5, GRACE) < STEP
    assert delay(1, None, GRACE) < delay(9, None, GRACE) < STEP


def test_it_is_a_small_part_of_a_short_grace():
    grace = timedelta(milliseconds=80)
    assert delay(4, 5, grace) == grace / SHARE


@pytest.mark.parametrize("grace", [GRACE, None])
def test_whoever_has_no_place_left_takes_nothing_while_another_may(grace):
    assert delay(5, 5, grace) == grace
