"""`exclusive` with a key on a Celery task's function: one run for each key at a time."""

import pytest

from singleton_jobs import Skipped
from unit.celery.tasks.worker import ME, messages, work


@pytest.fixture
def task(app, replica, space):
    """`task(**exclusive's options)`: a task that says who holds its key's lease while it runs."""

    def task(**exclusive):
        @app.task(name="sync", bind=True, shared=False)
        @replica.exclusive(lease="sync", key="tenant", **exclusive)
        def sync(self, tenant):
            return space.holder(f"sync.{tenant}")

        return sync

    return task


def test_the_holder_carries_the_tasks_id_and_nothing_is_left(task, space):
    sync = task()
    assert work(sync, "acme").retval.startswith(f"pod-0_{ME}_")
    assert work(sync, tenant=7, id="another").retval.startswith("pod-0_another_")
    assert space.leases == {}


def test_a_busy_key_is_skipped_and_another_runs(task, space):
    space.put("sync.acme", "somebody", key="acme")
    sync = task()
    assert work(sync, "acme").retval == Skipped("sync.acme", "busy", "somebody")
    assert work(sync, "zoo").retval


def test_a_busy_key_is_retried(task, app, space):
    space.put("sync.acme", "somebody", key="acme")
    assert work(task(on_busy="retry", countdown=30), "acme").state == "RETRY"
    (message,) = messages(app)
    assert message.headers["argsrepr"] == "('acme',)"


@pytest.mark.parametrize(("holder", "redelivered"), [("other", True), (ME, False)])
def test_a_dead_runs_lease_is_waited_for(task, space, holder, redelivered):
    space.put("sync.acme", f"pod-of-the-dead_{holder}_x", duration=1, key="acme")
    assert work(task(), "acme", redelivered=redelivered).retval.startswith(f"pod-0_{ME}_")


def test_a_task_that_comes_too_soon_is_skipped_for_its_key_alone(task, app):
    sync = task(on_busy="retry", at_most_every=3600, job="sync")
    assert work(sync, "acme").retval
    assert work(sync, "acme").retval.reason == "too-soon"
    assert work(sync, "zoo").retval
    assert messages(app) == []
