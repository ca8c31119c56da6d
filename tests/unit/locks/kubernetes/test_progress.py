"""How a list and its watch follow each other, and how soon after what went wrong."""

from random import Random

import pytest

from singleton_jobs.locks.kubernetes.progress import Progress


class Slowest:
    """Chance at its worst."""

    def uniform(self, a, b):
        return b


@pytest.fixture
def progress():
    return Progress(Slowest())


def begun(progress, version=5, now=0.0):
    progress.listed(version)
    progress.opened(now)
    return progress


def test_a_list_comes_first_and_the_watch_goes_on_from_its_version(progress):
    assert progress.version is None
    progress.listed(5)
    assert progress.version == 5


def test_events_and_bookmarks_move_it_on_and_never_back(progress):
    begun(progress)
    progress.moved(9)
    progress.moved(7)
    assert progress.version == 9


def test_an_end_by_the_server_is_gone_on_from_at_once(progress):
    begun(progress).moved(9)
    assert (progress.ended(2.0), progress.version) == (0.0, 9)
    begun(progress, 9, now=2.0)
    assert (progress.ended(200.0), progress.version) == (0.0, 9)


def test_a_server_that_ends_every_watch_at_once_is_not_asked_all_the_time(progress):
    delays = []
    for _ in range(4):
        begun(progress)
        delays.append(progress.ended(0.1))
        assert progress.version is None
    assert delays == sorted(delays)
    assert delays[-1] > 6


def test_after_a_failure_the_list_comes_again_each_time_later_up_to_half_a_minute(progress):
    delays = [progress.failed(0.0) for _ in range(8)]
    assert delays[:3] == pytest.approx([0.4, 1.0, 2.5])
    assert delays[-2:] == [30.0, 30.0]
    assert progress.version is None


def test_replicas_that_lose_a_server_at_once_spread_over_a_second():
    replicas = [Progress(Random(seed)) for seed in range(100)]
    for replica in replicas:
        assert begun(replica).failed(1.0) <= 0.4
    delays = [replica.failed(1.5) for replica in replicas]
    assert 0.9 < max(delays) <= 1.0
    assert sum(delay < 0.5 for delay in delays) == pytest.approx(50, abs=20)


def test_what_has_worked_may_fail_once_more_at_little_cost(progress):
    for _ in range(6):
        progress.failed(0.0)
    begun(progress).moved(9)
    assert progress.failed(1.0) == pytest.approx(0.4)
    for _ in range(6):
        progress.failed(0.0)
    begun(progress)  # and tells nothing, as nothing happens
    assert progress.failed(100.0) == pytest.approx(0.4)
    for _ in range(6):
        progress.failed(0.0)
    begun(progress)
    assert progress.failed(1.0) > 10


def test_the_servers_wish_is_obeyed_up_to_half_a_minute(progress):
    assert progress.failed(0.0, retry_after=7.0) == 7.0
    assert progress.failed(0.0, retry_after=3600.0) == 30.0
    for _ in range(5):
        progress.failed(0.0)
    assert progress.failed(0.0, retry_after=1.0) == 30.0


def test_an_expired_version_is_followed_by_a_list_at_once_but_not_all_the_time(progress):
    begun(progress).moved(9)
    assert (progress.expired(), progress.version) == (0.0, None)
    begun(progress)
    assert progress.expired() > 0.5


def test_a_denial_is_believed_unless_it_comes_after_the_server_had_let_us_in(progress):
    assert progress.denied() is None
    progress.listed(5)
    assert progress.denied() is None
    progress.opened(0.0)
    patience = [progress.denied() for _ in range(6)]
    assert all(patience[:5])
    assert patience[5] is None
    begun(progress).moved(9)
    assert progress.denied() == pytest.approx(0.4)


def test_a_list_that_is_older_than_what_was_told_is_another_store(progress):
    assert not progress.listed(5)
    progress.moved(9)
    assert not progress.listed(9)
    assert progress.listed(8)
    assert not progress.listed(8)
