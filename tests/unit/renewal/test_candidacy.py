"""A candidacy: what its threads see of each other."""

import asyncio
import random
import threading

import pytest

from singleton_jobs.renewal.candidacy import Candidacy
from singleton_jobs.decisions.candidate import Candidate
from singleton_jobs.hooks.dispatcher import flush
from singleton_jobs.errors import StoreError
from singleton_jobs.events import (
    HolderChanged,
    StepDownRequested,
    StoreFailed,
    StoreRecovered,
    TermEnded,
    TermStarted,
)
from singleton_jobs.locks.watching import Sight
from unit.stage import LIMIT, PUSHED, QUICK, Space, in_thread


class Driver:
    def __init__(self):
        self.woken = 0

    def wake(self, candidacy):
        self.woken += 1


class Bench:
    """A candidacy whose steps the test takes itself."""

    def __init__(self, *, sticky=True):
        self.space = Space()
        self.events = []
        self.driver = Driver()
        candidate = Candidate("me_1", QUICK, random.Random(1))
        lock = self.space.lock("nightly", "me_1")
        self.candidacy = Candidacy(
            "nightly", candidate, lock, PUSHED.clock, self.driver, self.events.append, sticky=sticky
        )

    def steps(self, number):
        for _ in range(number):
            asyncio.run(self.candidacy.step())

    def lead(self):
        self.candidacy.start()
        self.steps(2)
        return self.candidacy.term


@pytest.fixture
def bench():
    return Bench()


def test_a_read_and_a_write_make_a_leader(bench):
    assert bench.lead().is_valid


def test_nobody_sees_an_answer_before_what_came_of_it(bench):
    bench.space.fault = "down"
    bench.candidacy.start()
    failed, go_on = threading.Event(), threading.Event()
    candidate = bench.candidacy.candidate
    report = candidate.failed

    def slowly(error, now):
        report(error, now)
        failed.set()
        go_on.wait(LIMIT)

    candidate.failed = slowly
    step = in_thread(lambda: bench.steps(1))
    failed.wait(LIMIT)
    seen = in_thread(lambda: (bench.candidacy.settled, bench.candidacy.error))
    go_on.set()
    step()
    settled, error = seen()
    assert not settled or isinstance(error, StoreError)


def test_work_is_entered_and_left(bench):
    term = bench.lead()
    assert bench.candidacy.work.enter("work") is term
    assert len(bench.candidacy.work.active) == 1
    bench.candidacy.work.exit("work")
    assert bench.candidacy.work.active == set()


def test_no_work_is_entered_while_draining(bench):
    bench.lead()
    bench.candidacy.work.enter("work")
    bench.candidacy.work.drain(again=False)
    assert bench.candidacy.work.enter("more work") is None
    assert bench.candidacy.work.active == {"work"}


def test_no_work_is_entered_after_the_deadline_though_no_thread_noticed(bench, clock):
    term = bench.lead()
    clock.push(QUICK.renew_deadline + 1)
    assert bench.candidacy.term is term
    assert bench.candidacy.work.enter("work") is None
    assert term.lost.is_set()


def test_a_signal_handler_that_asks_in_the_midst_of_a_change_is_answered(bench, clock):
    term = bench.lead()
    clock.push(QUICK.renew_deadline + 1)
    with bench.candidacy.mutex:  # the handler runs on the thread that it interrupts
        assert not term.is_valid
    assert not term.lost.is_set()
    assert not term.is_valid
    assert term.lost.is_set()


def test_renewals_go_on_while_a_drain_waits_for_work(bench, clock):
    bench.lead()
    bench.candidacy.work.enter("work")
    bench.candidacy.work.drain(again=False)
    version = bench.space.leases["nightly"][1]
    clock.push(QUICK.retry_period)
    bench.steps(1)
    assert bench.space.leases["nightly"][1] == version + 1


def test_the_last_work_to_end_starts_the_release(bench):
    bench.lead()
    bench.candidacy.work.enter("one")
    bench.candidacy.work.enter("two")
    bench.candidacy.work.drain(again=False)
    bench.candidacy.work.exit("one")
    assert not bench.candidacy.candidate.releasing
    bench.candidacy.work.exit("two")
    assert bench.candidacy.candidate.releasing
    bench.steps(2)
    assert bench.space.holder("nightly") == ""


def test_at_the_drain_limit_the_term_is_lost_and_the_lease_runs_out(bench):
    term = bench.lead()
    bench.candidacy.work.enter("work")
    bench.candidacy.work.drain(again=False)
    bench.candidacy.work.cut_drain()
    bench.steps(2)
    assert term.lost.is_set()
    assert not term.is_valid
    assert bench.space.holder("nightly") == "me_1"


def test_a_drain_cut_after_its_end_changes_nothing(bench):
    term = bench.lead()
    bench.candidacy.work.drain(again=False)
    bench.candidacy.work.cut_drain()
    bench.steps(2)
    assert "released" in term.ending
    assert bench.space.holder("nightly") == ""


def test_a_drain_may_leave_the_lease_to_run_out(bench):
    bench.lead()
    bench.candidacy.work.drain(again=False, release=False)
    bench.steps(2)
    assert bench.space.holder("nightly") == "me_1"


def test_a_candidacy_is_reopened_within_a_change_of_its_own(bench):
    class Noting:
        """Notes at the end of each change whether work is refused."""

        def __enter__(self):
            mutex.__enter__()

        def __exit__(self, *_):
            noted.append(bench.candidacy.work.draining)
            mutex.__exit__(None, None, None)

    bench.lead()
    bench.candidacy.work.drain(again=False)
    bench.steps(2)
    noted, mutex, bench.candidacy.mutex = [], bench.candidacy.mutex, Noting()
    bench.candidacy.work.reopen()
    assert noted[-1] is False


def test_a_request_that_takes_too_long_is_given_up(bench):
    bench.space.fault = "silent"
    bench.candidacy.start()
    bench.steps(1)
    assert "no answer within" in str(bench.candidacy.error)


def test_a_store_that_breaks_its_promises_is_a_store_error(bench, caplog):
    async def get():
        raise ZeroDivisionError("a bug")

    bench.candidacy._lock.get = get
    bench.candidacy.start()
    bench.steps(1)
    assert isinstance(bench.candidacy.error, StoreError)
    flush(LIMIT)
    assert "failed unexpectedly" in caplog.text


def test_gains_and_losses_are_told_once(bench, clock):
    bench.lead()
    clock.push(QUICK.renew_deadline + 1)
    bench.candidacy.expire()
    bench.candidacy.expire()
    assert [type(event) for event in bench.events] == [TermStarted, TermEnded]
    assert bench.events[1].lost


def test_a_run_of_failures_is_told_at_its_start_and_end(bench, clock):
    bench.lead()
    bench.space.fault = "down"
    for _ in range(3):
        clock.push(QUICK.retry_period)
        bench.steps(1)
    bench.space.fault = None
    clock.push(QUICK.retry_period)
    bench.steps(1)
    assert [type(event) for event in bench.events] == [TermStarted, StoreFailed, StoreRecovered]
    assert bench.events[-1].failures == 3


def test_a_new_kind_of_failure_is_told(bench, clock):
    bench.space.fault = "down"
    bench.candidacy.start()
    bench.steps(1)
    bench.space.fault = "denied"
    clock.push(1)
    bench.steps(1)
    assert [type(event.error).__name__ for event in bench.events] == ["StoreError", "AccessDenied"]


def test_another_holder_is_told(bench):
    bench.space.put("nightly", "other_1")
    bench.candidacy.start()
    bench.steps(1)
    assert [(type(event), event.holder) for event in bench.events] == [(HolderChanged, "other_1")]


def test_a_sticky_candidacy_competes_on_after_a_loss(clock):
    bench = Bench(sticky=True)
    first = bench.lead()
    clock.push(QUICK.renew_deadline + 1)
    bench.steps(2)
    assert bench.candidacy.term.fencing_token > first.fencing_token


def test_a_lockers_candidacy_ends_with_its_hold(clock):
    bench = Bench(sticky=False)
    bench.lead()
    version = bench.space.leases["nightly"][1]
    clock.push(QUICK.renew_deadline + 1)
    bench.steps(3)
    assert (bench.candidacy.term, bench.space.leases["nightly"][1]) == (None, version)


def test_a_request_to_step_down_that_is_told_just_when_the_next_renewal_is_due_is_heeded_before_that_drops_it(bench):
    bench.lead()

    async def asked_while_a_renewal_is_due():
        lock = bench.space.lock("nightly", "operator")
        stored = await lock.request_step_down(await lock.get())
        bench.candidacy._told(Sight(stored, stored.version))
        PUSHED.push(QUICK.retry_period)
        await bench.candidacy.step()

    asyncio.run(asked_while_a_renewal_is_due())
    assert [event for event in bench.events if isinstance(event, StepDownRequested)]
