"""`singleton-jobs status`."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.commands import COMMAND, call
from controlplane.admin import Admin
from controlplane.fixtures import MakePod
from controlplane.pod import lease_role
from controlplane.proxy import Proxy
from singleton_jobs import Replica
from singleton_jobs.cli.status import lease_status
from singleton_jobs.errors import StoreError
from singleton_jobs.locks import KubernetesStore, LockRecord, SQLiteStore, Stored

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
HOSTILE = "\x1b[31mred\x1b[0m\r\nLEASE forged [bold]markup[/bold] \u202egnp.exe\u2066 \x00 " + "x" * 300_000


def stored(age: float = 1.0, holder: str = "pod-a_1", duration: float = 15, **more: Any) -> Stored:
    written = NOON - timedelta(seconds=age)
    record = LockRecord(holder, duration, NOON - timedelta(hours=1), written, 7)
    given = {"ledger": None, "uid": "uid-1", "version": 1, "served_at": NOON, "written_at": written} | more
    return Stored(record, **given)


# What a lease says


@pytest.mark.parametrize(
    ("age", "state"), [(0, "alive"), (10, "alive"), (10.1, "late"), (15, "late"), (15.1, "stale"), (1e6, "stale")]
)
def test_a_holder_looks_alive_late_or_stale(age, state):
    assert lease_status("x", stored(age)).state == state


def test_a_process_that_is_gone_is_stale():
    assert lease_status("x", stored(0, abandoned=True)).state == "stale"


def test_others_clocks_do_not_matter():
    found = stored(3, written_at=NOON - timedelta(seconds=3))
    record = LockRecord("pod-a_1", 15, NOON, NOON + timedelta(days=9), 7)
    assert lease_status("x", Stored(record, None, "u", 1, NOON, found.written_at)).renewed_ago == 3


@pytest.mark.parametrize(
    ("holder", "pod"),
    [("pod-a_abc", "pod-a"), ("pod-a_task-9_abc", "pod-a_task-9"), ("plain", "plain"), ("host_0b1e-uuid", "host")],
)
def test_the_pod_is_what_stands_before_the_random_part(holder, pod):
    assert lease_status("x", stored(holder=holder)).pod == pod


def test_jobs_come_from_the_ledger():
    ledger = '{"v":1,"jobs":{"fn:b":["2026-11-27T11:00:00.000000Z","n","d"],"app:a":["2026-11-27T11:30:00Z","n","c"]}}'
    jobs = lease_status("x", stored(ledger=ledger)).jobs
    assert [(job.job, job.last_fire.hour, job.done) for job in jobs] == [("app:a", 11, False), ("fn:b", 11, True)]


def test_a_ledger_that_cannot_be_read_is_said_and_hides_nothing_else():
    row = lease_status("x", stored(ledger='{"v":9}'))
    assert (row.state, row.jobs) == ("alive", ())
    assert "version is 9" in str(row.problem)


def test_what_is_not_there_or_cannot_be_read_is_a_state():
    assert lease_status("x", None).state == "missing"
    assert lease_status("x", StoreError("no JSON")).problem == "no JSON"


# As a command


@pytest.fixture
def file(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/leases.sqlite3"


def test_a_fire_that_runs_again_is_shown_with_its_attempt(file: str):
    fire = datetime.now(UTC)
    for attempt in (1, 2):
        with Replica(file) as replica:  # ends before it is done
            assert replica.leadership("nightly").wait(5)
            assert replica.leadership("nightly").claim("report", fire, interrupted="rerun")
        said = "claimed" if attempt == 1 else "attempt 2"
        assert re.search(rf"^app:report .*{said} +nightly *$", call("status", "--store", file).output, re.MULTILINE)
    (nightly,) = call("status", "nightly", "--store", file, "--json").json["leases"]
    assert [(job["done"], job["attempt"]) for job in nightly["jobs"]] == [(False, 2)]
    with Replica(file) as replica:
        assert replica.leadership("nightly").wait(5)
        assert replica.leadership("nightly").claim("report", fire, interrupted="rerun")
        replica.leadership("nightly").done("report", fire)
    (nightly,) = call("status", "nightly", "--store", file, "--json").json["leases"]
    assert [(job["done"], job["attempt"]) for job in nightly["jobs"]] == [(True, None)]


def test_a_replica_in_a_file(file: str):
    with Replica(file, identity="worker-1") as replica:
        assert replica.leadership("nightly").wait(5)
        assert replica.leadership("nightly").claim("report", datetime.now(UTC))
        printed = call("status", "--store", file)
        asked = call("status", "nightly", "absent", "--store", file, "--json").json
    assert printed.status == 0
    assert re.search(r"^nightly +worker-1 +.*alive +1 *$", printed.output, re.MULTILINE), printed.output
    assert re.search(r"^app:report .*claimed +nightly *$", printed.output, re.MULTILINE)
    nightly, absent = asked["leases"]
    assert nightly["holder"].startswith("worker-1_")
    assert nightly["jobs"][0]["job"] == "app:report"
    assert datetime.fromisoformat(nightly["leading_since"]).tzinfo is not None
    assert (absent["lease"], absent["state"]) == ("absent", "missing")


async def keep(store: Any, *keys: str, base: str = "sync") -> None:
    now = datetime.now(UTC)
    for key in keys:
        await store.keyed_lock(base, key, "worker-1_x").create(LockRecord("worker-1_x", 15, now, now, 1))


def test_the_leases_of_keys_are_shown_with_them(file: str, tmp_path: Path):
    store = SQLiteStore(tmp_path / "leases.sqlite3")
    asyncio.run(keep(store, "acme", "Ünïq & Co", HOSTILE[:40].replace("\x00", "")))
    asyncio.run(keep(store, "other", base="mail"))
    printed = call("status", "sync", "--store", file)
    asked = call("status", "sync", "--store", file, "--json").json
    everything = call("status", "--store", file).output
    assert printed.status == 0
    assert re.search(r"^LEASE +KEY +POD ", printed.output, re.MULTILINE), printed.output
    assert re.search(r"^sync\.acme +acme +worker-1 .*alive", printed.output, re.MULTILINE)
    assert re.search(r"^sync\.n-q-co--[0-9a-f]{16} +\\xdcn\\xefq & Co +worker-1 ", printed.output, re.MULTILINE)
    assert "\x1b[31m" not in printed.output
    assert "mail" not in printed.output
    assert "missing" not in printed.output
    assert "Ünïq & Co" in [lease["key"] for lease in asked["leases"]]
    assert all(name in everything for name in ("mail.other", "sync.acme", "KEY"))


def test_a_lease_that_has_keys_as_well_comes_first(file: str, tmp_path: Path):
    with Replica(file, identity="worker-1") as replica:
        assert replica.leadership("sync").wait(5)
        assert "KEY" not in call("status", "sync", "--store", file).output
        asyncio.run(keep(SQLiteStore(tmp_path / "leases.sqlite3"), "b", "a"))
        asked = call("status", "absent", "sync", "--store", file, "--json").json
    assert [(lease["lease"], lease["key"], lease["state"]) for lease in asked["leases"]] == [
        ("absent", None, "missing"),
        ("sync", None, "alive"),
        ("sync.a", "a", "alive"),
        ("sync.b", "b", "alive"),
    ]


async def spread(store: Any, **jobs: str) -> None:
    """Leases of jobs that have run; of those whose runner ends in "!", the run goes on."""
    now = datetime.now(UTC)
    for job, by in jobs.items():
        state, holder = ("c", by.rstrip("!")) if by.endswith("!") else ("d", "")
        mark = [now.isoformat(), "nonce", state, None, [], None, by.rstrip("!")]
        ledger = json.dumps({"v": 1, "jobs": {f"aps:default:{job}": mark}})
        lock = store.lock(f"reports.{job}", "whoever")
        await lock.create(LockRecord(holder, 15, now, now, 1), ledger=ledger)


def test_jobs_of_a_spread_guard_are_shown_with_their_last_runners(file: str, tmp_path: Path):
    store = SQLiteStore(tmp_path / "leases.sqlite3")
    asyncio.run(spread(store, north="pod-a_1", south="pod-b_2!"))
    asyncio.run(store.lock("reports.eu", "x").create(LockRecord("pod-z_1", 15, None, datetime.now(UTC), 1)))
    printed = call("status", "reports", "--store", file).output
    assert re.search(r"^JOB +LAST FIRE +RUN +BY +LEASE", printed, re.MULTILINE), printed
    assert re.search(r"^aps:default:north .* done +pod-a +reports\.north *$", printed, re.MULTILINE)
    assert re.search(r"^aps:default:south .* claimed +pod-b +reports\.south *$", printed, re.MULTILINE)
    assert re.search(r"^reports\.south +pod-b .*alive", printed, re.MULTILINE)
    assert not re.search(r"^reports\.north ", printed, re.MULTILINE)  # nobody runs it
    assert "missing" not in printed
    assert "reports.eu" not in printed  # an ordinary lease
    assert "reports.eu" in call("status", "--store", file).output
    asked = call("status", "reports", "--store", file, "--json").json["leases"]
    assert [(lease["lease"], lease["state"], lease["jobs"][0]["by"]) for lease in asked] == [
        ("reports.north", "free", "pod-a_1"),
        ("reports.south", "alive", "pod-b_2"),
    ]


def test_fifty_jobs_that_rest_leave_the_table_of_leases_readable(file: str, tmp_path: Path):
    jobs = {f"job-{number}": "pod-a_1" for number in range(50)}
    asyncio.run(spread(SQLiteStore(tmp_path / "leases.sqlite3"), busy="pod-b_2!", **jobs))
    above, below = call("status", "--store", file).output.split("\nJOB ")
    assert len(above.strip().splitlines()) == 3, above  # the store, the header and the lease that is held
    assert below.count("aps:default:") == 51


def test_a_ledger_of_a_spread_job_that_cannot_be_read_is_shown_by_the_base(file: str, tmp_path: Path):
    store, now = SQLiteStore(tmp_path / "leases.sqlite3"), datetime.now(UTC)
    asyncio.run(store.lock("reports.north", "x").create(LockRecord("", 15, now, now, 3), ledger='{"v":9}'))
    printed = call("status", "reports", "--store", file).output
    assert re.search(r"^reports\.north +- .*free", printed, re.MULTILINE), printed
    assert "reports.north: its ledger cannot be read" in printed


def test_another_base_with_the_same_beginning_is_not_shown(file: str, tmp_path: Path):
    asyncio.run(spread(SQLiteStore(tmp_path / "leases.sqlite3"), north="pod-a_1"))
    assert "missing" in call("status", "report", "--store", file).output


def test_where_no_job_runs_there_is_only_the_table_of_jobs(file: str, tmp_path: Path):
    asyncio.run(spread(SQLiteStore(tmp_path / "leases.sqlite3"), north="pod-a_1"))
    assert "POD" not in call("status", "--store", file).output


def test_without_spread_jobs_there_is_no_column_for_them(file: str):
    with Replica(file, identity="worker-1") as replica:
        assert replica.leadership("nightly").wait(5)
        assert replica.leadership("nightly").claim("report", datetime.now(UTC))
        assert " BY " not in call("status", "--store", file).output


@pytest.mark.e2e
def test_who_may_not_list_is_told_so_where_nothing_else_is_to_be_shown(make_pod: MakePod, admin: Admin, namespace: str):
    assert admin.put_lease(namespace, "nightly", {"spec": {"holderIdentity": "pod-a_1"}})[0] == 201
    pod = make_pod("pod-a", roles=[lease_role("nightly", "sync")])
    alone, missing = call("status", "nightly", **pod.env), call("status", "sync", **pod.env)
    assert (alone.status, "cannot be listed" in alone.output) == (0, False), alone
    assert (missing.status, "cannot be listed: 403" in missing.output) == (0, True), missing
    assert "kind: Role" not in missing.output


@pytest.mark.e2e
def test_the_leases_of_keys_in_a_namespace(make_pod: MakePod, monkeypatch: pytest.MonkeyPatch):
    pod = make_pod("pod-a")
    monkeypatch.setenv("KUBECONFIG", str(pod.kubeconfig))

    async def fill() -> None:
        store = KubernetesStore(namespace=pod.namespace)
        await keep(store, "acme", "Acme")
        await store.aclose()

    asyncio.run(fill())
    asked = call("status", "sync", "--json", **pod.env).json
    assert sorted((lease["key"], lease["holder"]) for lease in asked["leases"]) == [
        ("Acme", "worker-1_x"),
        ("acme", "worker-1_x"),
    ]


def test_nothing_to_show_is_no_error(file: str):
    call("doctor", "--store", file)  # which makes the file, as a replica would
    printed = call("status", "--store", file)
    assert (printed.status, "No leases." in printed.output) == (0, True)


def test_looking_makes_no_file(tmp_path: Path):
    printed = call("status", "--store", f"sqlite:///{tmp_path}/new/leases.sqlite3")
    assert printed.status == 1
    assert "there is no such file yet" in printed.errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("status", "--store", "memory:"), 2, "one space per process"),
        (("status", "No_Good!", "--store", "sqlite:///x"), 2, "cannot be used"),
        (("status", "-n", "No!"), 2, "namespace 'No!' cannot be used"),
        (("status", "--store", "sqlite:////proc/nowhere/x"), 1, "Error: SQLite file"),
    ],
)
def test_what_cannot_be_read_is_one_line(arguments: tuple[str, ...], status: int, says: str):
    printed = call(*arguments)
    assert printed.status == status
    assert says in printed.errors
    assert "Traceback" not in printed.errors


def on_terminal(*arguments: str, columns: int, until: tuple[bytes, int] | None = None, **environment: str) -> str:
    """What a terminal of that width is sent; ``until`` it was sent this so often, if given, and is then interrupted."""
    main, side = pty.openpty()
    env = os.environ | {"COLUMNS": str(columns), "TERM": "xterm-256color"} | environment
    process = subprocess.Popen([*COMMAND, *arguments], stdin=side, stdout=side, stderr=side, env=env)
    os.close(side)
    sent, deadline = bytearray(), time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline, sent.decode()
        if until and sent.count(until[0]) >= until[1]:
            process.send_signal(signal.SIGINT)
            until = None
        if not select.select([main], [], [], 0.1)[0]:
            continue
        try:
            data = os.read(main, 65536)
        except OSError:  # the other side is closed
            break
        sent += data
    assert process.wait(10) == 0, sent.decode()
    os.close(main)
    return sent.decode()


@pytest.mark.parametrize("columns", [80, 200])
def test_on_a_terminal_a_line_never_wraps(file: str, columns: int):
    with Replica(file, identity="p" * 60) as replica:
        for lease in ("n" * 60, "short"):
            assert replica.leadership(lease).wait(5)
        text = on_terminal("status", "--store", file, columns=columns)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    assert "\x1b[32m" in text  # alive is green
    assert all(len(line) <= columns for line in plain), plain
    assert any("(" in line for line in plain[1:]) == (columns == 200)  # moments are shown where there is room


def test_without_colour(file: str):
    with Replica(file) as replica:
        assert replica.leadership("nightly").wait(5)
        text = on_terminal("status", "--store", file, columns=80, NO_COLOR="1")
    assert "[32m" not in text
    assert "alive" in text


def test_watch_looks_again_until_interrupted(file: str):
    with Replica(file, identity="worker-1") as replica:
        assert replica.leadership("nightly").wait(5)
        sent = on_terminal("status", "--watch", "--store", file, columns=100, until=(b"worker-1", 2))
    assert sent.count("\x1b[?1049h") == sent.count("\x1b[?1049l") == 1  # a screen of its own, given back


@pytest.mark.e2e
def test_hostile_text_does_nothing_to_the_terminal(make_pod: MakePod, admin: Admin, namespace: str):
    ledger = json.dumps({"v": 1, "jobs": {f"app:{HOSTILE[:60]}": ["2026-11-27T11:00:00Z", "n", "c"]}})
    annotations = {
        "singleton-jobs/fires": ledger,
        "singleton-jobs/step-down": HOSTILE[:200],
        "singleton-jobs/key": HOSTILE[:2000],
    }
    spec = {"holderIdentity": HOSTILE, "leaseDurationSeconds": 15, "renewTime": "2026-11-27T11:00:00.000000Z"}
    assert admin.put_lease(namespace, "evil", {"spec": spec, "metadata": {"annotations": annotations}})[0] == 201
    pod = make_pod("pod-a")
    for printed in (
        call("status", **pod.env),
        call("status", "evil", COLUMNS="200", **pod.env),
        call("doctor", "evil", **pod.env),
    ):
        assert printed.status == 0, printed
        assert len(printed.output) < 8_000
        assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e\u2066]", printed.output)
        assert not re.search("^LEASE forged", printed.output, re.MULTILINE)
    assert "[bold]markup[/bold]" in printed.output or "markup" in call("status", **pod.env).output
    asked = call("status", "--json", **pod.env)
    assert asked.json["leases"][0]["holder"] == HOSTILE
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e\u2066]", asked.output)


@pytest.mark.e2e
def test_a_thousand_leases_take_one_list(make_pod: MakePod, admin: Admin, namespace: str, proxy: Proxy):
    spec = {"holderIdentity": "pod-b_1", "leaseDurationSeconds": 15, "renewTime": "2026-11-27T11:00:00.000000Z"}
    ledger = json.dumps({"v": 1, "jobs": {"app:report": ["2026-11-27T11:00:00.000000Z", "n", "d"]}})
    lease = {"spec": spec, "metadata": {"annotations": {"singleton-jobs/fires": ledger}}}
    with ThreadPoolExecutor(8) as pool:
        statuses = pool.map(lambda number: admin.put_lease(namespace, f"job-{number:04}", lease)[0], range(1000))
        assert set(statuses) == {201}
    pod = make_pod("pod-a", server=proxy)
    printed = call("status", **pod.env)
    assert printed.output.count("pod-b") == 1000
    assert [(seen.method, seen.path.partition("?")[0]) for seen in proxy.requests] == [
        ("GET", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")
    ]


@pytest.mark.e2e
def test_leases_of_keys_and_of_jobs_are_shown_once_each_by_one_list_of_all(
    make_pod: MakePod, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    pod = make_pod("pod-a", server=proxy)
    monkeypatch.setenv("KUBECONFIG", str(pod.kubeconfig))

    async def fill() -> None:
        store = KubernetesStore(namespace=pod.namespace)
        await spread(store, north="pod-b_1")
        await keep(store, "acme", base="reports")
        await store.aclose()

    asyncio.run(fill())
    sent = len(proxy.requests)
    asked = call("status", "reports", "other", "--json", **pod.env).json
    assert [(lease["lease"], lease["state"]) for lease in asked["leases"]] == [
        ("reports.acme", "alive"),
        ("reports.north", "free"),
        ("other", "missing"),
    ]
    lists = [seen.path for seen in proxy.requests[sent:] if seen.path.partition("?")[0].endswith("/leases")]
    assert len([path for path in lists if "labelSelector" not in path]) == 1, lists


@pytest.mark.e2e
def test_without_the_right_to_list_named_leases_can_be_asked_for(make_pod: MakePod):
    pod = make_pod("pod-a", roles=[lease_role("nightly")])
    with_all, named = call("status", **pod.env), call("status", "nightly", **pod.env)
    assert with_all.status == 1
    assert "cannot be listed" in with_all.errors
    assert "name the leases" in with_all.errors
    assert (named.status, "missing" in named.output) == (0, True)


@pytest.mark.e2e
def test_other_libraries_leases_are_shown_too(make_pod: MakePod, admin: Admin, namespace: str):
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    spec = {"holderIdentity": "kubelet-1_8fb1", "leaseDurationSeconds": 600, "renewTime": now, "acquireTime": now}
    admin.put_lease(namespace, "controller", {"spec": spec})
    admin.put_lease(namespace, "empty", {"spec": {}})
    output = call("status", **make_pod("pod-a").env).output
    assert re.search(r"^controller +kubelet-1 +.*alive", output, re.MULTILINE), output
    assert re.search(r"^empty +- .*free", output, re.MULTILINE), output
