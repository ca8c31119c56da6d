"""Leaderships that claim fires over a real store: granted once, refused, or lost with the term."""

import asyncio
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from singleton_jobs import ConfigError, LeadershipLost, Replica, StoreError
from singleton_jobs.events import LedgerLarge, LedgerUnreadable, MarkLowered
from singleton_jobs.decisions.ledger import Claim, read_ledger
from singleton_jobs.locks.record import LEDGER_ANNOTATION
from unit.stage import DRIVER, LIMIT, PUSHED, QUICK, ClaimedSpace, in_thread, seen_by, until

NOW = datetime.now(UTC)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


@pytest.fixture
def space():
    return ClaimedSpace()


@pytest.fixture
def leading(replica, heard):
    leadership = replica.leadership("nightly")
    leadership.subscribe(heard)
    assert leadership.wait(timeout=LIMIT)
    return leadership


def marks(space):
    return read_ledger(space.annotations()[LEDGER_ANNOTATION])


def lose_answer():
    raise StoreError("no answer")


def test_a_fire_is_granted_once(leading):
    assert leading.claim("report", NOW)
    assert not leading.claim("report", NOW)


def test_a_fire_before_the_last_claimed_one_is_refused_and_a_later_one_granted(leading):
    assert leading.claim("report", NOW)
    assert not leading.claim("report", NOW - HOUR)
    assert leading.claim("report", NOW + SECOND)


def test_a_job_without_a_mark_is_granted_whatever_its_fire(leading):
    assert leading.claim("report", NOW - 1000 * HOUR)


def test_jobs_do_not_mind_each_other(leading):
    assert leading.claim("a", NOW)
    assert leading.claim("b", NOW - HOUR)


def test_one_instant_in_another_zone_is_the_same_fire(leading):
    assert leading.claim("report", NOW)
    assert not leading.claim("report", NOW.astimezone(timezone(5 * HOUR)))


def test_a_fire_more_than_a_minute_ahead_is_refused(leading):
    now = datetime.now(UTC)
    assert leading.claim("report", now + 50 * SECOND)
    assert not leading.claim("report", now + 75 * SECOND)


def test_coroutines_claim_too(leading):
    assert asyncio.run(leading.claim_async("report", NOW))
    assert not asyncio.run(leading.claim_async("report", NOW))


def test_who_does_not_lead_is_refused(replica, space):
    leadership = replica.leadership("nightly")
    assert not leadership.claim("report", NOW)
    assert space.requests == 0
    space.put("nightly", "other_1")
    assert not leadership.wait(timeout=0.1)
    assert not leadership.claim("report", NOW)


@pytest.mark.parametrize("fire", [datetime(2026, 11, 22), 1764000000.0, "2026-11-22T12:00:00Z", None])
def test_a_fire_needs_an_aware_datetime(replica, fire):
    with pytest.raises(ConfigError, match="aware"):
        replica.leadership("nightly").claim("report", fire)


@pytest.mark.parametrize("job", ["", "x" * 254, "line\nbreak", "\ud800", 7, None])
def test_a_job_needs_a_printable_name(replica, job):
    with pytest.raises(ConfigError, match="name"):
        replica.leadership("nightly").claim(job, NOW)


def test_the_last_fire_is_told(leading):
    assert leading.last_fire("report") is None
    leading.claim("report", NOW.astimezone(timezone(HOUR)))
    assert leading.last_fire("report") == NOW
    assert leading.last_fire("report").tzinfo is UTC
    with pytest.raises(ConfigError):
        leading.last_fire("")


def test_the_next_leader_knows_what_was_claimed(make_replica):
    first, second = (make_replica().leadership("nightly") for _ in range(2))
    first.wait(timeout=LIMIT)
    assert first.claim("report", NOW)
    first.close()
    assert second.wait(timeout=LIMIT)
    assert second.last_fire("report") == NOW
    assert not second.claim("report", NOW)
    assert second.claim("report", NOW + SECOND)


def test_threads_that_claim_one_fire_get_it_once(leading):
    joins = [in_thread(lambda: leading.claim("report", NOW)) for _ in range(8)]
    assert sorted(join() for join in joins) == [False] * 7 + [True]


def test_threads_that_claim_in_the_same_moment_share_writes(leading, space):
    wait = []
    space.landing = lambda: wait.extend(in_thread(lambda n=n: leading.claim(f"job{n}", NOW)) for n in range(8))
    before = space.requests
    assert leading.claim("report", NOW)
    assert all(join() for join in wait)
    assert space.requests - before < 8
    assert len(marks(space)) == 9


def test_a_claim_whose_answer_is_lost_is_granted(leading, space):
    space.landing = lose_answer
    assert leading.claim("report", NOW)
    assert marks(space)["app:report"].fire == NOW
    assert not leading.claim("report", NOW)


def test_a_claim_that_is_answered_after_the_deadline_does_not_run(leading, space, clock, make_replica):
    space.landing = lambda: clock.push(QUICK.renew_deadline)
    with pytest.raises(LeadershipLost):
        leading.claim("report", NOW)
    leading.close()
    other = make_replica().leadership("nightly")
    clock.push(QUICK.lease_duration)
    assert other.wait(timeout=LIMIT)
    assert not other.claim("report", NOW)


def test_a_claim_waits_out_an_outage(leading, space, heard):
    space.fault = "down"
    join = in_thread(lambda: leading.claim("report", NOW))
    claims = leading._part.candidacy.candidate.claims
    seen_by(leading._part.candidacy, lambda: bool(claims._open) and leading._part.candidacy.error is not None)
    space.fault = None
    assert join()


def test_a_claim_undecided_when_the_term_ends_is_lost(leading, space, clock):
    space.fault = "down"
    join = in_thread(lambda: leading.claim("report", NOW))
    seen_by(leading._part.candidacy, lambda: leading._part.candidacy.error is not None)
    clock.push(QUICK.renew_deadline)
    with pytest.raises(LeadershipLost):
        join()
    assert not leading._part.candidacy.candidate.claims._open


def test_a_claim_undecided_when_the_leader_steps_down_is_lost(leading, space):
    space.fault = "down"
    join = in_thread(lambda: leading.claim("report", NOW))
    seen_by(leading._part.candidacy, lambda: leading._part.candidacy.error is not None)
    closing = in_thread(lambda: leading.close(drain=0))
    with pytest.raises(LeadershipLost):
        join()
    space.fault = None
    closing()


def test_a_leader_that_drains_is_refused_but_for_its_running_work(replica, leading):
    @replica.leader_only(lease="nightly")
    def work():
        closing = in_thread(leading.close)
        until(lambda: leading._part.candidacy.work.draining)
        outside = in_thread(lambda: leading.claim("report", NOW))()
        return closing, outside, leading.claim("report", NOW)

    closing, outside, inside = work()
    closing()
    assert (outside, inside) == (False, True)


def test_a_claim_of_an_ended_term_is_lost_even_if_a_new_one_leads(leading, clock):
    old = leading.term
    clock.push(QUICK.renew_deadline)
    assert leading.wait(timeout=LIMIT)
    assert leading.term is not old
    with pytest.raises(LeadershipLost):
        asyncio.run(leading._part.candidacy.fires.claim(old, Claim("app:report", NOW, "n"), block=False))
    assert leading.claim("report", NOW)


def test_a_coroutine_that_gives_up_leaves_no_claim_behind(leading, space):
    async def give_up():
        space.fault = "down"
        task = asyncio.ensure_future(leading.claim_async("report", NOW))
        await leading._part.candidacy.changed.wait(
            lambda: leading._part.candidacy.error is not None, PUSHED.clock.now() + LIMIT, block=False
        )
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    assert not leading._part.candidacy.candidate.claims._open
    space.fault = None
    assert leading.claim("report", NOW - HOUR)


def test_foreign_annotations_are_kept(leading, space):
    space.annotate("team", "billing")
    assert leading.claim("report", NOW)
    assert space.annotations()["team"] == "billing"


@pytest.mark.parametrize("text", ["no ledger", '{"v":2,"jobs":{}}'])
def test_an_unreadable_ledger_is_kept_refuses_claims_and_is_told_of(leading, space, heard, text):
    space.annotate(LEDGER_ANNOTATION, text)
    seen_by(leading._part.candidacy, lambda: leading._part.candidacy.candidate.seen.ledger == text)
    assert not leading.claim("report", NOW)
    assert leading.last_fire("report") is None
    heard.wait_for(LedgerUnreadable)
    assert space.annotations()[LEDGER_ANNOTATION] == text


def test_a_large_ledger_is_told_of(leading, heard):
    assert all(join() for join in [in_thread(lambda n=n: leading.claim(f"{n:0250}", NOW)) for n in range(60)])
    assert heard.wait_for(LedgerLarge).size > 16 * 1024


def test_a_large_ledger_that_cannot_be_read_for_a_while_is_told_of_once(leading, heard, space):
    assert all(join() for join in [in_thread(lambda n=n: leading.claim(f"{n:0250}", NOW)) for n in range(60)])
    heard.wait_for(LedgerLarge)
    text = space.annotations()[LEDGER_ANNOTATION]
    space.annotate(LEDGER_ANNOTATION, "{")
    heard.wait_for(LedgerUnreadable)
    space.annotate(LEDGER_ANNOTATION, text)
    seen_by(leading._part.candidacy, lambda: leading.last_fire(f"{0:0250}") is not None)
    assert leading.claim("report", NOW)
    assert len([event for event in heard.events if isinstance(event, LedgerLarge)]) == 1


def test_a_mark_in_the_future_is_lowered_and_told_of(leading, space, heard):
    text = json.dumps({"v": 1, "jobs": {"app:report": [(NOW + HOUR).isoformat(), "x", "d"]}})
    space.annotate(LEDGER_ANNOTATION, text)
    lowered = heard.wait_for(MarkLowered)
    assert (lowered.job, lowered.time) == ("app:report", (NOW + HOUR))
    assert abs(marks(space)["app:report"].fire - datetime.now(UTC)) < 30 * SECOND
    assert leading.claim("report", datetime.now(UTC) + 30 * SECOND)


def test_pretended_leaders_are_granted_everything(make_replica):
    always = make_replica(mode="always").leadership("nightly")
    always.start()
    assert always.claim("report", NOW)


def test_replicas_that_never_lead_are_granted_nothing(make_replica):
    never = make_replica(mode="never").leadership("nightly")
    never.start()
    assert not never.claim("report", NOW)


def test_claims_in_sqlite_outlive_their_replica(tmp_path):
    granted = []
    for number in range(2):
        store = f"sqlite:///{tmp_path}/leases.sqlite3"
        replica = Replica(store=store, identity=f"pod-{number}", config=QUICK, clock=PUSHED.clock, driver=DRIVER)
        leadership = replica.leadership("nightly")
        assert leadership.wait(timeout=LIMIT)
        granted.append([leadership.claim("report", NOW), leadership.claim("report", NOW + number * SECOND)])
        replica.close()
    assert granted == [[True, False], [False, True]]
