"""A job store that fails: the scheduler's loop outlives it, nothing is run twice, and what was not written is made good."""

import logging

import pytest

from apscheduler.events import EVENT_JOB_EXECUTED, EVENT_JOB_REMOVED
from apscheduler.jobstores.base import ConflictingIdError, JobLookupError
from unit.apscheduler.site import DAY, HOUR, KEY, MINUTE, SECOND, Delegate, now, submitted
from unit.apscheduler.work import work
from unit.stage import LIMIT, QUICK, seen_by


@pytest.fixture
def inner():
    return Delegate()


@pytest.fixture
def mark(space):
    made = now() - HOUR - SECOND
    space.mark(made)
    return made


@pytest.fixture
def leader(start, inner, mark):
    return start(
        {"func": work, "trigger": "interval", "hours": 1, "id": "job", "misfire_grace_time": 1800,
         "start_date": mark, "next_run_time": mark + HOUR},
        jobstores={"default": inner},
    )  # fmt: skip


def test_a_failed_update_does_not_end_the_pass_and_is_made_good(leader, inner, mark):
    inner.broken = {"update_job"}
    wait = leader.look()
    leader.wait_events(EVENT_JOB_EXECUTED)
    assert 0 < wait <= 1
    assert inner.rows.lookup_job("job").next_run_time <= now()
    inner.broken = set()
    leader.look()
    assert submitted(leader) == 1
    assert inner.rows.lookup_job("job").next_run_time == mark + 2 * HOUR


def test_while_updates_fail_a_fire_is_not_run_again(leader, inner, ran):
    inner.broken = {"update_job"}
    leader.run(EVENT_JOB_EXECUTED)
    for _ in range(3):
        assert 0 < leader.look() <= leader.jobstore_retry_interval
    assert submitted(leader) == 1
    assert len(ran) == 1


def test_a_failed_removal_does_not_end_the_pass_and_is_made_good(start, inner):
    scheduler = start({"func": work, "id": "job"}, jobstores={"default": inner})
    inner.broken = {"remove_job"}
    scheduler.run(EVENT_JOB_EXECUTED)
    scheduler.look()
    assert inner.rows.lookup_job("job")
    inner.broken = set()
    scheduler.look()
    assert inner.rows.lookup_job("job") is None
    assert submitted(scheduler) == 1


@pytest.mark.parametrize("method", ["get_next_run_time", "get_due_jobs", "get_all_jobs"])
def test_a_failed_read_is_tried_again_soon(leader, inner, method, ran):
    inner.broken = {method}
    wait = leader.look()
    assert 0 < wait <= leader.jobstore_retry_interval
    inner.broken = set()
    leader.look()
    leader.wait_events(EVENT_JOB_EXECUTED)
    assert submitted(leader) == 1
    assert len(ran) == 1


def test_a_failed_take_over_is_taken_up_again(start, inner, mark):
    """The first pass of a term moves the job to its due fire, and cannot write that."""
    inner.broken = {"update_job"}
    scheduler = start(
        {"func": work, "trigger": "cron", "minute": "*", "id": "job", "misfire_grace_time": None, "max_instances": 9},
        jobstores={"default": inner},
    )
    scheduler.look()
    assert not submitted(scheduler)
    inner.broken = set()
    scheduler.run(EVENT_JOB_EXECUTED)
    assert scheduler.leadership._part.candidacy.fires.mark(KEY).fire > mark


def test_a_failed_introduction_of_marks_is_taken_up_again(start, inner):
    scheduler = start(
        {"func": work, "trigger": "interval", "hours": 1, "id": "job", "misfire_grace_time": 1800},
        jobstores={"default": inner},
    )
    inner.broken = {"get_all_jobs"}
    scheduler.look()
    assert scheduler.leadership._part.candidacy.fires.mark(KEY) is None
    inner.broken = set()
    scheduler.look()
    assert scheduler.leadership._part.candidacy.fires.mark(KEY).fire <= now()


def test_one_store_that_fails_does_not_keep_another_from_its_jobs(start, inner):
    scheduler = start(
        {"func": work, "id": "bad"},
        {"func": work, "id": "good", "jobstore": "good"},
        jobstores={"default": inner, "good": Delegate()},
    )
    inner.broken = {"get_all_jobs", "get_due_jobs", "get_next_run_time", "update_job", "remove_job"}
    (event,) = scheduler.run(EVENT_JOB_EXECUTED)
    assert (event.job_id, event.jobstore) == ("good", "good")


def test_a_store_that_fails_is_told_in_the_log(leader, inner, caplog):
    inner.broken = {"update_job"}
    with caplog.at_level(logging.WARNING):
        leader.run(EVENT_JOB_EXECUTED)
    assert any("no update_job" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("method", ["add_job", "update_job", "remove_job", "get_all_jobs", "lookup_job"])
def test_what_the_program_itself_asks_for_fails_visibly(leader, inner, method):
    inner.broken = {method}
    with pytest.raises(OSError, match=f"no {method}"):
        {
            "add_job": lambda: leader.add_job(work, id="other"),
            "update_job": lambda: leader.pause_job("job"),
            "remove_job": lambda: leader.remove_job("job"),
            "get_all_jobs": leader.get_jobs,
            "lookup_job": lambda: leader.get_job("job"),
        }[method]()


def test_what_the_program_does_not_find_is_an_error(leader):
    with pytest.raises(JobLookupError):
        leader.remove_job("nothing")
    with pytest.raises(JobLookupError):
        leader.pause_job("nothing")
    with pytest.raises(ConflictingIdError):
        leader.add_job(work, id="job")


def test_a_late_write_does_not_undo_what_the_program_has_changed_since(leader, inner):
    inner.broken = {"update_job"}
    leader.run(EVENT_JOB_EXECUTED)
    inner.broken = set()
    leader.pause_job("job")
    leader.look()
    assert leader.get_job("job").next_run_time is None


def test_a_late_write_does_not_undo_new_arguments(leader, inner, mark):
    """The fire that has run is not run again, and the next runs with what the program wants now."""
    inner.broken = {"update_job"}
    leader.run(EVENT_JOB_EXECUTED)
    inner.broken = set()
    leader.modify_job("job", args=("new",))
    leader.look()
    assert leader.get_job("job").args == ("new",)
    assert submitted(leader) == 1


def test_a_late_removal_does_not_remove_a_job_that_was_added_since(start, inner):
    scheduler = start({"func": work, "id": "job"}, jobstores={"default": inner})
    inner.broken = {"remove_job"}
    scheduler.run(EVENT_JOB_EXECUTED)
    scheduler.look()
    inner.broken = set()
    scheduler.add_job(work, "date", run_date=now() + DAY, id="job", replace_existing=True)
    scheduler.look()
    assert scheduler.get_job("job") is not None


def test_a_late_write_of_an_ended_term_is_left_to_the_next_leader(leader, inner, mark, clock, space):
    inner.broken = {"update_job"}
    leader.run(EVENT_JOB_EXECUTED)
    space.fault = "down"
    clock.push(QUICK.lease_duration)
    seen_by(leader.leadership._part.candidacy, lambda: leader.leadership.term is None)
    inner.broken = set()
    before = list(inner.calls)
    leader.look()
    assert inner.calls == before
    space.fault = None
    assert leader.leadership.wait(timeout=LIMIT)
    leader.look()
    assert submitted(leader) == 1
    assert inner.rows.lookup_job("job").next_run_time == mark + 2 * HOUR


def test_a_row_moved_by_another_replica_while_this_one_could_not_write_is_not_moved_back(
    leader, inner, mark, clock, space
):
    """This one could not write, lost its lease, and leads again after others had moved the row on."""
    inner.broken = {"update_job"}
    leader.run(EVENT_JOB_EXECUTED)
    inner.broken = set()
    space.fault = "down"
    clock.push(QUICK.lease_duration)
    seen_by(leader.leadership._part.candidacy, lambda: leader.leadership.term is None)
    row = inner.rows.lookup_job("job")
    row._modify(next_run_time=now() + 30 * DAY, args=("theirs",))
    inner.rows.update_job(row)
    space.fault = None
    assert leader.leadership.wait(timeout=LIMIT)
    leader.look()
    assert inner.rows.lookup_job("job").args == ("theirs",)


def test_an_added_job_is_seen_though_the_pass_before_failed(leader, inner, ran):
    inner.broken = {"get_due_jobs"}
    leader.look()
    leader.add_job(work, id="other", args=("other",))
    inner.broken = set()
    leader.run(EVENT_JOB_EXECUTED, 2)
    assert sorted(args for args, _, _ in ran) == [(), ("other",)]
    assert leader.events(EVENT_JOB_REMOVED)[0].job_id == "other"


def test_a_poll_is_not_put_off_by_a_failure(leader, inner):
    inner.broken = {"update_job"}
    leader.run(EVENT_JOB_EXECUTED)
    assert leader.look() <= max(1, leader.jobstore_retry_interval) < MINUTE.total_seconds()
