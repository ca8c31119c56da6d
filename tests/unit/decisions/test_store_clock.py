"""The store's own time: from the dates of its answers and the boot time since; the host's where there are none."""

from dataclasses import replace

import pytest

from singleton_jobs.decisions.store_clock import StoreClock
from unit.harness import moment, stored

WALL = moment(-86400.0)  # a host that is a day behind


@pytest.fixture
def clock():
    return StoreClock()


def answer(clock, served, at):
    """An answer that the store dated second ``served``, received at ``at``."""
    date = None if served is None else moment(served)
    clock.tune(replace(stored(), served_at=date), at)


def time(clock, now):
    return (clock.time(now, WALL.timestamp()) - moment(0.0)).total_seconds()


def test_before_any_answer_it_is_the_hosts(clock):
    assert clock.time(5.0, WALL.timestamp()) == WALL


def test_answers_without_a_date_leave_it_the_hosts(clock):
    answer(clock, None, 5.0)
    assert clock.time(7.0, WALL.timestamp()) == WALL


def test_an_answers_date_sets_it_whatever_the_host_says(clock):
    answer(clock, 1000.0, 5.0)
    assert time(clock, 5.0) == 1000.0


def test_it_goes_on_with_boot_time(clock):
    answer(clock, 1000.0, 5.0)
    assert time(clock, 65.5) == 1060.5


def test_an_answer_without_a_date_keeps_what_is_known(clock):
    answer(clock, 1000.0, 5.0)
    answer(clock, None, 6.0)
    assert time(clock, 7.0) == 1002.0


def test_of_dates_cut_to_whole_seconds_the_earliest_seen_counts(clock):
    for served, at in [(1000.0, 5.9), (1002.0, 7.1), (1003.0, 8.9)]:
        answer(clock, served, at)
    assert time(clock, 10.1) == pytest.approx(1005.0)


def test_a_slow_answer_does_not_set_it_back(clock):
    answer(clock, 1000.0, 5.0)
    answer(clock, 1001.0, 8.9)
    assert time(clock, 10.0) == 1005.0


def test_a_clock_of_the_store_that_is_set_forward_is_followed(clock):
    answer(clock, 1000.0, 5.0)
    answer(clock, 5000.0, 6.0)
    assert time(clock, 6.0) == 5000.0


def test_a_clock_of_the_store_that_is_set_back_is_followed_once_two_answers_in_a_row_say_so(clock):
    answer(clock, 5000.0, 5.0)
    answer(clock, 1000.0, 6.0)
    assert time(clock, 6.0) == 5001.0
    answer(clock, 1001.0, 7.5)
    assert time(clock, 6.0) == 1000.0


def test_answers_that_are_late_now_and_then_do_not_set_it_back(clock):
    for n in range(4):
        answer(clock, 1000.0 + 10 * n, 5.0 + 10 * n)
        answer(clock, 1001.0 + 10 * n, 10.0 + 10 * n)
    assert time(clock, 50.0) == 1045.0


# How far the host's clock is off


def skew(clock, now, wall):
    clock.compare(now, moment(wall).timestamp())
    return clock.skew


def test_before_any_dated_answer_the_hosts_clock_is_right(clock):
    answer(clock, None, 5.0)
    assert skew(clock, 5.0, 3600.0) == 0.0


@pytest.mark.parametrize("wall", [-2600.0, 1000.0, 4600.0])
def test_an_answer_tells_how_far_the_hosts_clock_is_ahead(clock, wall):
    answer(clock, 1000.0, 5.0)
    assert skew(clock, 6.0, wall + 1.0) == wall - 1000.0


def test_the_clocks_are_compared_only_after_an_answer(clock):
    answer(clock, 1000.0, 5.0)
    assert skew(clock, 5.0, 1000.0) == 0.0
    assert skew(clock, 6.0, 4600.0) == 0.0  # the machine slept
    answer(clock, 4601.0, 7.0)
    assert skew(clock, 7.0, 4601.0) == 0.0


def test_the_clocks_are_not_compared_while_the_stores_is_in_doubt(clock):
    answer(clock, 5000.0, 5.0)
    answer(clock, 1000.0, 6.0)
    assert skew(clock, 6.0, 1000.0) == 0.0
    answer(clock, 1001.0, 7.0)
    assert skew(clock, 7.0, 1001.0) == 0.0
