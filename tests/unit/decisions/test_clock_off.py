"""A host whose clock is off claims no fires in time: it leaves the leases that carry them to others."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from singleton_jobs import current_term
from singleton_jobs.concurrency.clock import SYSTEM_CLOCK, Clock
from singleton_jobs.events import ClockOff, TermEnded
from unit.claimants import ledger
from unit.harness import (
    DURATION,
    ME,
    OTHER,
    PERIOD,
    acknowledged,
    follower,
    leader,
    moment,
    reads,
    stored,
    waits,
    writes,
)
from unit.stage import LIMIT, PUSHED, Space, in_thread, seen_by, until

HOUR = 3600.0


def dated(known, second, **more):
    return replace(known, served_at=moment(second), **more)


def decides(made, now, off):
    """What it decides on a host whose clock is ``off`` seconds ahead."""
    return made.decide(now, moment(now + off).timestamp())


# At the desk


@pytest.mark.parametrize("off", [-HOUR, -60.5, 60.5, HOUR])
def test_a_free_lease_that_carries_a_ledger_is_left_to_others(off):
    made = follower(dated(stored("", ledger=ledger()), 0.0))
    decides(made, 0.0, off)
    assert made.clock_off == off
    assert waits(made, 0.0) == PERIOD
    assert made.answer == "busy"


@pytest.mark.parametrize("off", [-59.5, 0.0, 59.5])
def test_a_minute_is_tolerated(off):
    made = follower(dated(stored("", ledger=ledger()), 0.0))
    assert decides(made, 0.0, off).record.holder_identity == ME
    assert made.clock_off == 0.0


def test_a_lease_without_a_ledger_is_taken_whatever_the_clock_says():
    made = follower(dated(stored(""), 0.0))
    assert decides(made, 0.0, HOUR).record.holder_identity == ME


def test_a_store_that_does_not_tell_its_time_is_not_compared():
    made = follower(stored("", ledger=ledger()))
    assert decides(made, 0.0, HOUR).record.holder_identity == ME


@pytest.mark.parametrize(
    "wish", [lambda claims: claims.known.add("aps:a"), lambda claims: claims.introduce({"aps:a": moment(0)})]
)
def test_jobs_to_claim_are_enough_of_a_ledger(wish):
    made = follower(dated(stored(""), 0.0))
    wish(made.claims)
    decides(made, 0.0, HOUR)
    assert made.clock_off == HOUR


def test_a_dead_holders_lease_is_left_to_others_too():
    made = follower(dated(stored(OTHER, ledger=ledger()), 0.0))
    decides(made, 0.0, HOUR)
    made.saw(dated(stored(OTHER, ledger=ledger()), DURATION), DURATION)
    decides(made, DURATION, HOUR)
    assert waits(made, DURATION) == DURATION + PERIOD


def test_a_lease_that_vanished_with_its_ledger_is_not_created():
    made = follower(dated(stored("", ledger=ledger()), 0.0))
    decides(made, 0.0, HOUR)
    made.saw(None, PERIOD)
    decides(made, PERIOD, HOUR)
    assert waits(made, PERIOD) == 2 * PERIOD


def test_once_the_clock_is_right_it_is_taken():
    made = follower(dated(stored("", ledger=ledger()), 0.0))
    decides(made, 0.0, HOUR)
    made.saw(dated(stored("", ledger=ledger()), PERIOD), PERIOD)
    assert decides(made, PERIOD, 0.0).record.holder_identity == ME
    assert made.clock_off == 0.0


def test_a_holder_keeps_its_hold_until_it_is_released():
    made = leader()
    write = writes(made, PERIOD)
    made.wrote(dated(acknowledged(write, 2), PERIOD, ledger=ledger()), sent_at=PERIOD, now=PERIOD)
    decides(made, PERIOD, HOUR)
    assert made.clock_off == HOUR
    assert writes(made, 2 * PERIOD).record.holder_identity == ME
    made.release(2 * PERIOD, again=True)
    assert writes(made, 2 * PERIOD).record.holder_identity == ""


# Over a store that tells its time


class DatedSpace(Space):
    def lock(self, lease, identity):
        return DatedLock(super().lock(lease, identity))


class DatedLock:
    watch = None

    def __init__(self, lock):
        self._lock = lock

    def __getattr__(self, name):
        return getattr(self._lock, name)

    async def get(self):
        return _dated(await self._lock.get())

    async def create(self, record, *, ledger=None):
        return _dated(await self._lock.create(record, ledger=ledger))

    async def update(self, record, replaces, *, ledger=None):
        return _dated(await self._lock.update(record, replaces, ledger=ledger))


def _dated(found):
    return found and replace(found, served_at=datetime.fromtimestamp(SYSTEM_CLOCK.wall(), UTC))


class Host:
    """A host whose wall clock can be set."""

    def __init__(self):
        self.off = 0.0
        self.clock = Clock(now=PUSHED.clock.now, wall=lambda: SYSTEM_CLOCK.wall() + self.off)


@pytest.fixture
def space():
    return DatedSpace()


@pytest.fixture
def host():
    return Host()


@pytest.fixture
def leading(make_replica, host, heard):
    leadership = make_replica(clock=host.clock).leadership("nightly")
    leadership.subscribe(heard)
    assert leadership.wait(timeout=LIMIT)
    return leadership


def now():
    return datetime.now(UTC)


def test_a_leader_whose_clock_is_set_wrong_steps_down_says_so_once_and_leads_again_once_it_is_right(
    leading, host, heard, space
):
    assert leading.claim("report", now())
    host.off = HOUR
    off = heard.wait_for(ClockOff)
    assert (off.lease, round(off.seconds, -1)) == ("nightly", HOUR)
    assert not heard.wait_for(TermEnded).lost
    before = space.requests
    until(lambda: space.requests >= before + 3)
    assert space.holder("nightly") == ""
    host.off = 0.0
    assert leading.wait(timeout=LIMIT)
    assert len([event for event in heard.events if isinstance(event, ClockOff)]) == 1


def test_a_leader_without_claims_does_not_mind(leading, host, space, heard):
    term = leading.term
    host.off = HOUR
    before = space.requests
    until(lambda: space.requests >= before + 3)
    assert leading.term is term
    assert not any(isinstance(event, ClockOff) for event in heard.events)


def test_running_work_comes_to_its_end_first_and_the_hold_is_renewed_meanwhile(make_replica, host, heard, space):
    replica = make_replica(clock=host.clock)
    leadership = replica.leadership("nightly")
    leadership.subscribe(heard)

    @replica.leader_only(lease="nightly", at_most_every=HOUR, job="report")
    def job():
        host.off = HOUR
        heard.wait_for(ClockOff)
        before = space.requests
        until(lambda: space.requests >= before + 3)
        assert job().reason == "too-soon"
        current_term().check()
        return "ran"

    assert job() == "ran"
    assert not heard.wait_for(TermEnded).lost
    until(lambda: space.holder("nightly") == "")


def test_mains_are_told_to_end_and_called_again(leading, host, heard):
    calls = []

    async def main(term):
        calls.append(term)
        if len(calls) == 1:
            await leading.claim_async("report", now())
            host.off = HOUR
            await asyncio.Event().wait()
        return "ended"

    ending = in_thread(lambda: asyncio.run(leading.run(main)))
    heard.wait_for(TermEnded)
    host.off = 0.0
    assert ending() == "ended"
    assert len({term.fencing_token for term in calls}) == 2


def test_synchronous_mains_are_told_too(leading, host, heard):
    def main(term):
        leading.claim("report", now())
        if host.off == 0.0 and not any(isinstance(event, ClockOff) for event in heard.events):
            host.off = HOUR
            assert term.lost.wait(LIMIT)
            return None
        return "ended"

    ending = in_thread(lambda: leading.run_sync(main))
    heard.wait_for(TermEnded)
    host.off = 0.0
    assert ending() == "ended"


def test_another_replica_claims_meanwhile(leading, host, make_replica):
    assert leading.claim("report", now())
    host.off = -HOUR
    other = make_replica().leadership("nightly")
    assert other.wait(timeout=LIMIT)
    assert other.claim("report", now())
    assert not leading.is_leader


def test_a_lock_that_is_held_is_kept_and_none_is_taken(make_replica, host, space):
    replica = make_replica()
    assert replica.leadership("nightly").wait(timeout=LIMIT)
    assert replica.leadership("nightly").claim("report", now())
    replica.close()
    locker = make_replica(clock=host.clock).locker("nightly")
    assert locker.try_lock()
    host.off = HOUR
    before = space.requests
    until(lambda: space.requests >= before + 3)
    assert locker.is_held
    assert not locker._part.candidacy.work.draining
    assert locker.unlock()
    assert not locker.try_lock()
