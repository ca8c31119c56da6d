"""What a watch meets on its way from the API server, and how it goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from controlplane.admin import Admin
from controlplane.fixtures import MakePod
from controlplane.pod import lease_role
from controlplane.proxy import Proxy
from controlplane.server import ControlPlane

from singleton_jobs.hooks.dispatcher import flush
from singleton_jobs.locks import KubernetesStore, LockRecord
from singleton_jobs.locks.kubernetes import feed, watcher
from singleton_jobs.locks.watching import Sight, Watch, Watchable

pytestmark = pytest.mark.e2e

LIMIT = 20.0  # seconds that a busy machine may take for what takes milliseconds
WATCH = "watch=1"
LIST = "leases?timeout"
ROLES = {"namespace": lease_role(), "own": lease_role("job")}
HOW = {"namespace": "one watch of the namespace", "own": "a watch of its own"}


class Told:
    """What a watch has told so far."""

    def __init__(self) -> None:
        self.sights: list[Sight | None] = []
        self._changed = asyncio.Event()

    def __call__(self, sight: Sight | None) -> None:
        self.sights.append(sight)
        self._changed.set()

    async def until(self, reached: Callable[[list[Sight | None]], object]) -> None:
        async with asyncio.timeout(LIMIT):
            while not reached(self.sights):
                self._changed.clear()
                await self._changed.wait()

    async def holder(self, name: str) -> Sight:
        """Until it tells that ``name`` is the holder."""
        await self.until(lambda sights: holders(sights)[-1:] == [name])
        assert self.sights[-1]
        return self.sights[-1]

    async def nothing(self) -> None:
        """Until it tells that it can tell nothing."""
        await self.until(lambda sights: sights[-1:] == [None])


def holders(sights: list[Sight | None]) -> list[str | None]:
    """The holders that were told of; None: nothing can be told; empty: there is no lease."""
    return [sight and (sight.stored.record.holder_identity if sight.stored else "") for sight in sights]


class Stage:
    """One follower, and the lease that it watches."""

    def __init__(self, admin: Admin, namespace: str, proxy: Proxy, how: str) -> None:
        self.admin = admin
        self.namespace = namespace
        self.proxy = proxy
        self.how = how
        self.store = KubernetesStore(namespace=namespace)
        self.told = Told()
        self.watch: Watch | None = None

    def hold(self, name: str, lease: str = "job", **metadata: Any) -> int:
        """Somebody takes the lease; its new version."""
        labels = {"app.kubernetes.io/managed-by": "singleton-jobs"}
        found = self.admin.get_lease(self.namespace, lease)
        body = {"metadata": {"labels": labels} | metadata, "spec": {"holderIdentity": name, "leaseDurationSeconds": 15}}
        if found:
            body["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
        status, answer = self.admin.put_lease(self.namespace, lease, body)
        assert status in (200, 201), answer
        return int(answer["metadata"]["resourceVersion"])

    async def begin(self) -> Told:
        """Watch the lease, which somebody holds, until an event has come."""
        self.hold("a")
        lock = self.store.lock("job", "me_1")
        assert isinstance(lock, Watchable)
        self.watch = lock.watch(self.told)
        await self.told.holder("a")
        await asyncio.to_thread(self.proxy.wait_for, 1, "GET", WATCH, LIMIT)
        self.hold("b")
        await self.told.holder("b")
        assert self.watch.how == HOW[self.how]
        return self.told

    async def again(self, count: int = 1, path: str = WATCH) -> None:
        await asyncio.to_thread(self.proxy.wait_for, self.proxy.count("GET", path) + count, "GET", path, LIMIT)

    def versions(self) -> list[str]:
        """From which each watch was asked for."""
        return [
            seen.path.split("resourceVersion=")[1].split("&")[0] for seen in self.proxy.requests if WATCH in seen.path
        ]

    def line(self, kind: str, holder: str, **metadata: Any) -> bytes:
        """An event of the lease as it is."""
        lease = self.admin.get_lease(self.namespace, "job")
        lease["spec"]["holderIdentity"] = holder
        lease["metadata"] |= metadata
        return json.dumps({"type": kind, "object": lease}).encode() + b"\n"


both = pytest.mark.parametrize("how", HOW, indirect=True)


@pytest.fixture
def how(request: pytest.FixtureRequest) -> str:
    return getattr(request, "param", "namespace")


@pytest.fixture
def stage(
    admin: Admin, namespace: str, proxy: Proxy, make_pod: MakePod, monkeypatch: pytest.MonkeyPatch, how: str
) -> Stage:
    monkeypatch.setenv("KUBECONFIG", str(make_pod(server=proxy, roles=[ROLES[how]]).kubeconfig))
    return Stage(admin, namespace, proxy, how)


def play(stage: Stage, scenario: Coroutine[Any, Any, None]) -> None:
    """Run it, and leave nothing behind."""

    async def main() -> None:
        try:
            await scenario
        finally:
            await stage.store.aclose()
            assert len(asyncio.all_tasks()) == 1
            transports = asyncio.get_running_loop()._transports
            async with asyncio.timeout(LIMIT):
                while any(transport._sock for transport in transports.values()):  # TLS takes some turns of the loop
                    await asyncio.sleep(0.001)

    asyncio.run(main())


GONE = {"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old resource version"}


def error(status: dict[str, Any]) -> bytes:
    return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"


@both
def test_changes_are_told_as_they_happen(stage: Stage) -> None:
    async def scenario() -> None:
        told = await stage.begin()
        version = stage.hold("c")
        sight = await told.holder("c")
        assert (sight.version, sight.stored.version) == (version, version)
        assert sight.stored.served_at is None
        assert holders(told.sights) == ["a", "b", "c"]

    play(stage, scenario())


@both
def test_a_lease_that_is_deleted_and_created_again_is_told_of(stage: Stage) -> None:
    async def scenario() -> None:
        told = await stage.begin()
        before = told.sights[-1]
        stage.admin.delete_lease(stage.namespace, "job")
        if stage.how == "own":
            assert (await told.holder("")).version > before.version
        else:  # a watch by label tells the same of a lease that has lost the label
            await told.nothing()
        stage.hold("c")
        again = await told.holder("c")
        assert before.version < again.version
        assert before.stored.uid != again.stored.uid

    play(stage, scenario())


def test_a_lease_that_is_labelled_otherwise_is_not_taken_for_deleted(stage: Stage) -> None:
    async def scenario() -> None:
        told = await stage.begin()
        label = "app.kubernetes.io/managed-by"
        stage.admin.patch_lease(stage.namespace, "job", {"metadata": {"labels": {label: "them"}}})
        await told.nothing()
        stage.admin.patch_lease(stage.namespace, "job", {"metadata": {"labels": {label: "singleton-jobs"}}})
        await told.holder("b")
        assert holders(told.sights) == ["a", "b", None, "b"]

    play(stage, scenario())


@both
@pytest.mark.parametrize("when", ["at the start", "in mid-stream"])
def test_an_expired_version_is_followed_by_a_list_and_nobody_notices(stage: Stage, when: str) -> None:
    async def scenario() -> None:
        told = await stage.begin()
        lists = stage.proxy.count("GET", LIST)
        event = stage.line("MODIFIED", "b")
        if when == "at the start":
            stage.proxy.on("GET", WATCH, times=1).respond(200, body=event)  # which then ends, as servers do
            stage.proxy.on("GET", WATCH, times=1).respond(410, body=GONE)
        else:
            stage.proxy.on("GET", WATCH, times=1).respond(200, body=event + error(GONE))
        stage.proxy.cut()
        await told.nothing()
        await told.holder("b")
        stage.hold("c")
        await told.holder("c")
        assert holders(told.sights) == ["a", "b", None, "b", "c"]
        assert stage.proxy.count("GET", LIST) == lists + 2  # after the cut, and after the 410

    play(stage, scenario())


@pytest.mark.parametrize(
    ("path", "status", "headers"),
    [(WATCH, 429, {"Retry-After": "1"}), (WATCH, 503, {}), (LIST, 504, {"Retry-After": "1"}), (LIST, 500, {})],
)
def test_a_refusal_is_waited_out(stage: Stage, status: int, headers: dict[str, str], path: str) -> None:
    async def scenario() -> None:
        told = await stage.begin()
        refused = stage.proxy.on("GET", path, times=1).respond(status, headers)
        stage.proxy.cut()
        await told.nothing()
        await asyncio.to_thread(refused.wait, timeout=LIMIT)
        stage.hold("c")
        await told.holder("c")
        tries = [seen.at for seen in stage.proxy.requests if LIST in seen.path or WATCH in seen.path]
        if headers:
            assert max(b - a for a, b in pairwise(tries)) >= 1

    play(stage, scenario())


@both
def test_a_cut_connection_is_made_anew_soon(stage: Stage) -> None:
    async def scenario() -> None:
        told = await stage.begin()
        stage.proxy.cut()
        await told.nothing()
        assert stage.watch.how.startswith("polling: ")
        stage.hold("c")
        await told.holder("c")
        assert holders(told.sights) == ["a", "b", None, "c"]
        assert stage.watch.how == HOW[stage.how]

    play(stage, scenario())


@pytest.mark.parametrize("cut", [True, False], ids=["and the connection with it", "and the answer ended"])
def test_an_event_that_is_cut_in_mid_line_is_none(stage: Stage, cut: bool) -> None:
    async def scenario() -> None:
        told = await stage.begin()
        half = stage.line("MODIFIED", "half")[:300]
        headers = {"Content-Length": "4000"} if cut else {}
        broken = stage.proxy.on("GET", WATCH, times=1).respond(200, headers, half)
        stage.proxy.cut()
        await told.holder("b")
        await asyncio.to_thread(broken.wait, timeout=LIMIT)
        if cut:
            stage.proxy.cut()
        stage.hold("c")
        await told.holder("c")
        assert "half" not in holders(told.sights)

    play(stage, scenario())


def test_a_large_object_is_one_event(stage: Stage) -> None:
    async def scenario() -> None:
        told = await stage.begin()
        quotes = '"' * 160_000  # each takes two bytes
        stage.hold("c", annotations={"example.com/large": quotes})
        sight = await told.holder("c")
        assert sight.stored.raw["metadata"]["annotations"]["example.com/large"] == quotes
        stage.hold("d")
        await told.holder("d")
        assert None not in told.sights

    play(stage, scenario())


def test_a_connection_on_which_nothing_comes_any_more_is_replaced_once_it_is_doubted(stage: Stage) -> None:
    async def scenario() -> None:
        told = await stage.begin()
        stage.proxy.partition()
        stage.hold("c")
        await asyncio.to_thread(stage.proxy.heal)
        assert holders(told.sights) == ["a", "b"]
        stage.watch.doubt()
        await told.nothing()
        await told.holder("c")
        stage.hold("d")
        await told.holder("d")

    play(stage, scenario())


def test_a_proxy_that_keeps_the_stream_to_itself_is_found_out_by_whoever_polls(stage: Stage) -> None:
    async def scenario() -> None:
        stage.hold("a")
        keeping = stage.proxy.on("GET", WATCH).forward_then_delay(0)
        stage.watch = stage.store.lock("job", "me_1").watch(stage.told)
        await stage.told.holder("a")
        await asyncio.to_thread(keeping.wait, timeout=LIMIT)
        stage.hold("b")
        stage.watch.doubt()
        await stage.told.holder("b")
        assert holders(stage.told.sights) == ["a", None, "b"]

    play(stage, scenario())


def test_what_is_older_than_what_was_told_is_not_told(stage: Stage) -> None:
    async def scenario() -> None:
        told = await stage.begin()
        old = stage.line("MODIFIED", "old", resourceVersion="2") + stage.line("DELETED", "old", resourceVersion="3")
        late = stage.proxy.on("GET", WATCH, times=1).respond(200, body=old)
        stage.proxy.cut()
        await told.nothing()
        await asyncio.to_thread(late.wait, timeout=LIMIT)
        stage.hold("c")
        await told.holder("c")
        assert not {"old", ""} & set(holders(told.sights))

    play(stage, scenario())


@pytest.mark.parametrize("how", ["own"], indirect=True)
def test_the_servers_own_end_is_no_interruption_and_bookmarks_say_where_to_go_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PERIOD", (3.0, 3.0))

    async def scenario() -> None:
        told = await stage.begin()
        version = told.sights[-1].version
        elsewhere = stage.hold("x", "another")  # only a bookmark tells whoever watches one lease that this was so
        await stage.again(1)
        lists = stage.proxy.count("GET", LIST)
        assert "timeoutSeconds=3" in stage.proxy.requests[-1].path
        assert int(stage.versions()[-1]) >= elsewhere > version
        stage.hold("c")
        await told.holder("c")
        assert None not in told.sights
        assert stage.proxy.count("GET", LIST) == lists

    play(stage, scenario())


def test_a_refused_token_is_read_anew(stage: Stage) -> None:
    async def scenario() -> None:
        told = await stage.begin()
        refused = stage.proxy.on("GET", "leases?", times=3).respond(401)  # twice for one list, then once more
        stage.proxy.cut()
        await told.nothing()
        await asyncio.to_thread(refused.wait, hits=3, timeout=LIMIT)
        stage.hold("c")
        await told.holder("c")

    play(stage, scenario())


@pytest.mark.own_control_plane
def test_a_server_that_restarts_is_found_again(stage: Stage, control_plane: ControlPlane) -> None:
    async def scenario() -> None:
        told = await stage.begin()
        await asyncio.to_thread(control_plane.restart_apiserver)
        assert None in told.sights
        stage.hold("c")
        await told.holder("c")
        assert stage.watch.how == HOW[stage.how]

    play(stage, scenario())


# Which way is taken


@both
def test_the_way_that_is_taken_is_logged_once(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "singleton_jobs")

    async def scenario() -> None:
        await stage.begin()
        stage.proxy.cut()
        await stage.told.nothing()
        await stage.told.holder("b")

    play(stage, scenario())
    flush(LIMIT)
    way = {"namespace": HOW["namespace"], "own": "a watch of each, of up to 8"}[stage.how]
    assert caplog.messages == [f"changes of leases in namespace {stage.namespace} are learnt by {way}"]


def test_a_lease_that_is_not_labelled_is_polled_until_one_of_us_has_written_it(stage: Stage) -> None:
    async def scenario() -> None:
        stage.hold("old", labels={})
        stage.hold("theirs", "other", labels={"app.kubernetes.io/managed-by": "them"})
        lock, theirs = stage.store.lock("job", "me_1"), Told()
        watches = [lock.watch(stage.told), stage.store.lock("other", "me_1").watch(theirs)]
        await asyncio.to_thread(stage.proxy.wait_for, 1, "GET", WATCH, LIMIT)
        assert {watch.how for watch in watches} == {"polling: the watch of the namespace does not show it"}
        found = await lock.get()
        await lock.request_step_down(found)
        assert (
            stage.admin.get_lease(stage.namespace, "job")["metadata"].get("labels") is None
        )  # it is not our lease yet
        await lock.update(LockRecord("me_1", 15), await lock.get())
        await stage.told.holder("me_1")
        found = await stage.store.lock("other", "me_1").get()
        await stage.store.lock("other", "me_1").update(LockRecord("me_1", 15), found)
        stage.hold("b")
        await stage.told.holder("b")
        labels = stage.admin.get_lease(stage.namespace, "other")["metadata"]["labels"]
        assert (labels, theirs.sights) == ({"app.kubernetes.io/managed-by": "them"}, [])

    play(stage, scenario())


def test_a_lease_that_is_not_there_yet_is_told_of_once_one_of_us_creates_it(stage: Stage) -> None:
    async def scenario() -> None:
        lock = stage.store.lock("job", "me_1")
        lock.watch(stage.told)
        await asyncio.to_thread(stage.proxy.wait_for, 1, "GET", WATCH, LIMIT)
        stored = await lock.create(LockRecord("me_1", 15))
        assert (await stage.told.holder("me_1")).version == stored.version

    play(stage, scenario())


@pytest.mark.parametrize("how", ["own"], indirect=True)
def test_by_name_a_lease_that_is_not_there_is_told_of(stage: Stage) -> None:
    async def scenario() -> None:
        lock = stage.store.lock("job", "me_1")
        watch = lock.watch(stage.told)
        first = await stage.told.holder("")
        assert (first.stored, watch.how) == (None, HOW["own"])
        stored = await lock.create(LockRecord("me_1", 15))
        assert (await stage.told.holder("me_1")).version == stored.version > first.version

    play(stage, scenario())


def test_who_comes_later_is_told_what_is_known(stage: Stage) -> None:
    async def scenario() -> None:
        await stage.begin()
        later, both = Told(), stage.proxy.count("GET")
        watch = stage.store.lock("job", "me_2").watch(later)
        await later.holder("b")
        assert stage.proxy.count("GET") == both
        watch.end()
        watch.end()
        stage.hold("c")
        await stage.told.holder("c")
        assert holders(later.sights) == ["b"]
        stage.watch.end()
        async with asyncio.timeout(LIMIT):
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0)

    play(stage, scenario())


NAMES = [f"job-{number}" for number in range(10)]


@pytest.fixture
def by_name(stage: Stage, make_pod: MakePod, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """As whoever may watch ten leases."""
    monkeypatch.setenv("KUBECONFIG", str(make_pod(server=stage.proxy, roles=[lease_role(*NAMES)]).kubeconfig))
    return Stage(stage.admin, stage.namespace, stage.proxy, "own")


def test_so_many_leases_have_a_watch_of_their_own_and_the_next_when_one_ends(by_name: Stage) -> None:
    async def scenario() -> None:
        told = {name: Told() for name in NAMES}
        watches = {name: by_name.store.lock(name, "me_1").watch(told[name]) for name in NAMES}
        for name in NAMES[:8]:
            await told[name].holder("")
        polled = "polling: only 8 leases have a watch of their own"
        assert [watches[name].how for name in NAMES] == [HOW["own"]] * 8 + [polled] * 2
        watches[NAMES[3]].end()
        await told[NAMES[8]].holder("")
        await asyncio.gather(
            *(by_name.store.lock(name, "me_1").get() for name in NAMES)
        )  # watches are not in their way
        assert told[NAMES[9]].sights == []

    play(by_name, scenario())


@pytest.mark.parametrize("verbs", [["get", "update", "create"], ["get", "update", "create", "list"]])
def test_without_the_right_to_watch_it_is_polled_and_said_how_to_mend_that(
    stage: Stage,
    make_pod: MakePod,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    verbs: list[str],
) -> None:
    caplog.set_level("INFO", "singleton_jobs")
    role = lease_role(*NAMES)
    role["rules"][0]["verbs"] = verbs
    monkeypatch.setenv("KUBECONFIG", str(make_pod(server=stage.proxy, roles=[role]).kubeconfig))
    polling = Stage(stage.admin, stage.namespace, stage.proxy, "own")
    monkeypatch.setattr(watcher, "RETRY", 0.5)

    async def scenario() -> None:
        watches = [polling.store.lock(name, "me_1").watch(Told()) for name in NAMES]
        asked = 1 + 8 * ("list" not in verbs or 2)  # the namespace's list, and what names allow
        await asyncio.to_thread(polling.proxy.wait_for, asked, "GET", "", LIMIT)
        async with asyncio.timeout(LIMIT):
            while not all("does not allow" in watch.how for watch in watches[:8]):
                await asyncio.sleep(0.001)
        await asyncio.to_thread(polling.proxy.wait_for, 2 * asked, "GET", "", LIMIT)  # in case it does by now

    play(polling, scenario())
    flush(LIMIT)
    said = [message for message in caplog.messages if "polled" in message]
    assert len(said) == 1
    assert "verbs: [get, create, update, list, watch]" in said[0]
