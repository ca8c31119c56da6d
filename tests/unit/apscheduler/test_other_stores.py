"""Shared stores that are not SQL, in memory: Redis and MongoDB, each looked at by two replicas."""

import fakeredis
import mongomock
import pytest

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.job import Job
from apscheduler.jobstores.mongodb import MongoDBJobStore
from apscheduler.jobstores.redis import RedisJobStore
from apscheduler.triggers.date import DateTrigger
from unit.apscheduler.site import DAY, HOUR, SECOND, follows, leads, now
from unit.apscheduler.work import work

INTERVAL = {"func": work, "trigger": "interval", "hours": 1, "id": "job", "replace_existing": True}


class Redis:
    def __init__(self, monkeypatch):
        server = fakeredis.FakeServer()
        self.client = fakeredis.FakeRedis(server=server)
        monkeypatch.setattr(
            "apscheduler.jobstores.redis.Redis", lambda db, **_: fakeredis.FakeRedis(server=server, db=db)
        )

    def store(self):
        return RedisJobStore()

    def ids(self):
        return {id.decode() for id in self.client.hkeys("apscheduler.jobs")}


class MongoDB:
    def __init__(self, monkeypatch):
        self.client = mongomock.MongoClient()

    def store(self):
        return MongoDBJobStore(client=self.client)

    def ids(self):
        return {row["_id"] for row in self.client["apscheduler"]["jobs"].find()}


@pytest.fixture(params=[Redis, MongoDB], ids=["redis", "mongodb"])
def database(request, monkeypatch):
    return request.param(monkeypatch)


@pytest.fixture
def replicas(make, make_replica, database):
    """A leader and a follower."""
    leader, follower = (make(on=make_replica(), jobstores={"default": database.store()}) for _ in range(2))
    leader.start()
    leads(leader.leadership)
    follower.start()
    follows(follower.leadership)
    return leader, follower


def test_the_leader_runs_what_a_follower_adds(replicas, database, ran):
    leader, follower = replicas
    follower.add_job(work, id="once")
    follower.look()
    leader.run(EVENT_JOB_EXECUTED)
    assert [fire.job for _, fire, _ in ran] == ["aps:default:once"]
    leader.look()
    assert database.ids() == set()


def test_a_follower_that_adds_a_job_again_leaves_it_alone(replicas, ran):
    leader, follower = replicas
    leader.add_job(**INTERVAL)
    (before,) = leader.get_jobs()
    follower.add_job(**INTERVAL)
    (after,) = follower.get_jobs()
    assert after.next_run_time == before.next_run_time


@pytest.mark.parametrize("due", [-SECOND, DAY], ids=["due", "later"])
def test_what_cannot_be_imported_is_not_deleted(replicas, database, due):
    leader, follower = replicas
    job = Job(leader, id="newer", func=work, trigger=DateTrigger(now() + due), args=(), kwargs={}, executor="default",
              name="newer", misfire_grace_time=60, coalesce=True, max_instances=1, next_run_time=now() + due)  # fmt: skip
    job.func_ref = "no.such.module:work"
    leader._jobstores["default"]._inner.store.add_job(job)
    leader.add_job(work, "date", run_date=now() + HOUR, id="job")
    leader.look()
    assert [job.id for job in follower.get_jobs()] == [job.id for job in leader.get_jobs()] == ["job"]
    assert database.ids() == {"newer", "job"}
