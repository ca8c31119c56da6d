"""A program's own test-suite: its apps are started and ended again and again in one process."""

from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from flask import Flask

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from celery import Celery
from singleton_jobs import Replica, running
from singleton_jobs_apscheduler import guard
from unit.celery.beat.database import set_up
from unit.stage import DRIVER, LIMIT, PUSHED, QUICK, Space

set_up()

from django.http import HttpResponse  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from django.urls import path  # noqa: E402

urlpatterns = []


def job(replica):
    return replica.leader_only(lease="nightly")(lambda: "ran")


def app_of(replica, lease, scheduler_first):
    """An app whose scheduler and `running` begin and end with it, in either order."""
    scheduler = AsyncIOScheduler()
    leads = guard(scheduler, lease=lease, replica=replica)

    @asynccontextmanager
    async def lifespan(app):
        async with AsyncExitStack() as stack:
            if not scheduler_first:
                await stack.enter_async_context(running(replica=replica))
            scheduler.start()
            stack.callback(scheduler.shutdown)
            if scheduler_first:
                await stack.enter_async_context(running(replica=replica))
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/leads")
    async def is_leader() -> bool:
        return await leads.wait_async(timeout=LIMIT)

    return app


@pytest.mark.parametrize("scheduler_first", [True, False])
def test_fastapis_client_enters_an_app_again_and_another_beside_it(replica, space, scheduler_first):
    one, other = (app_of(replica, lease, scheduler_first) for lease in ("one", "other"))
    for _ in range(3):
        with TestClient(one) as client:
            assert client.get("/leads").json() is True
            with TestClient(other) as beside:
                assert beside.get("/leads").json() is True
            assert client.get("/leads").json() is True
        assert (space.holder("one"), space.holder("other")) == ("", "")


def test_flasks_client(replica, space):
    app, work = Flask("app"), job(replica)
    app.add_url_rule("/", view_func=lambda: str(work()))
    for _ in range(2):
        with running(replica=replica), app.test_client() as client:
            assert client.get("/").text == "ran"
        assert space.holder("nightly") == ""


def test_djangos_client(replica, space):
    work = job(replica)
    urlpatterns[:] = [path("", lambda request: HttpResponse(str(work())))]
    for _ in range(2):
        with override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["testserver"]), running(replica=replica):
            assert Client().get("/").content == b"ran"
        assert space.holder("nightly") == ""


def work_once():
    return "ran"


def test_celery_apps_whose_tasks_run_at_once(replica, space):
    for _ in range(2):
        app = Celery("app", broker="memory://", set_as_current=False)
        app.conf.task_always_eager = True
        task = app.task(replica.exclusive(lease="sync")(work_once), name="sync", shared=False)  # else every app gets it
        with running(replica=replica):
            assert task.delay().get(timeout=LIMIT) == "ran"
            assert space.holder("sync") == ""


@pytest.fixture(scope="module")
def kept():
    """What outlives each test, as a module's replica and guarded functions do."""
    with Replica(store=Space(), config=QUICK, clock=PUSHED.clock, driver=DRIVER) as replica:
        yield replica, job(replica)


@pytest.fixture
def work(kept):
    with running(replica=kept[0]):
        yield kept[1]


@pytest.mark.parametrize("test", [1, 2])
def test_a_fixture_for_each_test(work, test):
    assert work() == "ran"
