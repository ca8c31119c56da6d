"""The store's own time: from the dates of its answers and the boot time since; the host's where there are none."""

from dataclasses import replace

import pytest

from singleton_jobs.config import Config
from singleton_jobs.decisions.observer import Observer
from unit.harness import ME, moment, stored

WALL = moment(-86400.0)  # a host that is a day behind


@pytest.fixture
def observer():
    return Observer(ME, Config())


def answer(observer, served, at, version=1):
    """An answer that the store dated second ``served``, received at ``at``."""
    date = None if served is None else moment(served)
    observer.see(replace(stored(version=version), served_at=date), at, held=True)


def time(observer, now):
    return (observer.store_time(now, WALL.timestamp()) - moment(0.0)).total_seconds()


def test_before_any_answer_it_is_the_hosts(observer):
    assert observer.store_time(5.0, WALL.timestamp()) == WALL


def test_answers_without_a_date_leave_it_the_hosts(observer):
    answer(observer, None, 5.0)
    observer.see(None, 6.0, held=False)
    assert observer.store_time(7.0, WALL.timestamp()) == WALL


def test_an_answers_date_sets_it_whatever_the_host_says(observer):
    answer(observer, 1000.0, 5.0)
    assert time(observer, 5.0) == 1000.0


def test_it_goes_on_with_boot_time(observer):
    answer(observer, 1000.0, 5.0)
    assert time(observer, 65.5) == 1060.5


def test_an_answer_without_a_date_keeps_what_is_known(observer):
    answer(observer, 1000.0, 5.0)
    answer(observer, None, 6.0, version=2)
    assert time(observer, 7.0) == 1002.0


def test_of_dates_cut_to_whole_seconds_the_earliest_seen_counts(observer):
    for n, (served, at) in enumerate([(1000.0, 5.9), (1002.0, 7.1), (1003.0, 8.9)]):
        answer(observer, served, at, version=n + 1)
    assert time(observer, 10.1) == pytest.approx(1005.0)


def test_a_slow_answer_does_not_set_it_back(observer):
    answer(observer, 1000.0, 5.0)
    answer(observer, 1001.0, 8.9, version=2)
    assert time(observer, 10.0) == 1005.0


def test_a_clock_of_the_store_that_is_set_forward_is_followed(observer):
    answer(observer, 1000.0, 5.0)
    answer(observer, 5000.0, 6.0, version=2)
    assert time(observer, 6.0) == 5000.0


def test_a_clock_of_the_store_that_is_set_back_is_followed_once_two_answers_in_a_row_say_so(observer):
    answer(observer, 5000.0, 5.0)
    answer(observer, 1000.0, 6.0, version=2)
    assert time(observer, 6.0) == 5001.0
    answer(observer, 1001.0, 7.5, version=3)
    assert time(observer, 6.0) == 1000.0


def test_answers_that_are_late_now_and_then_do_not_set_it_back(observer):
    for n in range(4):
        answer(observer, 1000.0 + 10 * n, 5.0 + 10 * n, version=2 * n + 1)
        answer(observer, 1001.0 + 10 * n, 10.0 + 10 * n, version=2 * n + 2)
    assert time(observer, 50.0) == 1045.0


# How far the host's clock is off


def skew(observer, now, wall):
    observer.compare_clocks(now, moment(wall).timestamp())
    return observer.skew


def test_before_any_dated_answer_the_hosts_clock_is_right(observer):
    answer(observer, None, 5.0)
    assert skew(observer, 5.0, 3600.0) == 0.0


@pytest.mark.parametrize("wall", [-2600.0, 1000.0, 4600.0])
def test_an_answer_tells_how_far_the_hosts_clock_is_ahead(observer, wall):
    answer(observer, 1000.0, 5.0)
    assert skew(observer, 6.0, wall + 1.0) == wall - 1000.0


def test_the_clocks_are_compared_only_after_an_answer(observer):
    answer(observer, 1000.0, 5.0)
    assert skew(observer, 5.0, 1000.0) == 0.0
    assert skew(observer, 6.0, 4600.0) == 0.0  # the machine slept
    answer(observer, 4601.0, 7.0, version=2)
    assert skew(observer, 7.0, 4601.0) == 0.0


def test_the_clocks_are_not_compared_while_the_stores_is_in_doubt(observer):
    answer(observer, 5000.0, 5.0)
    answer(observer, 1000.0, 6.0, version=2)
    assert skew(observer, 6.0, 1000.0) == 0.0
    answer(observer, 1001.0, 7.0, version=3)
    assert skew(observer, 7.0, 1001.0) == 0.0
