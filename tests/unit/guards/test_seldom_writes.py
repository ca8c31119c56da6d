"""What a call sends that takes a lease for a run at most every so often."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from singleton_jobs import Config, LeaseBusy, current_fire, current_term
from singleton_jobs.decisions.ledger import Attempt, Mark, read_ledger
from singleton_jobs.errors import StoreError
from singleton_jobs.events import FireGranted, FireInterrupted, LedgerUnreadable
from singleton_jobs.locks.record import LEDGER_ANNOTATION
from singleton_jobs.renewal.fire_claims import FireClaims
from unit.guards.test_reruns import crashed
from unit.stage import LIMIT, QUICK, Space, SpaceLock, in_thread, until

HOUR = timedelta(hours=1)
UNHURRIED = Config(lease_duration=6, retry_period=1)  # no call here takes so long that the lease is renewed
SHORT = 1e-6  # an interval that is over at once


class CountedSpace(Space):
    """Tells what was sent; ``landing`` is called once, when the next write has landed."""

    def __init__(self):
        super().__init__()
        self.sent = []
        self.landing = None

    def lock(self, lease, identity):
        return CountedLock(lease, identity, space=self)

    def keyed_lock(self, base, key, identity):
        return CountedLock(base, identity, key=key, space=self)


class CountedLock(SpaceLock):
    async def get(self):
        self._space.sent.append("read")
        return await super().get()

    async def create(self, record, *, ledger=None):
        self._space.sent.append("create")
        return self._landed(await super().create(record, ledger=ledger))

    async def update(self, record, replaces, *, ledger=None):
        self._space.sent.append("write")
        return self._landed(await super().update(record, replaces, ledger=ledger))

    async def delete(self, replaces):
        self._space.sent.append("delete")
        await super().delete(replaces)

    def _landed(self, stored):
        landing, self._space.landing = self._space.landing, None
        if landing:
            landing()
        return stored


@pytest.fixture
def space():
    return CountedSpace()


@pytest.fixture
def replica(make_replica, heard):
    return make_replica(hooks=[heard], config=UNHURRIED)


def job_of(replica, function=lambda: "ran", **more):
    options = {"lease": "nightly", "at_most_every": SHORT, "job": "report"} | more
    return replica.exclusive(**options)(function)


def free(space, text=None):
    space.put("nightly", "")
    if text:
        space.annotate(LEDGER_ANNOTATION, text)


def mark(space, lease="nightly"):
    return read_ledger(space.annotations(lease)[LEDGER_ANNOTATION])["fn:report"]


@pytest.mark.parametrize("interrupted", ["skip", "rerun"])
def test_a_call_writes_twice(replica, space, interrupted):
    free(space)
    job = job_of(replica, interrupted=interrupted)
    assert job() == "ran"
    assert space.sent == ["read", "write", "write"]
    assert (mark(space).state, mark(space).attempts) == ("d", ())


def test_the_end_of_a_run_is_not_told_before_the_release(replica, space, monkeypatch):
    free(space)
    told, done = [], FireClaims.done

    def noted(fires, job, nonce, *, soon=True):
        told.append(soon)
        done(fires, job, nonce, soon=soon)

    monkeypatch.setattr(FireClaims, "done", noted)
    job_of(replica, interrupted="rerun")()
    assert told == [False]


def test_a_coroutine_writes_twice(replica, space):
    free(space)

    async def job():
        return "ran"

    assert asyncio.run(job_of(replica, job, interrupted="rerun")()) == "ran"
    assert space.sent == ["read", "write", "write"]


def test_a_call_that_comes_too_soon_writes_nothing(replica, make_replica, space):
    free(space)
    assert job_of(make_replica(), at_most_every=HOUR)() == "ran"
    space.sent = []
    job = job_of(replica, at_most_every=HOUR, on_busy="raise")
    with pytest.raises(LeaseBusy, match="may run again at") as caught:
        job()
    assert (caught.value.reason, caught.value.retry_at) == ("too-soon", mark(space).fire + 0.95 * HOUR)
    assert space.sent == ["read"]


@pytest.mark.parametrize("wait", [None, LIMIT])
def test_a_call_that_waits_finds_that_it_is_too_soon_by_then(make_replica, space, wait):
    outer = []
    waiting = job_of(make_replica(), at_most_every=HOUR, wait=wait)

    def job():
        sent = len(space.sent)
        outer.append(in_thread(waiting))
        until(lambda: "read" in space.sent[sent:])
        return "ran"

    assert job_of(make_replica(), job, at_most_every=HOUR)() == "ran"
    assert outer[0]().reason == "too-soon"


def test_keys_write_twice_once_the_stores_time_is_known(replica, space):
    job = job_of(replica, lambda tenant: current_fire().time, lease="sync", key="tenant", at_most_every=HOUR)
    job("a")
    assert space.sent == ["create", "write", "write"]  # by the host's clock nothing is claimed
    space.sent = []
    fire = job("b")
    assert space.sent == ["create", "write"]
    assert mark(space, "sync.b").fire == fire
    assert mark(space, "sync.b").until == fire + 0.95 * HOUR
    assert job("b").reason == "too-soon"


def test_the_fire_is_the_one_in_the_ledger(replica, space):
    free(space)
    fire, kept = job_of(replica, lambda: (current_fire(), mark(space)))()
    assert (fire.time, fire.job, kept.state) == (kept.fire, "fn:report", "c")


def test_an_answer_that_is_lost_is_no_second_run(replica, space):
    free(space)

    def lose():
        raise StoreError("no answer")

    space.landing = lose
    runs = []
    job = job_of(replica, lambda: runs.append((current_fire().time, mark(space).fire)), at_most_every=HOUR, wait=LIMIT)
    job()
    assert len(runs) == 1
    assert runs[0][0] == runs[0][1]
    assert space.sent.count("write") == 3  # taken, taken again since no read gives a hold, given back


def test_what_is_given_up_is_told_and_leaves_the_lease_free(replica, space, heard):
    crashed(space, number=3)
    assert job_of(replica, at_most_every=HOUR, interrupted="rerun")().reason == "too-soon"
    assert heard.wait_for(FireInterrupted).then == "gave-up"
    assert (space.holder("nightly"), mark(space).attempts) == ("", ())


def test_a_ledger_that_cannot_be_read_is_kept_and_told_of(replica, space, heard):
    free(space, "{}")
    assert job_of(replica)().reason == "too-soon"
    assert heard.wait_for(LedgerUnreadable)
    assert space.sent == ["read"]


def test_a_mark_in_the_future_does_not_silence_it(replica, space):
    ahead = Mark(space_time() + timedelta(days=30), "x", "d")
    free(space, f'{{"v":1,"jobs":{{"fn:report":["{ahead.fire.isoformat()}","x","d"]}}}}')
    assert job_of(replica, at_most_every=HOUR)().reason == "too-soon"
    assert mark(space).fire < space_time() + timedelta(minutes=1)


def space_time():
    return datetime.now(UTC)


def test_hooks_are_told_of_the_grant(replica, space, heard):
    free(space)
    fire = job_of(replica, lambda: current_fire())()
    granted = heard.wait_for(FireGranted)
    assert (granted.job, granted.time) == ("fn:report", fire.time)
    assert 0 <= granted.seconds < LIMIT


def test_a_call_that_is_interrupted_before_its_run_begins_leaves_it_to_others(replica, space, monkeypatch):
    """In this process, too."""
    free(space)

    async def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    job = job_of(replica, lambda: current_fire().attempt, at_most_every=HOUR, interrupted="rerun")
    with monkeypatch.context() as patched:
        patched.setattr("singleton_jobs.guards.guards.claim_run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            job()
    cut = mark(space)
    assert cut.attempts == (Attempt(cut.fire, cut.nonce),)
    assert job() == 2


def test_a_call_that_is_interrupted_before_its_run_begins_is_told(replica, space, heard, monkeypatch):
    free(space)

    async def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    job = job_of(replica, at_most_every=HOUR)
    monkeypatch.setattr("singleton_jobs.guards.guards.claim_run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        job()
    assert heard.wait_for(FireInterrupted).job == "fn:report"
    assert mark(space).state == "d"


def test_what_still_runs_under_a_lost_lock_is_not_run_again_here(replica, space, clock):
    free(space)
    beside = []

    def run():
        clock.push(QUICK.renew_deadline)
        beside.append(in_thread(job)())
        return current_fire().attempt

    job = job_of(replica, run, at_most_every=HOUR, interrupted="rerun", wait=LIMIT)
    assert job() == 1
    assert beside[0].reason == "too-soon"


def test_the_term_is_the_one_that_the_claim_began(replica, space):
    free(space)
    versions = []
    job_of(replica, lambda: versions.append((current_term().fencing_token, space.leases["nightly"][1])))()
    assert versions[0][0] == versions[0][1]
