"""`exclusive` on a Celery task's function: what it knows of its task, and what it does when the lease is busy."""

import pytest

from celery.exceptions import Retry
from singleton_jobs import ConfigError, LeaseBusy, Skipped, exclusive, leader_only
from singleton_jobs.guards.task_queue import running_task
from unit.celery.tasks.worker import ME, messages, work
from unit.stage import LIMIT, QUICK, in_thread


@pytest.fixture
def task(app, replica, space):
    """`task(**exclusive's options)`: a task that notes who holds its lease while it runs."""

    def task(holders, options=(), **exclusive):
        @app.task(name="rebuild", shared=False, **dict(options))
        @replica.exclusive(lease="rebuild", **exclusive)
        def rebuild():
            holders.append(space.holder("rebuild"))
            return "rebuilt"

        return rebuild

    return task


@pytest.fixture
def holders():
    return []


def test_outside_of_any_task_there_is_none(app):
    @app.task(shared=False)
    def ask():
        return running_task()

    assert running_task() is None
    assert ask() is None  # called as a plain function


def test_a_task_knows_its_id_and_whether_it_was_given_out_before(app):
    seen = []

    @app.task(name="ask", shared=False)
    def ask():
        seen.append(running_task())

    work(ask)
    work(ask, redelivered=True)
    assert [(task.id, task.name, task.redelivered) for task in seen] == [(ME, "ask", False), (ME, "ask", True)]


def test_the_holder_carries_the_tasks_id(task, holders):
    work(task(holders))
    assert holders[0].startswith(f"pod-0_{ME}_")


def test_each_run_has_an_identity_of_its_own(task, holders):
    rebuild = task(holders)
    for id in (ME, ME, "another"):
        work(rebuild, id=id)
    assert len(set(holders)) == 3
    assert holders[2].startswith("pod-0_another_")


def test_a_call_outside_of_tasks_is_called_as_ever(task, holders):
    rebuild = task(holders)
    rebuild()
    work(rebuild)
    rebuild()
    assert holders[0] == holders[2]
    assert ME not in holders[0]


@pytest.mark.parametrize("id", ["with spaces and ümlauts", "x" * 1000, "line\nbreak"])
def test_any_task_id_makes_a_readable_holder(task, holders, id):
    work(task(holders), id=id)
    assert holders[0].isascii()
    assert holders[0].isprintable()
    assert " " not in holders[0]
    assert len(holders[0]) < 250


def test_a_busy_task_is_skipped(task, holders, space):
    space.put("rebuild", "somebody")
    assert work(task(holders)).retval == Skipped("rebuild", "busy", "somebody")
    assert holders == []


def test_a_busy_task_raises(task, holders, space):
    space.put("rebuild", "somebody")
    outcome = work(task(holders, on_busy="raise"))
    assert outcome.state == "FAILURE"
    assert isinstance(outcome.retval, LeaseBusy)


def test_a_busy_task_is_retried_after_the_countdown(task, app, holders, space):
    space.put("rebuild", "somebody")
    outcome = work(task(holders, on_busy="retry", countdown=30))
    assert outcome.state == "RETRY"
    assert isinstance(outcome.retval, Retry)
    (message,) = messages(app)
    assert message.headers["id"] == ME
    assert message.headers["retries"] == 1
    assert message.headers["eta"]


def test_it_is_retried_after_a_lease_by_default(app, replica, space, monkeypatch):
    countdowns = []

    @app.task(name="rebuild", shared=False)
    @replica.exclusive(lease="rebuild", on_busy="retry")
    def rebuild(): ...

    original = rebuild.retry
    monkeypatch.setattr(
        rebuild, "retry", lambda **options: countdowns.append(options["countdown"]) or original(**options)
    )
    space.put("rebuild", "somebody")
    work(rebuild)
    assert countdowns == [QUICK.lease_duration]


def test_a_task_that_was_retried_often_enough_fails_with_what_kept_it(task, holders, space):
    space.put("rebuild", "somebody")
    outcome = work(task(holders, on_busy="retry", options={"max_retries": 2}), retries=2)
    assert outcome.state == "FAILURE"
    assert isinstance(outcome.retval, LeaseBusy)


def test_a_task_whose_store_is_away_is_retried_too(task, app, holders, space):
    space.fault = "down"
    assert work(task(holders, on_busy="retry")).state == "RETRY"
    assert len(messages(app)) == 1


def test_outside_of_tasks_retry_raises(task, holders, space):
    space.put("rebuild", "somebody")
    with pytest.raises(LeaseBusy):
        task(holders, on_busy="retry")()


def test_a_task_that_comes_too_soon_is_skipped_and_not_retried(task, app, holders):
    rebuild = task(holders, on_busy="retry", at_most_every=3600, job="rebuild")
    assert work(rebuild).retval == "rebuilt"
    assert work(rebuild).retval.reason == "too-soon"
    assert messages(app) == []


def test_mode_never_is_no_reason_to_retry(task, app, holders, monkeypatch):
    monkeypatch.setenv("SINGLETON_JOBS_MODE", "never")
    assert work(task(holders, on_busy="retry")).retval.reason == "mode"
    assert messages(app) == []


def dead(space, holder):
    """Somebody's record, whose holder will not renew it."""
    space.put("rebuild", holder, duration=1)


def test_a_redelivered_task_waits_for_its_dead_holder(task, holders, space):
    dead(space, "pod-of-the-dead_other_x")
    assert work(task(holders), redelivered=True).retval == "rebuilt"


def test_a_task_whose_id_holds_the_lease_waits_for_that_run(task, holders, space):
    dead(space, f"pod-of-the-dead_{ME}_x")
    assert work(task(holders)).retval == "rebuilt"


def test_a_task_that_is_given_out_for_the_first_time_does_not_wait(task, holders, space):
    dead(space, "pod-of-the-dead_other_x")
    assert work(task(holders)).retval.reason == "busy"


def test_a_redelivered_task_waits_no_longer_than_for_a_dead_holder(replica):
    @replica.exclusive(lease="rebuild", wait=1)
    def rebuild(): ...

    patience = QUICK.lease_duration + 1.2 * QUICK.retry_period + 2 * QUICK.request_timeout
    assert rebuild._self_guard._patience() == pytest.approx(patience)


def test_a_wait_of_the_tasks_own_that_is_longer_stays(replica):
    @replica.exclusive(lease="rebuild", wait=3600)
    def rebuild(): ...

    assert rebuild._self_guard._patience() == 3600


def test_the_lease_is_free_once_a_task_has_retried_itself(app, replica, space):
    @app.task(name="rebuild", bind=True, shared=False)
    @replica.exclusive(lease="rebuild")
    def rebuild(self):
        raise self.retry(countdown=1)

    assert work(rebuild).state == "RETRY"
    assert space.holder("rebuild") == ""


def test_an_autoretry_finds_the_lease_free(app, replica, space):
    found = []

    @app.task(name="rebuild", autoretry_for=(OSError,), retry_kwargs={"countdown": 0}, shared=False)
    @replica.exclusive(lease="rebuild", on_busy="raise")
    def rebuild():
        found.append(space.holder("rebuild"))
        if len(found) < 3:
            raise OSError("not yet")
        return "rebuilt"

    assert work(rebuild).state == "RETRY"
    assert space.holder("rebuild") == ""
    assert work(rebuild, retries=1).state == "RETRY"
    assert work(rebuild, retries=2).retval == "rebuilt"


def test_a_busy_retry_is_no_error_that_autoretry_takes_for_its_own(app, replica, space):
    @app.task(name="rebuild", autoretry_for=(Exception,), retry_kwargs={"countdown": 500}, shared=False)
    @replica.exclusive(lease="rebuild", on_busy="retry", countdown=7)
    def rebuild(): ...

    space.put("rebuild", "somebody")
    assert work(rebuild).state == "RETRY"
    assert len(messages(app)) == 1


def test_tasks_on_many_threads_run_one_at_a_time(app, replica):
    running, most = set(), []

    @app.task(name="rebuild", bind=True, shared=False)
    @replica.exclusive(lease="rebuild", wait=LIMIT)
    def rebuild(self):
        running.add(self.request.id)
        most.append(len(running))
        running.remove(self.request.id)
        return "rebuilt"

    threads = [in_thread(lambda n=n: work(rebuild, id=f"task-{n}")) for n in range(4)]
    assert [thread().retval for thread in threads] == ["rebuilt"] * 4
    assert most == [1] * 4


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"on_busy": "drop"}, "'skip', 'raise' or 'retry'"),
        ({"countdown": 5}, "for on_busy='retry' only"),
        ({"on_busy": "raise", "countdown": 5}, "for on_busy='retry' only"),
        ({"on_busy": "retry", "countdown": -1}, "countdown"),
    ],
)
def test_options_that_cannot_work_are_refused(replica, options, says):
    with pytest.raises(ConfigError, match=says):
        replica.exclusive(lease="rebuild", **options)


@pytest.mark.parametrize("decorator", [exclusive(lease="above-a-task"), leader_only(lease="above-a-task-2")])
def test_decorators_belong_under_the_task(app, decorator):
    @app.task(shared=False)
    def rebuild(): ...

    with pytest.raises(TypeError, match=r"under @app\.task"):
        decorator(rebuild)


def test_a_leaders_function_as_a_task_warns_once(app, replica):
    @app.task(name="report", shared=False)
    @replica.leader_only(lease="reports")
    def report():
        return "reported"

    with pytest.warns(
        RuntimeWarning, match=r"the task report is guarded .*Use exclusive.*celery beat --scheduler singleton"
    ) as told:
        assert work(report).retval == "reported"
    assert len(told) == 1
    assert work(report).retval == "reported"


def test_a_leaders_function_that_is_called_elsewhere_does_not_warn(replica):
    @replica.leader_only(lease="reports")
    def report():
        return "reported"

    assert report() == "reported"
