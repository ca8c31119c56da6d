"""Functions that run only where the lease is held."""

import asyncio
import logging

import pytest

from singleton_jobs import LeadershipLost, NotLeader, Skipped, current_term
from singleton_jobs.events import RunSkipped, StoreFailed, StoreRecovered
from singleton_jobs.hooks.dispatcher import flush
from unit.stage import LIMIT, ClaimedSpace, Heard, in_thread, seen_by, until


@pytest.fixture
def job(replica):
    @replica.leader_only(lease="nightly")
    def job(*args, **kwargs):
        return args, kwargs, current_term()

    return job


def test_the_first_call_of_a_lone_replica_runs(job):
    args, kwargs, term = job(1, two=2)
    assert (args, kwargs) == ((1,), {"two": 2})
    assert term.is_valid


def test_the_current_term_is_that_of_the_guards_lease(job):
    _, _, term = job()
    assert term is job.leadership.term
    assert term.lease == "nightly"
    assert current_term() is None


def test_the_first_call_takes_a_free_existing_lease_too(job, space):
    space.put("nightly", "")
    assert job()


def test_elsewhere_the_call_is_skipped(job, space):
    space.put("nightly", "other_1")
    skipped = job()
    assert skipped == Skipped("nightly", "not-leader", "other_1")


def test_skipped_is_falsy_and_says_why():
    skipped = Skipped("nightly", "busy", "other_1")
    assert not skipped
    assert (skipped.lease, skipped.reason, skipped.holder) == ("nightly", "busy", "other_1")


def test_on_two_replicas_one_runs(make_replica):
    results = [make_replica().leader_only(lease="nightly")(lambda: "ran")() for _ in range(2)]
    assert results[0] == "ran"
    assert results[1].reason == "not-leader"


def test_asked_to_raise_the_guard_raises(replica, space):
    space.put("nightly", "other_1")
    strict = replica.leader_only(lease="nightly", on_skip="raise")(lambda: None)
    with pytest.raises(NotLeader, match="other_1") as caught:
        strict()
    assert (caught.value.lease, caught.value.reason, caught.value.holder) == ("nightly", "not-leader", "other_1")


@pytest.mark.parametrize(("fault", "reason"), [("denied", "access-denied"), ("down", "store-unreachable")])
def test_a_store_that_fails_skips_the_call(job, space, fault, reason):
    space.fault = fault
    assert job().reason == reason


def test_a_silent_store_is_waited_for_no_longer_than_one_request(job, space, clock):
    space.fault = "silent"
    before = clock.clock.now()
    assert job().reason in ("not-ready", "store-unreachable")
    assert clock.clock.now() - before < 1.5 * job.leadership._part.candidacy.config.request_timeout


def test_later_calls_never_wait(job, space):
    space.fault = "down"
    job()
    space.fault = "silent"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job.leadership._part.candidacy.changed, "wait", None)
        assert job().reason == "store-unreachable"


def told(job):
    until(lambda: job.leadership._part.candidacy.following.how == "told by memory")


def test_whoever_is_told_who_leads_does_not_call_the_store_unreachable_any_more(job, space):
    space.put("nightly", "other_1")
    assert job().reason == "not-leader"
    told(job)
    space.fault = "down"
    space.put("nightly", "")
    until(lambda: job().reason == "store-unreachable")
    space.put("nightly", "another_1")
    until(lambda: job().reason == "not-leader")


def test_a_holder_that_cannot_renew_is_not_reassured_by_what_it_is_told(make_replica):
    space, heard = ClaimedSpace(), Heard()
    job = make_replica(store=space, hooks=[heard]).leader_only(lease="nightly")(lambda: "ran")
    assert job() == "ran"
    told(job)
    space.fault = "down"
    heard.wait_for(StoreFailed)
    space.annotate("edited-by", "somebody")
    candidacy = job.leadership._part.candidacy
    seen_by(candidacy, lambda: "edited-by" in str(candidacy.candidate.seen.raw))
    space.fault = None
    heard.wait_for(StoreRecovered)
    kinds = [type(event) for event in heard.events if isinstance(event, (StoreFailed, StoreRecovered))]
    assert kinds == [StoreFailed, StoreRecovered]


def test_exceptions_pass_through_and_the_term_goes_on(replica):
    @replica.leader_only(lease="nightly")
    def fails():
        raise KeyError("x")

    with pytest.raises(KeyError):
        fails()
    assert fails.leadership.is_leader
    assert current_term() is None


def test_skips_are_told_to_hooks(make_replica, space):
    heard = Heard()
    space.put("nightly", "other_1")
    job = make_replica(hooks=[heard]).leader_only(lease="nightly")(test_skips_are_told_to_hooks)
    job(None, None)
    event = heard.wait_for(RunSkipped)
    assert (event.lease, event.function, event.reason) == ("nightly", "test_skips_are_told_to_hooks", "not-leader")


def test_skips_are_told_to_subscribers(job, space):
    heard = Heard()
    space.put("nightly", "other_1")
    job()
    job.leadership.subscribe(heard)
    job()
    assert heard.wait_for(RunSkipped).reason == "not-leader"


def test_skips_are_written_into_a_log_that_wants_them(job, space, caplog):
    space.put("nightly", "other_1")
    job()
    caplog.set_level(logging.DEBUG, "singleton_jobs")
    job()
    flush(LIMIT)
    assert [record.getMessage() for record in caplog.records if "skipped" in record.getMessage()] == [
        f"{job.__qualname__} skipped: not-leader (lease nightly)"
    ]


def test_every_skip_is_told_once(make_replica, space):
    heard = Heard()
    space.put("nightly", "other_1")
    job = make_replica(hooks=[heard]).leader_only(lease="nightly")(lambda: "ran")
    for _ in range(10):
        assert job().reason == "not-leader"
    flush(LIMIT)
    assert sum(isinstance(event, RunSkipped) for event in heard.events) == 10


def test_a_skip_that_nobody_listens_for_wakes_no_thread(job, space, monkeypatch):
    space.put("nightly", "other_1")
    job()
    monkeypatch.setattr(job.leadership._part, "emit", None)
    assert job() == Skipped("nightly", "not-leader", "other_1")


def test_mode_always_runs_everything_without_asking(make_replica, space):
    space.fault = "down"
    job = make_replica(mode="always").leader_only(lease="nightly")(lambda: current_term().is_valid)
    assert job() is True
    assert space.requests == 0


def test_mode_never_runs_nothing_without_asking(make_replica, space):
    job = make_replica(mode="never").leader_only(lease="nightly")(lambda: "ran")
    assert job().reason == "mode"
    assert space.requests == 0


def test_mode_may_come_from_the_environment(make_replica, monkeypatch):
    monkeypatch.setenv("SINGLETON_JOBS_MODE", "never")
    assert make_replica().leader_only(lease="nightly")(lambda: "ran")().reason == "mode"


def test_a_lost_lease_is_told_by_check(replica, space):
    @replica.leader_only(lease="nightly")
    def job():
        term = current_term()
        term.check()
        space.put("nightly", "thief_1")
        assert term.lost.wait(LIMIT)
        term.check()

    with pytest.raises(LeadershipLost, match="thief_1"):
        job()


def test_after_a_loss_calls_are_skipped(job, space):
    job()
    space.put("nightly", "thief_1")
    seen_by(job.leadership._part.candidacy, lambda: not job.leadership.is_leader)
    assert job().reason == "not-leader"


def test_a_replica_does_not_compete_while_work_of_its_lost_term_runs(job, replica, space):
    go_on, started = [], []

    @replica.leader_only(lease="nightly")
    def long():
        started.append(current_term())
        until(lambda: go_on)

    join = in_thread(long)
    until(lambda: started)
    space.put("nightly", "thief_1")
    assert started[0].lost.wait(LIMIT)
    space.put("nightly", "")
    assert not job.leadership.wait(timeout=0.5)
    go_on.append(1)
    join()
    assert job.leadership.wait(timeout=LIMIT)


def test_nested_guards_of_one_lease_share_the_term(replica, job):
    outer = replica.leader_only(lease="nightly")(lambda: (current_term(), job()[2]))
    assert len(set(outer())) == 1


def test_a_nested_guard_of_another_lease_must_lead_too(replica, space):
    space.put("other", "other_1")
    inner = replica.leader_only(lease="other")(lambda: "ran")
    outer = replica.leader_only(lease="nightly")(lambda: inner())
    assert outer().lease == "other"


def test_the_current_term_is_the_innermost(replica):
    inner = replica.leader_only(lease="inner")(lambda: current_term().lease)

    @replica.leader_only(lease="outer")
    def outer():
        return current_term().lease, inner(), current_term().lease

    assert outer() == ("outer", "inner", "outer")


def test_a_coroutine_function_is_awaited(replica):
    @replica.leader_only(lease="nightly")
    async def job(number):
        await asyncio.sleep(0)
        return number, current_term().lease

    assert asyncio.run(job(7)) == (7, "nightly")


def test_a_coroutine_is_skipped_elsewhere(replica, space):
    space.put("nightly", "other_1")

    @replica.leader_only(lease="nightly")
    async def job():
        return "ran"

    assert asyncio.run(job()).reason == "not-leader"


def test_losing_the_term_cancels_the_coroutine_with_leadership_lost(replica, space):
    cancelled = []

    @replica.leader_only(lease="nightly")
    async def job():
        space.put("nightly", "thief_1")
        try:
            await asyncio.sleep(LIMIT)
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    with pytest.raises(LeadershipLost, match="thief_1"):
        asyncio.run(job())
    assert cancelled


def test_a_cancellation_from_outside_stays_one(replica):
    @replica.leader_only(lease="nightly")
    async def job(started):
        started.set()
        await asyncio.sleep(LIMIT)

    async def main():
        started = asyncio.Event()
        task = asyncio.create_task(job(started))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_a_function_called_first_on_an_event_loops_thread_does_not_block_it(job, space):
    space.fault = "silent"

    async def main():
        return job()

    assert asyncio.run(main()).reason == "not-ready"


def test_a_function_on_an_event_loops_thread_runs_once_the_answer_is_there(job):
    async def main():
        job()
        await job.leadership.wait_async(timeout=LIMIT)
        return job()

    assert asyncio.run(main())


def test_a_drained_replica_skips(replica, job):
    job()
    replica.close()
    assert job().reason == "draining"


def test_a_guard_of_a_locker_runs_only_while_it_is_held(replica):
    locker = replica.locker("rebuild")
    job = locker.leader_only(lambda: current_term())
    assert job().reason == "not-leader"
    locker.try_lock()
    assert job() is locker.term
    locker.unlock()
    assert job().reason == "not-leader"
