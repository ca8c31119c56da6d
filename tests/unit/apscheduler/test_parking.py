"""Rows that this version of the program cannot use: kept for the one that can, and nobody spins over them."""

import logging
import pickle

import pytest

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.triggers.date import DateTrigger
from singleton_jobs_apscheduler import SingletonJobStore
from unit.apscheduler.site import DAY, HOUR, SECOND, leads, now, sql_store, submitted
from unit.apscheduler.work import work


class Rows:
    """The table of a job store, as another version of the program writes it."""

    def __init__(self, path):
        self.url = f"sqlite:///{path}/jobs.sqlite3"
        self.store = sql_store(self.url)
        self.store.jobs_t.create(self.store.engine, True)

    def put(self, id, when, *, func="unit.apscheduler.work:work", executor="default", state=None):
        whole = {
            "version": 1, "id": id, "func": func, "trigger": DateTrigger(when), "executor": executor, "args": (),
            "kwargs": {}, "name": id, "misfire_grace_time": 60, "coalesce": True, "max_instances": 1,
            "next_run_time": when,
        }  # fmt: skip
        with self.store.engine.begin() as connection:
            connection.execute(
                self.store.jobs_t.insert().values(
                    id=id, next_run_time=when.timestamp(), job_state=state or pickle.dumps(whole)
                )
            )

    def ids(self):
        with self.store.engine.begin() as connection:
            return sorted(row.id for row in connection.execute(self.store.jobs_t.select()))


@pytest.fixture
def rows(tmp_path):
    made = Rows(tmp_path)
    yield made
    made.store.engine.dispose()


@pytest.fixture
def leader(start, rows):
    return lambda *jobs: start(*jobs, jobstores={"default": sql_store(rows.url)})


GONE = {"no-module": "no.such.module:work", "no-function": "unit.apscheduler.work:no_such_function"}


def test_a_row_is_left_alone_by_who_reads_the_store_before_it_starts(make, rows, replica):
    rows.put("newer", now(), func=GONE["no-module"])
    assert SingletonJobStore(sql_store(rows.url), "nightly", replica=replica).get_all_jobs() == []
    assert rows.ids() == ["newer"]


@pytest.mark.parametrize("func", GONE.values(), ids=GONE)
@pytest.mark.parametrize("due", [-SECOND, DAY], ids=["due", "later"])
def test_a_row_that_cannot_be_imported_is_left_alone(leader, rows, func, due):
    rows.put("newer", now() + due, func=func)
    scheduler = leader({"func": work, "id": "job"})
    scheduler.run(EVENT_JOB_EXECUTED)
    assert scheduler.get_jobs() == []
    scheduler.look()
    assert rows.ids() == ["newer"]


def test_a_row_that_cannot_even_be_unpickled_is_left_alone(leader, rows):
    rows.put("newer", now(), state=b"nonsense")
    scheduler = leader({"func": work, "id": "job"})
    scheduler.run(EVENT_JOB_EXECUTED)
    scheduler.look()
    assert scheduler.get_jobs() == []
    assert rows.ids() == ["newer"]


def test_a_row_with_an_unknown_executor_is_left_alone(leader, rows, ran):
    rows.put("newer", now(), executor="gpu")
    scheduler = leader({"func": work, "id": "job"})
    scheduler.run(EVENT_JOB_EXECUTED)
    scheduler.look()
    assert rows.ids() == ["newer"]
    assert [event.job_id for event in scheduler.events(EVENT_JOB_EXECUTED)] == ["job"]
    assert len(ran) == 1


def test_a_row_is_left_alone_after_a_second_start(leader, rows):
    rows.put("newer", now() + DAY, func=GONE["no-module"])
    scheduler = leader()
    scheduler.shutdown()
    scheduler.start()
    leads(scheduler.leadership)
    assert scheduler.get_jobs() == []
    scheduler.look()
    assert rows.ids() == ["newer"]


@pytest.mark.parametrize(
    "more", [{"func": GONE["no-module"]}, {"executor": "gpu"}], ids=["not-importable", "no-executor"]
)
def test_a_due_row_that_is_left_alone_does_not_keep_the_loop_spinning(leader, rows, more):
    rows.put("newer", now() - HOUR, **more)
    scheduler = leader()
    waits = [scheduler.look() for _ in range(3)]
    assert all(0.5 < wait <= 1 for wait in waits)


def test_a_row_that_is_left_alone_does_not_keep_others_waiting(leader, rows):
    rows.put("newer", now() - HOUR, func=GONE["no-module"])
    rows.put("job", now() - SECOND)
    scheduler = leader()
    scheduler.run(EVENT_JOB_EXECUTED)
    scheduler.look()
    assert rows.ids() == ["newer"]


def test_followers_leave_such_rows_alone_too(make, space, rows):
    space.put("nightly", "other_1")
    rows.put("newer", now(), func=GONE["no-module"])
    rows.put("job", now() + DAY)
    scheduler = make(jobstores={"default": sql_store(rows.url)})
    scheduler.start()
    assert [job.id for job in scheduler.get_jobs()] == ["job"]
    scheduler.look()
    assert rows.ids() == ["job", "newer"]


def test_it_is_told_once(leader, rows, caplog):
    rows.put("one", now(), func=GONE["no-module"])
    rows.put("two", now(), executor="gpu")
    with caplog.at_level(logging.WARNING, "singleton_jobs"):
        scheduler = leader()
        for _ in range(3):
            scheduler.look()
    told = [record.getMessage() for record in caplog.records if "left alone" in record.getMessage()]
    assert len(told) == 2
    assert any("no.such.module" in line for line in told)
    assert any("'gpu'" in line and "'two'" in line for line in told)


def test_the_program_may_remove_such_a_row(leader, rows):
    rows.put("newer", now() + DAY, func=GONE["no-module"])
    leader().remove_job("newer")
    assert rows.ids() == []


def test_to_look_such_a_row_up_says_why_it_cannot_be_used(leader, rows):
    rows.put("newer", now() + DAY, func=GONE["no-module"])
    with pytest.raises(LookupError, match="no.such.module"):
        leader().get_job("newer")


def test_a_job_whose_function_was_renamed_replaces_its_row(leader, rows, ran):
    """What a new version of a program does at its start: the old row names a function that it no longer has."""
    rows.put("job", now() + DAY, func=GONE["no-function"])
    scheduler = leader()
    scheduler.add_job(work, id="job", replace_existing=True)
    scheduler.run(EVENT_JOB_EXECUTED)
    assert len(ran) == 1


def test_an_executor_that_is_added_later_takes_its_rows(leader, rows, ran):
    rows.put("newer", now(), executor="gpu")
    scheduler = leader()
    scheduler.look()
    assert not submitted(scheduler)
    scheduler.add_executor("debug", "gpu")
    scheduler.run(EVENT_JOB_EXECUTED)
    assert len(ran) == 1
