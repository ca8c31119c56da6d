"""Jobs that are spread over all replicas: each fire runs on whichever takes it, once, and nobody leads."""

from __future__ import annotations

import json
import time
from datetime import datetime
from itertools import pairwise

import pytest
import yaml
from controlplane.admin import Admin, lease_path
from controlplane.fixtures import MakePod
from controlplane.pod import lease_role
from controlplane.proxy import Proxy

from singleton_jobs.cli.rbac import documents
from singleton_jobs.locks.record import LEDGER_ANNOTATION

from ..journal import boot_time, eventually
from .fires import Verdict
from .replicas import FAILOVER, LOAD, TIMING, Schedulers, Store, iso, sleep_until
from .spread import lease_of, overlaps, runner, settled, start, ticks

pytestmark = pytest.mark.e2e

CLEAN = Verdict([], [], [])
LEASE = TIMING["lease_duration"]
LONG = {"id": "long", "trigger": "cron", "at": {"second": "*/5"}, "kwargs": {"seconds": 2}, "coalesce": False}


def told(schedulers: Schedulers, job: str) -> list[tuple[float, str]]:
    """The fires of a job that were told as cut short, and what becomes of them."""
    found = schedulers.journal.entries("FireInterrupted", job=f"aps:default:{job}")
    return [(datetime.fromisoformat(each.time).timestamp(), each.then) for each in found]


@pytest.mark.parametrize(
    ("scheduler", "executor"), [("background", "threadpool"), ("blocking", "processpool"), ("asyncio", None)]
)
def test_each_fire_runs_once_and_every_replica_has_some(
    schedulers: Schedulers, scheduler: str, executor: str | None
) -> None:
    jobs = ticks(6)
    start(schedulers, jobs=jobs, scheduler=scheduler, executor=executor)
    schedulers.wait_until("tick-0", 0)
    end = int(schedulers.fires("tick-0")[0]) + 16
    for job in jobs:
        assert schedulers.verdict(job["id"], end, every=2) == CLEAN
        assert {run.key for run in schedulers.runs(job["id"])} == {f"aps:default:{job['id']}"}
    runs = [run for job in jobs for run in schedulers.runs(job["id"])]
    assert {run.who for run in runs} == {each.who for each in schedulers.every}
    assert max(run.wall - run.nominal for run in runs) < LEASE + (LOAD if executor == "processpool" else 0)
    for name in ("FireInterrupted", "FireSkipped", "job failed", "job missed", "job overlapped"):
        assert not schedulers.journal.entries(name)


@pytest.mark.parametrize("interrupted", ["skip", "rerun"])
def test_a_killed_replica_delays_only_the_job_it_was_running(schedulers: Schedulers, interrupted: str) -> None:
    jobs = ticks(4)
    start(schedulers, jobs=[*jobs, LONG], interrupted=interrupted)
    struck = schedulers.journal.wait_for("run", job="long")
    time.sleep((1.4 - time.time()) % 2)  # no other job is due or runs then
    killed = time.time()
    runner(schedulers, struck).process.kill()
    back = schedulers.journal.wait_for("run", after=struck.at, job="long")
    if interrupted == "rerun":
        assert (back.nominal, back.attempt) == (struck.nominal, 2)
        assert LEASE - 1 < back.wall - killed < FAILOVER + LOAD
        assert told(schedulers, "long") == [(struck.nominal, "rerun")]
    else:
        assert back.nominal == struck.nominal + 5
        assert told(schedulers, "long") == [(struck.nominal, "skipped")]
    end = int(time.time()) // 2 * 2 + 2
    for job in jobs:
        assert schedulers.verdict(job["id"], end, every=2) == CLEAN
        after = [run for run in schedulers.runs(job["id"]) if run.nominal > killed]
        assert max(run.wall - run.nominal for run in after) < 2, "they wait for nobody's lease"
    schedulers.wait_until("long", struck.nominal + 10)
    missed, doubled, strange = schedulers.verdict("long", struck.nominal + 10, every=5)
    assert not missed
    assert doubled == ([struck.nominal] if interrupted == "rerun" else [])
    assert not strange
    assert len(told(schedulers, "long")) == 1
    assert not overlaps(schedulers, "long")


@pytest.mark.parametrize("trigger", ["cron", "interval"])
def test_no_job_overlaps_itself_though_its_runs_outlast_its_interval(schedulers: Schedulers, trigger: str) -> None:
    at = {"second": "*"} if trigger == "cron" else {"seconds": 1}
    job = {"id": "slow", "trigger": trigger, "at": at, "kwargs": {"seconds": 2.5}}
    start(schedulers, jobs=[job, *ticks(2)])
    schedulers.journal.wait_for("ended", job="slow", count=6)
    assert not overlaps(schedulers, "slow")
    fires = schedulers.fires("slow")
    assert len(set(fires)) == len(fires)
    assert fires == sorted(fires)
    begun = [run.at for run in schedulers.runs("slow")]
    assert max(later - earlier for earlier, later in pairwise(begun)) < 2.5 + 1 + LOAD
    assert not schedulers.journal.entries("FireInterrupted")


def test_who_is_told_to_end_ends_its_run_gives_the_lease_back_in_one_write_and_takes_nothing_more(
    schedulers: Schedulers, make_pod: MakePod, proxy: Proxy, admin: Admin, namespace: str
) -> None:
    long = LONG | {"kwargs": {"seconds": 3}, "at": {"second": "*/10"}}
    jobs = [*ticks(4), long]
    ends = schedulers(spread=True, jobs=jobs, pod=make_pod("ends", server=proxy))
    run = ends.process.wait_for("run", job="long")
    start(schedulers, 2, jobs=jobs)
    before = [seen for seen in proxy.requests if seen.method == "PUT" and lease_of("long") in seen.path]
    told_at = boot_time()
    ends.process.terminate()
    ended = ends.process.wait_for("ended", job="long")
    assert ends.process.wait() == 0
    assert ended.nominal == run.nominal
    assert ended.valid
    writes = [seen for seen in proxy.requests if seen.method == "PUT" and lease_of("long") in seen.path]
    *renewals, last = writes[len(before) :]
    assert b'"holderIdentity":""' in last.body.replace(b": ", b":")
    assert b'\\"d\\"' in last.body
    assert all(b'\\"c\\"' in seen.body for seen in renewals)
    assert not [entry for entry in ends.process.entries("run") if entry.at > told_at + 0.5]
    schedulers.wait_until("long", run.nominal + 10)
    assert schedulers.verdict("long", run.nominal + 10, every=10) == CLEAN
    end = int(time.time()) // 2 * 2 + 2
    for job in ticks(4):
        assert schedulers.verdict(job["id"], end, every=2) == CLEAN
    assert not schedulers.journal.entries("FireInterrupted")


def test_an_interval_is_kept_by_replicas_that_were_started_apart(schedulers: Schedulers) -> None:
    job = {"id": "steady", "trigger": "interval", "at": {"seconds": 3}, "coalesce": False}
    for _ in range(3):
        start(schedulers, 1, jobs=[job])
        time.sleep(0.7)
    schedulers.journal.wait_for("ended", job="steady", count=3)
    start(schedulers, 1, jobs=[job])
    schedulers.journal.wait_for("ended", job="steady", count=6)
    fires = schedulers.fires("steady")
    assert {round(later - earlier, 3) for earlier, later in pairwise(fires)} == {3.0}


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_a_restart_of_all_before_the_first_fire_keeps_the_interval(
    schedulers: Schedulers, admin: Admin, namespace: str, how: str
) -> None:
    job = {"id": "steady", "trigger": "interval", "at": {"seconds": 8}}
    first = start(schedulers, 2, jobs=[job])
    begun = time.time()
    settled(admin, namespace, "steady")
    for each in first:
        getattr(each.process, how)()
    for each in first:
        each.process.wait()
    sleep_until(begun + 4)
    start(schedulers, 2, jobs=[job])
    run = schedulers.journal.wait_for("run", job="steady")
    assert begun + 6 < run.nominal < begun + 8.5
    assert run.wall - run.nominal < 1 + LOAD


def test_fires_that_all_were_down_for_are_made_up_once(schedulers: Schedulers) -> None:
    jobs = ticks(3)
    first = start(schedulers, jobs=jobs)
    schedulers.wait_until("tick-0", 0)
    time.sleep(max(0.0, (1.2 - time.time()) % 2))  # nothing runs
    for each in first:
        each.process.kill()
    time.sleep(5)
    start(schedulers, jobs=jobs)
    end = int(time.time()) // 2 * 2 + 4
    for job in jobs:
        assert schedulers.verdict(job["id"], end, every=2) == CLEAN
    assert not schedulers.journal.entries("FireInterrupted")


@pytest.mark.parametrize("store", ["memory", "sqlite"], indirect=True)
def test_dates_and_runs_off_schedule_happen_once(schedulers: Schedulers, store: Store) -> None:
    yearly = {"id": "yearly", "trigger": "cron", "at": {"month": 1, "day": 1}}
    jobs = [*ticks(2), yearly]
    start(schedulers, jobs=jobs)
    schedulers.wait_until("tick-0", 0)
    due = int(time.time()) + 4
    date = {"id": "once", "trigger": "date", "at": {"run_date": iso(due)}}
    for each in schedulers.every if store.kind == "memory" else schedulers.every[:1]:
        each.tell("add_job", **date)
    schedulers.wait_until("once", due)
    wanted = boot_time()
    schedulers.every[1].tell("run_now", id="yearly")
    run = schedulers.journal.wait_for("run", job="yearly")
    assert run.nominal is None
    assert run.at - wanted < 1 + LOAD
    time.sleep(3)
    assert schedulers.fires("once") == [due]
    assert len(schedulers.journal.entries("run", job="yearly")) == 1
    for each in schedulers.every:
        eventually(lambda each=each: "once" not in each.tell("get_jobs"), "the job is gone")
        assert each.tell("status")["alive"]
    if store.url:
        assert set(store.rows()) == {"tick-0", "tick-1", "yearly"}
    end = int(time.time()) // 2 * 2 + 2
    for job in ticks(2):
        assert schedulers.verdict(job["id"], end, every=2) == CLEAN


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_the_rows_of_a_shared_store_are_moved_by_whoever_ran(schedulers: Schedulers, store: Store) -> None:
    jobs = ticks(4)
    start(schedulers, jobs=jobs)
    schedulers.wait_until("tick-0", 0)
    end = int(schedulers.fires("tick-0")[0]) + 12
    for job in jobs:
        assert schedulers.verdict(job["id"], end, every=2) == CLEAN
    late = time.time()
    assert all(moment and moment > late - 4 for moment in store.rows().values())
    struck = schedulers.journal.wait_for("run", after=boot_time(), job="tick-1")
    runner(schedulers, struck).process.kill()
    end = int(time.time()) // 2 * 2 + 8
    for job in jobs:
        missed, doubled, strange = schedulers.verdict(job["id"], end, every=2)
        cut = {moment for moment, _ in told(schedulers, job["id"])}
        assert set(missed) <= cut
        assert not doubled
        assert not strange


@pytest.mark.parametrize(
    ("names", "verbs"),
    [
        (["jobs.tick-0", "jobs.tick-1"], ["get", "list", "watch", "create", "update"]),
        (["jobs.tick-0", "jobs.tick-1"], ["get", "create", "update"]),
        ([], ["get", "create", "update"]),
    ],
    ids=["names-only", "names-without-watch", "without-watch"],
)
def test_lesser_roles_cost_requests_but_no_fire(
    schedulers: Schedulers, make_pod: MakePod, names: list[str], verbs: list[str]
) -> None:
    role = lease_role(*names, verbs=verbs)
    jobs = ticks(2)
    for number in range(3):
        pod = make_pod(f"limited-{number}", roles=[role])
        schedulers(spread=True, jobs=jobs, pod=pod)
    schedulers.wait_until("tick-0", 0)
    end = int(schedulers.fires("tick-0")[0]) + 12
    for job in jobs:
        assert schedulers.verdict(job["id"], end, every=2) == CLEAN
    assert not schedulers.journal.entries("FireInterrupted")


@pytest.mark.parametrize("named", [False, True], ids=["any-job", "named-jobs"])
def test_the_printed_role_and_policies_suffice(
    schedulers: Schedulers, make_pod: MakePod, admin: Admin, namespace: str, *, named: bool
) -> None:
    jobs = ticks(2)
    ids = [job["id"] for job in jobs] if named else []
    printed = documents([], [], ["jobs"], ids, namespace, "app", events=False, watch_all=False, policy=True, store=None)
    for document in yaml.safe_load_all(printed):
        admin.apply(document, namespace)
    pods = [make_pod(f"pod-{number}", roles=[]) for number in range(3)]
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": lease_of("tick-0")}}
    foreign = {**lease, "spec": {"holderIdentity": "nobody"}}
    tried = f"{lease_path(namespace, lease_of('tick-0'))}?dryRun=All"
    eventually(lambda: pods[0].client().request("PUT", tried, foreign)[0] == 403, "the policy is in force", 60)
    for pod in pods:
        schedulers(spread=True, jobs=jobs, pod=pod)
    schedulers.wait_until("tick-0", 0)
    end = int(schedulers.fires("tick-0")[0]) + 12
    for job in jobs:
        assert schedulers.verdict(job["id"], end, every=2) == CLEAN
        marks = json.loads(
            admin.get_lease(namespace, lease_of(job["id"]))["metadata"]["annotations"][LEDGER_ANNOTATION]
        )
        assert str(marks["jobs"][f"aps:default:{job['id']}"][6]).startswith("pod-")
    assert not schedulers.journal.entries("StoreFailed")
    assert not schedulers.journal.entries("FireInterrupted")


@pytest.mark.own_control_plane
def test_a_fire_costs_two_writes_and_idle_replicas_nothing(
    schedulers: Schedulers, admin: Admin, namespace: str
) -> None:
    jobs = [job | {"at": {"second": f"{number}-59/3"}} for number, job in enumerate(ticks(3))]
    start(schedulers, jobs=jobs, config={"lease_duration": 15})
    for job in jobs:
        schedulers.wait_until(job["id"], time.time() + 3)
    time.sleep((0.5 - time.time()) % 3)
    before, ran = admin.lease_request_counts(), len(schedulers.journal.entries("run"))
    time.sleep(15)
    after, runs = admin.lease_request_counts(), len(schedulers.journal.entries("run")) - ran
    asked = {what: count - before.get(what, 0) for what, count in after.items() if count > before.get(what, 0)}
    assert runs == 15
    assert asked.get(("PUT", 200), 0) == 2 * runs
    assert asked.get(("PUT", 409), 0) <= runs // 3, asked  # who loses has mostly been told before it would ask
    assert sum(count for (verb, _), count in asked.items() if verb in ("GET", "LIST")) <= 3, asked


@pytest.mark.parametrize("interrupted", ["skip", "rerun"])
@pytest.mark.parametrize("how", ["refused", "unknown"])
def test_an_end_whose_write_fails_is_written_again(
    schedulers: Schedulers, make_pod: MakePod, proxy: Proxy, interrupted: str, how: str
) -> None:
    job = LONG | {"at": {"second": "*/10"}, "kwargs": {"seconds": 1}}
    options = {"spread": True, "jobs": [job], "interrupted": interrupted, "config": {"lease_duration": 6}}
    one = schedulers(pod=make_pod("troubled", server=proxy), **options)
    run = one.process.wait_for("run", job="long")
    schedulers(**options).process.wait_for("started")
    rule = proxy.on("PUT", "/leases/jobs.long")  # renewals, too, for less than the hold lasts
    rule = rule.respond(503) if how == "refused" else rule.drop()
    one.process.wait_for("RequestEnded", lease="jobs.long", request="release", after=run.at)
    rule.remove()
    schedulers.wait_until("long", run.nominal + 10)
    assert told(schedulers, "long") == []
    assert schedulers.fires("long") == [run.nominal, run.nominal + 10]
