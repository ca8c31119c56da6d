"""A lock on a lease: taken, refused, waited for, given back."""

import pytest

from singleton_jobs import (
    LeaseBusy,
    SingletonJobsError,
    current_term,
)
from unit.stage import LIMIT, in_thread, seen_by, until


@pytest.fixture
def locker(replica):
    return replica.locker("rebuild")


@pytest.fixture
def other(replica):
    return replica.locker("rebuild")


def test_a_free_lease_is_locked(locker):
    assert locker.try_lock()
    assert locker.is_held


def test_locking_waits_for_a_free_lease_only_as_long_as_it_takes(locker):
    assert locker.lock(timeout=LIMIT)


def test_two_lockers_of_one_process_exclude_each_other(locker, other):
    assert locker.try_lock()
    assert not other.try_lock()
    assert not other.is_held


def test_two_replicas_exclude_each_other(make_replica):
    first, second = make_replica().locker("rebuild"), make_replica().locker("rebuild")
    assert first.try_lock()
    assert not second.try_lock()


def test_lockers_of_different_leases_do_not_meet(replica):
    assert replica.locker("a").try_lock()
    assert replica.locker("b").try_lock()


def test_a_lock_is_given_up_at_its_limit(locker, other):
    locker.try_lock()
    assert not other.lock(timeout=0.05)


def test_a_waiting_lock_gets_the_lease_when_it_is_freed(locker, other):
    locker.try_lock()
    waiting = in_thread(lambda: other.lock(timeout=LIMIT))
    until(lambda: other._part.candidacy and other._part.candidacy.settled)
    locker.unlock()
    assert waiting()
    assert other.is_held


def test_unlock_says_that_it_freed_the_lease(locker, space):
    locker.try_lock()
    assert locker.unlock()
    assert space.holder("rebuild") == ""
    assert not locker.is_held


def test_unlock_of_what_was_never_locked_frees_nothing(locker):
    assert not locker.unlock()


def test_a_second_unlock_frees_nothing(locker):
    locker.try_lock()
    locker.unlock()
    assert not locker.unlock()


def test_unlock_of_what_another_holds_by_now_frees_nothing(locker, space):
    locker.try_lock()
    space.put("rebuild", "thief_1")
    assert not locker.unlock()
    assert space.holder("rebuild") == "thief_1"


def test_unlock_without_an_answer_says_no_and_ends_the_hold_all_the_same(locker, space):
    locker.try_lock()
    space.fault = "down"
    assert not locker.unlock()
    assert not locker.is_held


def test_unlock_with_retry_goes_on_until_the_store_answers(locker, space):
    locker.try_lock()
    space.fault = "down"
    tries = in_thread(lambda: locker.unlock_with_retry(timeout=LIMIT))
    before = space.requests
    seen_by(locker._part.candidacy, lambda: space.requests >= before + 2)
    space.fault = None
    assert tries()
    assert space.holder("rebuild") == ""


def test_unlock_with_retry_ends_at_its_limit(locker, space):
    locker.try_lock()
    space.fault = "down"
    assert not locker.unlock_with_retry(timeout=0.1)


def test_what_was_unlocked_can_be_locked_by_others_at_once(locker, other):
    locker.try_lock()
    locker.unlock()
    assert other.try_lock()


def test_lockers_that_take_turns_always_find_the_lease_free(make_replica):
    lockers = [make_replica().locker("rebuild") for _ in range(2)]
    for turn in range(6):
        assert lockers[turn % 2].try_lock(), turn
        assert lockers[turn % 2].unlock()


def test_a_locker_is_not_reentrant(locker):
    locker.try_lock()
    with pytest.raises(SingletonJobsError, match="re-entrant"):
        locker.lock()


def test_trying_a_held_locker_again_says_no(locker):
    locker.try_lock()
    assert not locker.try_lock()
    assert locker.is_held


def test_threads_that_share_a_locker_exclude_each_other(locker):
    inside, most = [], []

    def work():
        with locker.hold(timeout=LIMIT):
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    for join in [in_thread(work) for _ in range(4)]:
        join()
    assert most == [1, 1, 1, 1]


def test_each_lock_has_a_greater_fencing_token(locker):
    tokens = []
    for _ in range(3):
        with locker as term:
            tokens.append(term.fencing_token)
    assert tokens == sorted(set(tokens))


def test_each_locker_has_an_identity_of_its_own(locker, other):
    locker.try_lock()
    first = locker.term.identity
    locker.unlock()
    other.try_lock()
    assert first != other.term.identity
    assert first.startswith("pod-0_")


def test_hold_gives_the_term_and_frees_the_lease(locker, space):
    with locker.hold() as term:
        assert term.is_valid
        assert current_term() is term
    assert current_term() is None
    assert space.holder("rebuild") == ""


def test_hold_frees_the_lease_when_its_block_raises(locker, space):
    with pytest.raises(ZeroDivisionError), locker.hold():
        1 / 0
    assert space.holder("rebuild") == ""


def test_hold_says_who_is_in_the_way(locker, space):
    space.put("rebuild", "somebody_1")
    with pytest.raises(LeaseBusy, match="somebody_1") as caught, locker.hold(timeout=0.05):
        pass
    assert (caught.value.lease, caught.value.holder) == ("rebuild", "somebody_1")
