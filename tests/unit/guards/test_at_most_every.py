"""Functions that run at most every so often, start to start, whoever leads."""

import asyncio
import functools
import json
from datetime import UTC, datetime, timedelta

import pytest

from singleton_jobs import ConfigError, LeaseBusy, NotLeader, Replica, Skipped, current_fire, current_term
from singleton_jobs.concurrency.clock import SYSTEM_CLOCK, Clock
from singleton_jobs.events import RunSkipped
from singleton_jobs.guards.at_most_every import claim_run
from singleton_jobs.decisions.ledger import Mark, read_ledger
from singleton_jobs.locks.record import LEDGER_ANNOTATION
from unit.stage import DRIVER, PUSHED, QUICK, Heard, Space, in_thread, until

HOUR = timedelta(hours=1)
TOO_SOON = "too-soon"


class TimedSpace(Space):
    """A store with a wall clock of its own."""

    def __init__(self):
        super().__init__()
        self.ahead = 0.0
        self.clock = Clock(now=SYSTEM_CLOCK.now, wall=lambda: SYSTEM_CLOCK.wall() + self.ahead)

    def marks(self, lease="nightly"):
        return read_ledger(json.loads(self.leases[lease][2])["metadata"]["annotations"][LEDGER_ANNOTATION])


@pytest.fixture
def space():
    return TimedSpace()


@pytest.fixture
def replica(make_replica, space):
    """On a host whose clock is right."""
    return make_replica(clock=PUSHED.clock._replace(wall=space.clock.wall))


@pytest.fixture
def passes(space, replica):
    """Let the store's time pass, and the leader see it."""

    def pass_(seconds):
        space.ahead += seconds
        before = space.requests
        until(lambda: space.requests >= before + 3)

    return pass_


@pytest.fixture
def hourly(replica):
    return replica.leader_only(lease="nightly", at_most_every=HOUR, job="report")(lambda: "ran")


def test_it_runs_and_then_not_again_too_soon(hourly):
    assert hourly() == "ran"
    skipped = hourly()
    assert (skipped.lease, skipped.reason) == ("nightly", TOO_SOON)


@pytest.mark.parametrize(
    ("decorator", "options", "error"),
    [("leader_only", {"on_skip": "raise"}, NotLeader), ("exclusive", {"on_busy": "raise"}, LeaseBusy)],
)
def test_asked_to_raise_it_says_that_it_is_too_soon_and_when_it_may_run(replica, space, decorator, options, error):
    guarded = getattr(replica, decorator)(lease="nightly", at_most_every=HOUR, job="report", **options)
    job = guarded(lambda: "ran")
    assert job() == "ran"
    with pytest.raises(error, match="too short a while ago") as caught:
        job()
    assert caught.value.reason == TOO_SOON
    assert caught.value.retry_at == space.marks()["fn:report"].fire + 0.95 * HOUR
    assert caught.value.retry_at.isoformat() in str(caught.value)
    assert "held" not in str(caught.value)


def test_it_runs_again_when_95_percent_of_the_interval_have_passed(hourly, passes):
    assert hourly() == "ran"
    passes(0.94 * 3600)
    assert hourly().reason == TOO_SOON
    passes(0.02 * 3600)
    assert hourly() == "ran"


def test_it_counts_from_start_to_start(replica, space):
    @replica.leader_only(lease="nightly", at_most_every=3600, job="report")
    def takes_an_hour():
        before = space.requests
        space.ahead += 3600
        until(lambda: space.requests >= before + 3)
        return "ran"

    assert takes_an_hour() == "ran"
    assert takes_an_hour() == "ran"


def test_a_call_that_was_refused_does_not_put_off_the_next(hourly, passes):
    hourly()
    passes(3000)
    assert hourly().reason == TOO_SOON
    passes(600)
    assert hourly() == "ran"


def test_a_run_that_failed_counts(replica):
    @replica.leader_only(lease="nightly", at_most_every=HOUR, job="report")
    def fails():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert fails().reason == TOO_SOON
    assert current_fire() is None


def test_a_run_is_recorded_before_it_begins_and_its_end_is_told_later(replica, space):
    @replica.leader_only(lease="nightly", at_most_every=HOUR, job="report")
    def job():
        return space.marks()["fn:report"]

    mark = job()
    assert mark.state == "c"
    assert abs(mark.fire - datetime.now(UTC)) < timedelta(seconds=30)
    until(lambda: space.marks()["fn:report"] == mark._replace(state="d"))


def test_the_next_leader_counts_from_the_last_run(make_replica):
    runs = []
    for _ in range(2):
        replica = make_replica()
        runs.append(replica.leader_only(lease="nightly", at_most_every=HOUR, job="report")(lambda: "ran")())
        replica.close()
    assert runs[0] == "ran"
    assert runs[1].reason == TOO_SOON


def test_the_hosts_clock_does_not_count(make_replica, space):
    space.ahead = -50.0
    hourly = make_replica().leader_only(lease="nightly", at_most_every=HOUR, job="report")(lambda: "ran")
    assert hourly() == "ran"
    assert abs(space.marks()["fn:report"].fire - datetime.now(UTC) + timedelta(seconds=50)) < timedelta(seconds=20)


def test_jobs_of_one_lease_are_apart_and_one_job_is_one_whatever_the_function(replica):
    guard = functools.partial(replica.leader_only, lease="nightly", at_most_every=HOUR)
    assert guard(job="a")(lambda: "ran")() == "ran"
    assert guard(job="b")(lambda: "ran")() == "ran"
    assert guard(job="b")(lambda: "ran too")().reason == TOO_SOON


def test_of_calls_at_the_same_moment_one_runs(hourly):
    joins = [in_thread(hourly) for _ in range(6)]
    assert [join() for join in joins].count("ran") == 1


def test_inside_the_fire_is_known(replica):
    @replica.leader_only(lease="nightly", at_most_every=HOUR, job="report")
    def job():
        return current_fire(), current_term()

    fire, term = job()
    assert (fire.job, fire.term) == ("fn:report", term)
    assert fire.time.tzinfo is UTC
    assert current_fire() is None


def test_outside_of_a_claimed_run_there_is_no_fire(replica):
    assert replica.leader_only(lease="nightly")(lambda: (current_fire(), current_term()))()[0] is None


def test_coroutines_run_at_most_every_so_often_too(replica):
    @replica.leader_only(lease="nightly", at_most_every=HOUR, job="report")
    async def job():
        await asyncio.sleep(0)
        return current_fire().job

    async def twice():
        return await job(), await job()

    first, second = asyncio.run(twice())
    assert first == "fn:report"
    assert second.reason == TOO_SOON


def test_a_skip_is_told_of(replica, hourly):
    heard = Heard()
    hourly.leadership.subscribe(heard)
    hourly()
    hourly()
    assert heard.wait_for(RunSkipped).reason == TOO_SOON


def test_who_does_not_lead_skips_for_that_reason(hourly, space):
    space.put("nightly", "other_1")
    assert hourly() == Skipped("nightly", "not-leader", "other_1")


def test_a_term_that_ends_before_the_claim_is_decided_skips_the_call(hourly, space, clock):
    leadership = hourly.leadership
    assert leadership.wait(timeout=5)
    space.fault = "down"
    join = in_thread(hourly)
    until(lambda: leadership._part.candidacy.candidate.claims._open)
    clock.push(QUICK.renew_deadline)
    assert join().reason == "not-leader"


# Under a lock for each call


def test_an_exclusive_function_runs_at_most_every_so_often(replica, space):
    job = replica.exclusive(lease="nightly", at_most_every=HOUR, job="report")(lambda: current_fire().job)
    assert job() == "fn:report"
    assert job().reason == TOO_SOON
    assert space.holder("nightly") == ""


def test_a_lock_that_is_lost_before_the_run_is_claimed_says_so(replica, monkeypatch):
    def lost_before(candidacy, *arguments, **options):
        candidacy.abandon("a test")
        return claim_run(candidacy, *arguments, **options)

    monkeypatch.setattr("singleton_jobs.guards.guards.claim_run", lost_before)
    job = replica.exclusive(lease="nightly", at_most_every=HOUR, job="report", on_busy="raise")(lambda: "ran")
    with pytest.raises(LeaseBusy, match=r"^lease 'nightly' was lost while its run was being claimed$") as caught:
        job()
    assert caught.value.reason == "not-leader"


def test_exclusive_calls_of_other_replicas_count(make_replica):
    runs = [
        make_replica().exclusive(lease="nightly", at_most_every=HOUR, job="report")(lambda: "ran")() for _ in range(2)
    ]
    assert runs[0] == "ran"
    assert runs[1].reason == TOO_SOON


def test_an_exclusive_coroutine_runs_at_most_every_so_often(replica):
    @replica.exclusive(lease="nightly", at_most_every=HOUR, job="report")
    async def job():
        return current_fire().job

    async def twice():
        return await job(), await job()

    first, second = asyncio.run(twice())
    assert first == "fn:report"
    assert second.reason == TOO_SOON


def test_the_end_of_an_exclusive_run_is_told_with_the_release(replica, space):
    replica.exclusive(lease="nightly", at_most_every=HOUR, job="report")(lambda: None)()
    assert space.marks()["fn:report"].state == "d"


# Without asking


@pytest.mark.parametrize("kind", ["leader_only", "exclusive"])
def test_in_mode_always_it_always_runs(make_replica, space, kind):
    guard = getattr(make_replica(mode="always"), kind)
    job = guard(lease="nightly", at_most_every=HOUR, job="report")(lambda: current_fire().job)
    assert [job(), job()] == ["fn:report"] * 2
    assert space.requests == 0


@pytest.mark.parametrize("kind", ["leader_only", "exclusive"])
def test_in_mode_never_it_never_runs(make_replica, kind):
    guard = getattr(make_replica(mode="never"), kind)
    assert guard(lease="nightly", at_most_every=HOUR, job="report")(lambda: "ran")().reason == "mode"


# Names and intervals

FREE = Replica(store=Space(), config=QUICK, clock=PUSHED.clock, driver=DRIVER)


@FREE.leader_only(lease="names", at_most_every=HOUR)
def named():
    return current_fire().job


class Jobs:
    @FREE.leader_only(lease="names", at_most_every=HOUR)
    def method(self):
        return current_fire().job


def test_the_functions_own_name_is_its_jobs():
    assert named() == f"fn:{__name__}.named"
    assert Jobs().method() == f"fn:{__name__}.Jobs.method"
    assert Jobs().method().reason == TOO_SOON


at_module_level = lambda: None  # noqa: E731


@pytest.mark.parametrize("function", [at_module_level, lambda: None, functools.partial(print)])
def test_what_has_no_name_to_keep_needs_one(replica, function):
    guard = replica.leader_only(lease="nightly", at_most_every=HOUR)
    with pytest.raises(ConfigError, match="job="):
        guard(function)


@pytest.mark.parametrize("job", ["", "x" * 254, "a\nb", 7])
def test_a_name_that_cannot_be_kept_is_refused(replica, job):
    with pytest.raises(ConfigError, match="name"):
        replica.leader_only(lease="nightly", at_most_every=HOUR, job=job)(lambda: None)


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf"), "1h", True])
def test_an_interval_is_a_positive_time(replica, interval):
    with pytest.raises(ConfigError, match="at_most_every"):
        replica.leader_only(lease="nightly", at_most_every=interval, job="report")(lambda: None)


def test_a_job_without_an_interval_is_refused(replica):
    with pytest.raises(ConfigError, match="at_most_every"):
        replica.leader_only(lease="nightly", job="report")(lambda: None)
