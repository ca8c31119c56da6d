"""What a singleton job store tells its scheduler: nothing on a follower, what is due on the leader."""

import pytest

from apscheduler.events import EVENT_JOB_EXECUTED, EVENT_JOB_MISSED, EVENT_JOB_REMOVED
from apscheduler.jobstores.memory import MemoryJobStore
from singleton_jobs.events import FireInterrupted, FireSkipped
from unit.apscheduler.site import DAY, HOUR, KEY, MINUTE, SECOND, Delegate, follows, leads, now, sql_store, submitted
from unit.apscheduler.work import work
from unit.stage import QUICK, seen_by

JOB = {"func": work, "trigger": "interval", "hours": 1, "id": "job", "misfire_grace_time": 1800}


@pytest.fixture(params=["memory", "sqlite"])
def inner(request, tmp_path):
    return MemoryJobStore() if request.param == "memory" else sql_store(f"sqlite:///{tmp_path}/jobs.sqlite3")


def store_of(scheduler):
    return scheduler._jobstores["default"]


def test_a_follower_has_nothing_due_and_never_looks_again(make, space, inner, ran):
    space.put("nightly", "other_1")
    scheduler = make(jobstores={"default": inner})
    scheduler.add_job(work, "date", id="job", run_date=now() - SECOND)
    scheduler.start()
    follows(scheduler.leadership)
    assert scheduler.look() is None
    assert store_of(scheduler).get_due_jobs(now() + HOUR) == []
    assert store_of(scheduler).get_next_run_time() is None
    assert inner.lookup_job("job").next_run_time < now()
    assert not submitted(scheduler)
    assert not ran


def test_a_follower_shows_its_jobs(make, space, inner):
    space.put("nightly", "other_1")
    scheduler = make(jobstores={"default": inner})
    scheduler.add_job(**JOB)
    scheduler.start()
    follows(scheduler.leadership)
    assert [job.id for job in scheduler.get_jobs()] == ["job"]
    assert scheduler.get_job("job").func is work
    scheduler.remove_job("job")
    assert scheduler.get_jobs() == []


def test_the_leader_runs_what_is_due_under_its_fire(start, space, inner, ran):
    mark = now() - HOUR - 5 * SECOND
    space.mark(mark)
    scheduler = start({**JOB, "start_date": mark}, jobstores={"default": inner})
    scheduler.run(EVENT_JOB_EXECUTED)
    ((_, fire, term),) = ran
    assert (fire.job, fire.time, fire.term) == (KEY, mark + HOUR, term)
    assert term is scheduler.leadership.term
    assert space.ledger()[KEY].fire == mark + HOUR
    assert scheduler.get_job("job").next_run_time == mark + 2 * HOUR
    scheduler.look()
    assert submitted(scheduler) == 1


def test_an_interval_whose_row_is_made_anew_keeps_its_phase(start, space, inner, ran):
    mark = now() - HOUR - 5 * SECOND
    space.mark(mark)
    scheduler = start(JOB, jobstores={"default": inner})
    scheduler.look()
    assert submitted(scheduler) == 1
    scheduler.wait_events(EVENT_JOB_EXECUTED)
    assert ran[0][1].time == mark + HOUR
    assert scheduler.get_job("job").next_run_time == mark + 2 * HOUR


def test_a_job_seen_for_the_first_time_is_marked_and_not_run(start, space, inner):
    scheduler = start(JOB, jobstores={"default": inner})
    before = scheduler.get_job("job").next_run_time
    assert scheduler.look() <= 3600
    assert not submitted(scheduler)
    assert abs(scheduler.leadership._part.candidacy.fires.mark(KEY).fire - now()) < 10 * SECOND
    assert scheduler.get_job("job").next_run_time == before
    seen_by(scheduler.leadership._part.candidacy, lambda: KEY in space.ledger())
    assert space.ledger()[KEY].nonce == ""


def test_a_job_added_to_a_leader_is_marked_before_its_first_fire(start):
    scheduler = start()
    scheduler.look()
    scheduler.add_job(**JOB)
    scheduler.look()
    assert scheduler.leadership._part.candidacy.fires.mark(KEY).fire <= now()


def test_a_date_job_runs_once_and_is_removed(start, inner, ran):
    scheduler = start({"func": work, "id": "job"}, jobstores={"default": inner})
    scheduler.run(EVENT_JOB_EXECUTED)
    assert scheduler.events(EVENT_JOB_REMOVED)
    scheduler.look()
    assert scheduler.get_jobs() == []
    assert inner.get_all_jobs() == []
    assert len(ran) == 1
    assert scheduler.leadership._part.candidacy.fires.mark(KEY).fire == ran[0][1].time


def test_a_date_job_that_was_claimed_elsewhere_is_removed_without_a_run(make, space, inner, ran):
    when = now() - 5 * SECOND
    space.mark(when)
    scheduler = make(jobstores={"default": inner})
    scheduler.add_job(work, "date", id="job", run_date=when)
    scheduler.start()
    leads(scheduler.leadership)
    scheduler.look()
    assert scheduler.get_jobs() == []
    assert not submitted(scheduler)
    assert not ran


def test_a_finished_date_job_whose_row_another_replica_removed_is_no_error(start, inner):
    scheduler = start({"func": work, "id": "job"}, jobstores={"default": inner})
    remove = inner.remove_job

    def removed_first(job_id):
        remove(job_id)
        remove(job_id)

    inner.remove_job = removed_first
    scheduler.run(EVENT_JOB_EXECUTED)
    assert scheduler.look() is None or scheduler.look() <= 1
    assert scheduler.get_jobs() == []


def test_a_paused_scheduler_does_not_compete(make, space):
    scheduler = make()
    scheduler.add_job(**JOB)
    scheduler.start(paused=True)
    assert scheduler.look() is None
    assert not scheduler.leadership._part.candidacy.started
    assert space.requests == 0
    scheduler.resume()
    leads(scheduler.leadership)


def test_a_leader_that_is_paused_hands_nothing_out(start, space, ran):
    space.mark(now() - HOUR - SECOND)
    scheduler = start(JOB)
    scheduler.pause()
    assert store_of(scheduler).get_due_jobs(now() + DAY) == []
    assert store_of(scheduler).get_next_run_time() is None
    scheduler.look()
    assert not ran
    scheduler.resume()
    scheduler.run(EVENT_JOB_EXECUTED)


def test_a_paused_job_survives_a_change_of_leaders(start, clock):
    scheduler = start(JOB)
    scheduler.look()
    scheduler.pause_job("job")
    clock.push(QUICK.renew_deadline)
    leads(scheduler.leadership)
    scheduler.look()
    assert scheduler.get_job("job").next_run_time is None
    assert not submitted(scheduler)


def test_the_last_pass_of_a_scheduler_that_was_shut_down_touches_nothing(make, replica, tmp_path):
    inner = sql_store(f"sqlite:///{tmp_path}/jobs.sqlite3")
    scheduler = make(jobstores={"default": inner})
    scheduler.add_job(work, "date", id="job", run_date=now())
    scheduler.start()
    leads(scheduler.leadership)
    scheduler.shutdown()
    assert scheduler.look() is None
    assert not submitted(scheduler)
    assert inner.lookup_job("job") is not None
    inner.shutdown()


def test_a_shared_store_is_looked_at_every_poll(start):
    scheduler = start(JOB, jobstores={"default": Delegate()}, poll=3)
    assert 2 < scheduler.look() <= 3


def test_a_shared_store_without_jobs_is_looked_at_every_poll(start):
    assert 2 < start(jobstores={"default": Delegate()}, poll=3).look() <= 3


def test_a_store_of_its_own_is_looked_at_when_a_job_is_due(start, space):
    assert start().look() is None
    scheduler = start({**JOB, "jobstore": "own"}, jobstores={"own": MemoryJobStore()})
    assert 3500 < scheduler.look() <= 3600


def test_a_new_term_wakes_the_scheduler(start, clock):
    scheduler = start(JOB)
    scheduler.wait_for(lambda: scheduler.wakeups >= 2)  # the start itself, and the term
    before = scheduler.wakeups
    clock.push(QUICK.renew_deadline)
    leads(scheduler.leadership)
    scheduler.wait_for(lambda: scheduler.wakeups > before)


def test_a_new_leader_goes_on_where_the_mark_says(start, space, ran):
    mark = now() - 3 * HOUR - SECOND
    space.mark(mark)
    scheduler = start({**JOB, "misfire_grace_time": 7200, "coalesce": False})
    scheduler.run(EVENT_JOB_EXECUTED, 2)
    assert [fire.time for _, fire, _ in ran] == [mark + 2 * HOUR, mark + 3 * HOUR]


def test_when_all_missed_fires_are_older_than_the_grace_the_latest_is_told_as_missed(start, space, ran):
    mark = now() - 2 * HOUR - 10 * MINUTE
    space.mark(mark)
    scheduler = start({**JOB, "misfire_grace_time": 60})
    (missed,) = scheduler.run(EVENT_JOB_MISSED)
    assert missed.scheduled_run_time == mark + 2 * HOUR
    assert not ran
    scheduler.look()
    assert submitted(scheduler) == 1
    assert scheduler.leadership._part.candidacy.fires.mark(KEY).fire == mark + 2 * HOUR


def test_a_replica_that_was_a_follower_starts_from_the_mark_of_the_leader_before(make, make_replica, ran):
    first, second = (make(on=make_replica()) for _ in range(2))
    for scheduler in (first, second):
        scheduler.add_job(**JOB)
    first.start()
    leads(first.leadership)
    first.look()
    second.start()
    first.modify_job("job", next_run_time=first.leadership._part.candidacy.fires.mark(KEY).fire + SECOND)
    first.shutdown()
    leads(second.leadership)
    second.look()
    assert second.get_job("job").next_run_time > now() + 50 * MINUTE
    assert not ran


def test_a_shared_row_that_was_advanced_without_a_claim_is_taken_back(start, space, ran):
    mark = now() - HOUR - SECOND
    space.mark(mark)
    scheduler = start({**JOB, "next_run_time": mark + 2 * HOUR}, jobstores={"default": Delegate()})
    scheduler.run(EVENT_JOB_EXECUTED)
    assert ran[0][1].time == mark + HOUR


def test_run_now_runs_without_a_claim_and_leaves_mark_and_phase(start, space, inner, ran):
    mark = now() - 10 * MINUTE
    space.mark(mark)
    scheduler = start(JOB, jobstores={"default": inner})
    scheduler.look()
    scheduler.modify_job("job", next_run_time=now())
    scheduler.run(EVENT_JOB_EXECUTED)
    ((_, fire, term),) = ran
    assert fire is None
    assert term is scheduler.leadership.term
    assert space.ledger()[KEY].fire == mark
    assert scheduler.get_job("job").next_run_time == mark + HOUR


def test_run_now_of_a_cron_runs_without_a_claim_and_leaves_its_mark(start, inner, ran):
    hour = now().replace(minute=0, second=0, microsecond=0) - 10 * HOUR
    cron = {"func": work, "trigger": "cron", "hour": hour.hour, "id": "job", "misfire_grace_time": 60}
    scheduler = start(cron, jobstores={"default": inner})
    scheduler.look()
    marked = scheduler.leadership._part.candidacy.fires.mark(KEY).fire
    scheduler.modify_job("job", next_run_time=now())
    scheduler.run(EVENT_JOB_EXECUTED)
    assert ran[0][1] is None
    assert scheduler.leadership._part.candidacy.fires.mark(KEY).fire == marked
    assert scheduler.get_job("job").next_run_time == hour + DAY
    scheduler.modify_job("job", next_run_time=now())
    scheduler.run(EVENT_JOB_EXECUTED, 2)
    assert len(ran) == 2


def test_a_date_job_that_is_moved_runs_once_where_it_was_moved_to(start, inner, ran):
    job = {"func": work, "trigger": "date", "run_date": now() + DAY, "id": "job", "misfire_grace_time": 60}
    scheduler = start(job, jobstores={"default": inner})
    scheduler.look()
    moved = now()
    scheduler.modify_job("job", next_run_time=moved)
    scheduler.run(EVENT_JOB_EXECUTED)
    assert ran[0][1].time == moved
    assert scheduler.leadership._part.candidacy.fires.mark(KEY).fire == moved
    scheduler.look()
    assert scheduler.get_jobs() == []


def test_a_date_job_whose_id_is_used_again_runs_again(start, inner, ran):
    scheduler = start({"func": work, "id": "job"}, jobstores={"default": inner})
    scheduler.run(EVENT_JOB_EXECUTED)
    scheduler.add_job(work, id="job")
    scheduler.run(EVENT_JOB_EXECUTED, 2)
    assert len({fire.time for _, fire, _ in ran}) == 2
    assert scheduler.get_jobs() == []


def test_a_job_that_is_rescheduled_goes_on_with_its_new_schedule(start, space, inner, ran):
    space.mark(now() - 10 * MINUTE)
    scheduler = start(JOB, jobstores={"default": inner})
    scheduler.look()
    scheduler.reschedule_job("job", trigger="interval", minutes=5)
    scheduler.look()
    assert not ran
    assert now() < scheduler.get_job("job").next_run_time <= now() + 5 * MINUTE


def test_a_job_that_is_resumed_does_not_run_what_it_missed(start, space, inner, ran):
    space.mark(now() - 3 * HOUR)
    scheduler = start({**JOB, "next_run_time": None, "misfire_grace_time": None}, jobstores={"default": inner})
    scheduler.look()
    scheduler.resume_job("job")
    scheduler.look()
    assert not ran
    assert scheduler.get_job("job").next_run_time > now()


def test_marks_of_jobs_that_are_here_are_kept_and_of_removed_ones_not(start, space):
    scheduler = start(JOB, {**JOB, "id": "other"})
    scheduler.look()
    assert scheduler.leadership._part.jobs == {KEY, "aps:default:other"}
    scheduler.remove_job("other")
    assert scheduler.leadership._part.jobs == {KEY}
    scheduler.remove_all_jobs()
    assert scheduler.leadership._part.jobs == set()


def test_run_now_when_a_fire_is_due_is_that_fire(start, space, ran):
    mark = now() - 10 * MINUTE
    space.mark(mark)
    scheduler = start(JOB)
    scheduler.look()
    scheduler.modify_job("job", next_run_time=mark + HOUR)
    assert scheduler.look() > 1
    assert not ran


def test_a_moved_interval_goes_on_from_where_it_was_moved_to(start, space, ran, monkeypatch):
    space.mark(now() - 10 * MINUTE)
    scheduler = start(JOB)
    scheduler.look()
    target = now() + 0.05 * SECOND
    scheduler.modify_job("job", next_run_time=target)
    while scheduler.look() is not None and not submitted(scheduler):
        pass
    scheduler.wait_events(EVENT_JOB_EXECUTED)
    assert ran[0][1].time == target
    assert scheduler.get_job("job").next_run_time == target + HOUR


def test_an_interrupted_fire_of_another_leader_is_told_and_skipped(start, space, heard, ran):
    mark = now() - 10 * MINUTE
    space.mark(mark, state="c")
    scheduler = start(JOB)
    scheduler.look()
    assert heard.wait_for(FireInterrupted).job == KEY
    assert not ran


def test_a_job_that_was_removed_meanwhile_does_not_come_back(start, space, ran):
    mark = now() - HOUR - SECOND
    space.mark(mark)
    inner = Delegate()
    scheduler = start({**JOB, "start_date": mark, "next_run_time": mark + HOUR}, jobstores={"default": inner})
    update = inner.rows.update_job

    def removed_first(job):
        inner.rows.remove_job("job")
        update(job)

    inner.rows.update_job = removed_first
    scheduler.run(EVENT_JOB_EXECUTED)
    inner.rows.update_job = update
    scheduler.look()
    assert scheduler.get_jobs() == []
    assert submitted(scheduler) == 1


def test_a_refused_fire_is_told_and_the_schedule_goes_on(start, space, heard, ran):
    mark = now() - HOUR - SECOND
    space.mark(mark)
    scheduler = start(JOB)
    candidacy = scheduler.leadership._part.candidacy
    marks = candidacy.fires.marks()
    seen_by(candidacy, lambda: KEY in candidacy.fires.marks())
    candidacy.fires.marks = lambda: {**marks, KEY: candidacy.candidate.claims.marks[KEY]._replace(fire=mark)}
    space.mark(mark + HOUR, nonce="other")
    scheduler.look()
    skipped = heard.wait_for(FireSkipped, reason="refused")
    assert (skipped.job, skipped.time) == (KEY, (mark + HOUR))
    assert not ran
    assert scheduler.get_job("job").next_run_time == mark + 2 * HOUR
