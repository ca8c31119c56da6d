"""Watches, against a server that does as it is told, on virtual time."""

import asyncio
import json

import pytest

from simulation.loop import Steady, VirtualLoop
from singleton_jobs.concurrency import telling
from singleton_jobs.errors import StoreError
from singleton_jobs.locks.kubernetes import feed, watcher
from singleton_jobs.locks.kubernetes.api import Answer
from singleton_jobs.locks.kubernetes.watcher import Watching

FORBIDDEN = Answer(403, {"message": "forbidden"}, None, None)
GONE = Answer(410, {"message": "too old resource version"}, None, None)
OUR_LABEL = {"app.kubernetes.io/managed-by": "singleton-jobs"}


class Stream:
    """One watch that is open on the server."""

    def __init__(self, query, see):
        self.asked = dict(part.split("=", 1) for part in query.split("&"))
        self.see = see
        self.end = asyncio.get_running_loop().create_future()

    def selects(self, name, labels):
        by_name = self.asked.get("fieldSelector")
        return by_name == f"metadata.name%3D{name}" if by_name else labels == OUR_LABEL


class Server:
    """Keeps leases, and the watches of them; ``faults`` are answered first: to lists, or to watches."""

    def __init__(self):
        self.version = 10
        self.leases = {}
        self.faults = {"list": [], "watch": []}
        self.allowed = {"namespace": True, "own": True}
        self.asked = []  # what, and when
        self.streams = []
        self.closed = 0

    async def request(self, method, path, body=None, *, timeout, query=""):
        self._note(f"list {query[1:6]}")
        self._fault("list", query)
        await asyncio.sleep(0)
        asked = Stream(query[1:], None)
        items = [
            lease for name, lease in self.leases.items() if asked.selects(name, lease["metadata"].get("labels") or {})
        ]
        found = {"metadata": {"resourceVersion": str(self.version)}, "items": items}
        return self._refusal(query) or Answer(200, json.loads(json.dumps(found)), None, None)

    async def watch(self, path, query, opened, see):
        self._note("watch")
        fault = self._fault("watch", query)
        if fault:
            return fault
        opened()
        self.streams.append(stream := Stream(query, see))
        try:
            return await stream.end
        finally:
            self.streams.remove(stream)

    async def aclose(self):
        self.closed += 1

    def put(self, name, holder="a", labels=OUR_LABEL, kind="MODIFIED", version=None, **metadata):
        """Store it, and tell whoever watches."""
        self.version += 1
        shown = {"name": name, "uid": "uid-1", "resourceVersion": str(version or self.version), "labels": labels}
        self.leases[name] = {"metadata": shown | metadata, "spec": {"holderIdentity": holder}}
        self.tell({"type": kind, "object": self.leases[name]}, name, labels)
        return self.version

    def delete(self, name):
        self.version += 1
        lease = self.leases.pop(name)
        lease["metadata"]["resourceVersion"] = str(self.version)
        self.tell({"type": "DELETED", "object": lease}, name, lease["metadata"]["labels"])

    def tell(self, event, name, labels=OUR_LABEL):
        for stream in self.streams:
            if stream.selects(name, labels):
                try:
                    stream.see(json.dumps(event).encode())
                except StoreError as error:
                    stream.end.set_exception(error)

    def end(self):
        for stream in self.streams:
            stream.end.set_result(Answer(200, {}, None, None))

    def cut(self):
        for stream in self.streams:
            stream.end.set_exception(StoreError("cut"))

    def _note(self, what):
        self.asked.append((what, asyncio.get_running_loop().time()))

    def _fault(self, what, query):
        fault = self.faults[what].pop(0) if self.faults[what] else None
        if isinstance(fault, Exception):
            raise fault
        return fault or (self._refusal(query) if what == "watch" else None)

    def _refusal(self, query):
        return None if self.allowed["own" if "fieldSelector" in query else "namespace"] else FORBIDDEN

    def times(self, what):
        return [at for asked, at in self.asked if asked.startswith(what)]


class Told(list):
    """What a watch has told; `holders` is the gist of it."""

    def __call__(self, sight):
        self.append(sight)

    @property
    def holders(self):
        return [sight and (sight.stored.record.holder_identity if sight.stored else "") for sight in self]


@pytest.fixture
def server():
    return Server()


@pytest.fixture(autouse=True)
def logged(monkeypatch):
    """What is logged."""
    said = []
    for module in (watcher, feed):
        monkeypatch.setattr(module, "log", lambda level, message, *args, error=None: said.append(message % args))
    monkeypatch.setattr(watcher, "_said", set())
    return said


@pytest.fixture
def play(server):
    """Runs ``scenario(watching)``, and sees to it that nothing is left of it."""

    def run(scenario):
        loop = VirtualLoop()

        async def main():
            watching = Watching(server, "jobs", Steady())
            await scenario(watching)
            await watching.aclose()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert server.streams == []

        try:
            loop.run_until_complete(main())
        finally:
            loop.close()

    return run


async def begun(server, watching):
    """What a watch of a lease that is there tells, and that watch."""
    server.put("nightly")
    told = Told()
    watch = watching.begin("nightly", told)
    await passes()
    return told, watch


async def passes(seconds=0.0):
    """Time, or what is to be done at once."""
    for _ in range(10):
        await asyncio.sleep(0)
    await asyncio.sleep(seconds)
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_the_list_and_then_the_events_say_is_told(server, play):
    async def scenario(watching):
        server.put("nightly")
        told = Told()
        watch = watching.begin("nightly", told)
        assert watch.how == "polling: the watch has not begun yet"
        await passes()
        server.put("nightly", "b")
        server.delete("nightly")
        server.put("nightly", "c", kind="ADDED")
        assert told.holders == ["a", "b", None, "c"]  # it may just have been labelled otherwise
        assert [sight.version for sight in told if sight] == [11, 12, 14]
        assert told[3].stored.version == 14
        assert watch.how == "one watch of the namespace"

    play(scenario)


def test_a_watch_begins_where_its_list_ends(server, play):
    async def scenario(watching):
        watching.begin("nightly", Told())
        await passes()
        assert server.streams[0].asked == {
            "watch": "1",
            "resourceVersion": "10",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "360",
            "labelSelector": "app.kubernetes.io%2Fmanaged-by%3Dsingleton-jobs",
        }

    play(scenario)


def test_all_leases_share_one_watch_of_the_namespace(server, play, logged):
    async def scenario(watching):
        told = {name: Told() for name in ("one", "two", "three")}
        for name in told:
            server.put(name)
        for name, tell in told.items():
            watching.begin(name, tell)
        await passes()
        server.put("two", "b")
        server.put("nobody's")
        assert [tell.holders for tell in told.values()] == [["a"], ["a", "b"], ["a"]]
        assert len(server.asked) == 2

    play(scenario)
    assert logged == ["changes of leases in namespace jobs are learnt by one watch of the namespace"]


def test_what_the_watch_of_the_namespace_has_not_shown_is_not_told_of(server, play):
    async def scenario(watching):
        server.put("old", labels={})
        told, absent = Told(), Told()
        watches = watching.begin("old", told), watching.begin("absent", absent)
        await passes()
        assert {watch.how for watch in watches} == {"polling: the watch of the namespace does not show it"}
        server.put("old", "b", kind="ADDED")
        assert (told.holders, absent) == (["b"], [])
        server.cut()
        server.leases["old"]["metadata"]["labels"] = {}
        await passes(1)
        assert told.holders == ["b", None]

    play(scenario)


def test_by_name_a_lease_that_is_not_in_its_list_does_not_exist(server, play, logged):
    server.allowed["namespace"] = False

    async def scenario(watching):
        told = Told()
        watch = watching.begin("nightly", told)
        await passes()
        assert (told.holders, told[0].version, watch.how) == ([""], 10, "a watch of its own")
        server.put("nightly", kind="ADDED", labels={})
        assert told.holders == ["", "a"]

    play(scenario)
    assert logged == ["changes of leases in namespace jobs are learnt by a watch of each, of up to 8"]


def test_eight_leases_have_a_watch_of_their_own_and_the_others_wait_for_one(server, play):
    server.allowed["namespace"] = False

    async def scenario(watching):
        told = [Told() for _ in range(10)]
        watches = [watching.begin(f"lease-{number}", tell) for number, tell in enumerate(told)]
        await passes()
        assert [len(tell) for tell in told] == [1] * 8 + [0] * 2
        assert watches[9].how == "polling: only 8 leases have a watch of their own"
        watches[0].end()
        await passes()
        assert [len(tell) for tell in told[8:]] == [1, 0]
        assert len(server.streams) == 8

    play(scenario)


def test_a_role_without_watch_means_polling_is_said_once_and_is_tried_again_every_five_minutes(server, play, logged):
    server.allowed = {"namespace": False, "own": False}

    async def scenario(watching):
        watches = [watching.begin(f"lease-{number}", told) for number, told in enumerate([Told() for _ in range(20)])]
        await passes()
        assert len(server.asked) == 1 + 8
        assert "does not allow" in watches[0].how
        assert watches[0].how.startswith("polling: ")
        await passes(299)
        assert len(server.asked) == 1 + 8
        await passes(2)
        assert len(server.asked) == 2 * (1 + 8)
        server.allowed["namespace"] = True
        server.put("lease-0")
        await passes(300)
        assert watches[0].how == "one watch of the namespace"

    play(scenario)
    assert [line for line in logged if "polled" in line] == [
        "some leases in namespace jobs are polled, as the Role does not allow to watch them: its rule should say verbs: "
        "[get, create, update, list, watch]"
    ]


def test_a_list_without_a_watch_is_no_way(server, play, logged):
    server.faults["watch"] = [FORBIDDEN]

    async def scenario(watching):
        watch = watching.begin("nightly", Told())
        await passes()
        assert watch.how == "a watch of its own"

    play(scenario)
    assert logged == ["changes of leases in namespace jobs are learnt by a watch of each, of up to 8"]


def test_the_servers_own_end_is_gone_on_from_without_a_list(server, play):
    async def scenario(watching):
        told, _ = await begun(server, watching)
        server.put("nightly", "b")
        server.end()
        await passes()
        assert server.streams[0].asked["resourceVersion"] == "12"
        server.tell({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "77"}}}, "nightly")
        server.end()
        await passes()
        assert server.streams[0].asked["resourceVersion"] == "77"
        assert told.holders == ["a", "b"]
        assert len(server.times("list")) == 1

    play(scenario)


@pytest.mark.parametrize("when", ["at the start", "in mid-stream"])
def test_an_expired_version_is_followed_by_a_list_from_whose_version_it_goes_on(server, play, when):
    async def scenario(watching):
        told, _ = await begun(server, watching)
        server.put("nightly", "b")
        server.version = 50
        if when == "at the start":
            server.faults["watch"] = [GONE]
            server.end()
        else:
            server.tell({"type": "ERROR", "object": {"code": 410, "message": "too old"}}, "nightly")
        await passes()
        assert server.streams[0].asked["resourceVersion"] == "50"
        assert told.holders == ["a", "b"]
        assert {at for _, at in server.asked} == {0.0}

    play(scenario)


def test_a_break_is_told_and_what_the_next_list_says_even_if_it_is_the_same(server, play):
    async def scenario(watching):
        told, watch = await begun(server, watching)
        server.cut()
        await passes()
        assert (told.holders, watch.how) == (["a", None], "polling: cut")
        await passes(0.4)
        assert told.holders == ["a", None, "a"]
        assert server.times("list") == [0.0, pytest.approx(0.2)]

    play(scenario)


@pytest.mark.parametrize("what", ["list", "watch"])
def test_a_refusal_is_waited_out_as_the_server_wishes(server, play, what):
    server.faults[what] = [StoreError("too many", retry_after=7), StoreError("unreachable", retry_after=3600)]

    async def scenario(watching):
        server.put("nightly")
        told = Told()
        watching.begin("nightly", told)
        await passes(6.9)
        assert len(server.times("list")) == 1
        await passes(0.2)
        assert len(server.times("list")) == 2
        await passes(30)
        assert told.holders[-1] == "a"

    play(scenario)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "ERROR", "object": {"code": 500, "message": "internal"}},
        {"type": "ERROR", "object": None},
        {"type": "MODIFIED", "object": {"metadata": {"name": "nightly"}}},
        {"type": "MODIFIED"},
        [],
    ],
    ids=str,
)
def test_an_event_that_cannot_be_made_sense_of_is_a_break(server, play, event):
    async def scenario(watching):
        told, _ = await begun(server, watching)
        server.tell(event, "nightly")
        await passes(1)
        assert told.holders == ["a", None, "a"]

    play(scenario)


def test_a_lease_that_cannot_be_read_is_not_told_of_until_it_can(server, play):
    async def scenario(watching):
        told, other = Told(), Told()
        server.put("nightly")
        server.put("other")
        watch = watching.begin("nightly", told)
        watching.begin("other", other)
        await passes()
        server.put("nightly", holder=7)
        assert watch.how == "polling: it cannot be read"
        server.end()
        await passes()
        server.put("nightly", "b")
        assert (told.holders, other.holders) == (["a", None, "b"], ["a"])
        server.put("nightly", holder=7)
        server.cut()
        await passes(1)
        assert (told.holders, other.holders) == (["a", None, "b", None], ["a", None, "a"])

    play(scenario)


def test_a_lease_that_cannot_be_read_in_a_list_is_not_told_of(server, play):
    async def scenario(watching):
        told, _ = await begun(server, watching)
        server.leases["nightly"]["spec"]["holderIdentity"] = 7
        server.tell({"type": "ERROR", "object": {"code": 410, "message": "too old"}}, "nightly")
        await passes()
        assert told.holders == ["a", None]

    play(scenario)


def test_what_is_older_or_known_is_not_told(server, play):
    async def scenario(watching):
        told, _ = await begun(server, watching)
        server.put("nightly", "b")
        server.put("nightly", "late", version=11)
        server.put("nightly", "again", version=12)
        server.tell({"type": "DELETED", "object": {"metadata": {"name": "nightly", "resourceVersion": "3"}}}, "nightly")
        assert told.holders == ["a", "b"]

    play(scenario)


def as_the_server_begins_it(server, name, version, holder):
    """An event that need not be read in full to know what it is of."""
    metadata = {"name": name, "namespace": "jobs", "uid": "1-2", "resourceVersion": str(version), "labels": OUR_LABEL}
    lease = {"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": metadata}
    text = json.dumps(
        {"type": "MODIFIED", "object": {**lease, "spec": {"holderIdentity": holder}}}, separators=(",", ":")
    )
    (stream,) = server.streams
    stream.see(text.encode())


@pytest.mark.parametrize(
    ("wrote", "holders"),
    [(14, ["a"]), (15, ["a"]), (13, ["a", "two"]), (None, ["a", "two"])],
    ids=["the last of them", "a later one", "an earlier one", "nothing"],
)
def test_what_comes_during_a_request_is_told_if_it_is_newer_than_what_that_wrote(server, play, wrote, holders):
    async def scenario(watching):
        told, watch = await begun(server, watching)
        watch.ask()
        as_the_server_begins_it(server, "nightly", 13, "one")
        as_the_server_begins_it(server, "nightly", 14, "two")
        assert told.holders == ["a"]
        watch.know(wrote)
        assert told.holders == holders
        as_the_server_begins_it(server, "nightly", 16, "three")
        assert told.holders == [*holders, "three"]
        server.end()
        await passes()
        assert server.streams[0].asked["resourceVersion"] == "16"

    play(scenario)


def test_nothing_is_kept_back_from_another_reader(server, play):
    async def scenario(watching):
        server.put("nightly")
        told, others = Told(), Told()
        watch = watching.begin("nightly", told)
        await passes()
        watch.ask()
        as_the_server_begins_it(server, "nightly", 13, "one")
        watching.begin("nightly", others)
        as_the_server_begins_it(server, "nightly", 14, "two")
        assert told.holders == ["a", "one", "two"]
        watch.ask()
        as_the_server_begins_it(server, "nightly", 15, "three")
        watch.know(15)
        watch.know(16)
        as_the_server_begins_it(server, "nightly", 16, "four")
        assert others.holders[-3:] == ["two", "three", "four"]

    play(scenario)


def test_what_was_kept_back_is_told_by_no_watch_that_broke(server, play):
    async def scenario(watching):
        told, watch = await begun(server, watching)
        watch.ask()
        as_the_server_begins_it(server, "nightly", 13, "one")
        server.faults["watch"] = server.faults["list"] = [StoreError("down")]
        server.cut()
        await passes()
        watch.know(None)
        assert told.holders == ["a", None]

    play(scenario)


def test_what_was_kept_back_and_cannot_be_read_has_the_watch_made_anew(server, play):
    async def scenario(watching):
        told, watch = await begun(server, watching)
        watch.ask()
        (stream,) = server.streams
        start = '{"type":"MODIFIED","object":{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":'
        stream.see(f'{start}"nightly","namespace":"jobs","uid":"1-2","resourceVersion":"13"!'.encode())
        watch.know(None)
        assert told[-1] is None
        server.put("nightly", "b")
        await passes(30)
        assert told.holders[-1] == "b"
        assert len(server.times("watch")) == 2

    play(scenario)


def test_who_comes_later_is_told_nothing_that_is_known_to_be_old(server, play):
    async def scenario(watching):
        server.put("nightly")
        told, later = Told(), Told()
        watch = watching.begin("nightly", told)
        await passes()
        watch.ask()
        watch.know(15)
        watching.begin("nightly", later)
        await passes()
        assert later == []
        as_the_server_begins_it(server, "nightly", 16, "b")
        assert told.holders == ["a", "b"]
        assert later.holders == ["b"]

    play(scenario)


def test_after_a_store_was_set_back_its_list_is_believed(server, play):
    async def scenario(watching):
        server.put("nightly", "a")
        told = Told()
        watching.begin("nightly", told)
        await passes()
        server.version = 3
        server.put("nightly", "restored")
        assert told.holders == ["a"]
        server.cut()
        await passes(1)
        assert told.holders == ["a", None, "restored"]
        assert server.streams[0].asked["resourceVersion"] == "4"

    play(scenario)


def test_a_watch_that_is_doubted_is_made_anew_each_time_later(server, play):
    async def scenario(watching):
        server.put("nightly")
        told = Told()
        watch = watching.begin("nightly", told)
        for _ in range(6):
            await passes(20)
            watch.doubt()
            watch.doubt()
        await passes()
        assert told.holders == ["a", None] * 6
        waited = [b - a for a, b in zip(range(20, 140, 20), server.times("list")[1:], strict=False)]
        assert waited == sorted(waited)
        assert waited[0] < 0.5

    play(scenario)


def test_a_watch_that_its_server_does_not_end_is_made_anew(server, play):
    async def scenario(watching):
        told = Told()
        server.put("nightly")
        watching.begin("nightly", told)
        await passes(374)
        assert told.holders == ["a"]
        await passes(2)
        assert told.holders == ["a", None, "a"]

    play(scenario)


def test_who_comes_later_is_told_what_is_known_and_who_has_left_is_told_nothing(server, play):
    async def scenario(watching):
        server.put("nightly")
        first, second = Told(), Told()
        one = watching.begin("nightly", first)
        await passes()
        two = watching.begin("nightly", second)
        assert second == []
        await passes()
        assert second.holders == ["a"]
        one.end()
        one.end()
        server.put("nightly", "b")
        assert (first.holders, second.holders) == (["a"], ["a", "b"])
        assert two.how == "one watch of the namespace"
        gone = Told()
        watching.begin("nightly", gone).end()
        two.end()
        await passes(watcher.LINGER - 1)
        assert (gone, len(server.streams)) == ([], 1)
        await passes(2)
        assert server.streams == []
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert two.how == "polling: it is not watched any more"
        again = Told()
        watching.begin("nightly", again)
        await passes()
        assert again.holders == ["b"]

    play(scenario)


def test_a_reader_may_end_another_while_it_is_told(server, play):
    async def scenario(watching):
        server.put("nightly")
        second = Told()
        watches = []
        watching.begin("nightly", lambda sight: watches[0].end())
        watches.append(watching.begin("nightly", second))
        await passes()
        assert second == []

    play(scenario)


def test_a_close_ends_all_and_an_end_after_it_is_none(server, play):
    async def scenario(watching):
        told, watch = await begun(server, watching)
        await watching.aclose()
        assert server.closed == 1
        watch.doubt()
        watch.end()
        assert told.holders == ["a", None]

    play(scenario)


def test_a_fault_costs_one_watch_and_is_logged(server, play, logged):
    async def scenario(watching):
        server.put("nightly")
        server.faults["list"] = [RuntimeError("the session is closed")]
        told = Told()
        watch = watching.begin("nightly", told)
        await passes(1)
        assert told.holders == ["a"]
        assert watch.how == "one watch of the namespace"

    play(scenario)
    assert any("a fault in the watch" in line for line in logged)


def test_no_more_watches_by_name_than_there_may_be_when_one_is_denied_again(server, play):
    server.allowed["namespace"] = False

    async def scenario(watching):
        ends = [watching.begin(f"lease-{number}", Told()) for number in range(14)]
        await passes()
        assert len(server.streams) == watcher.OWN_WATCHES
        server.allowed["own"] = False
        server.streams[0].end.set_result(FORBIDDEN)
        await passes(30)
        denied = next(each for each in ends if "does not allow" in each.how)
        server.allowed["own"] = True
        denied.end()
        await passes()
        watching.begin(denied._lease, Told())
        await passes()
        assert len(server.streams) <= watcher.OWN_WATCHES

    play(scenario)


def test_a_server_that_denies_for_a_moment_what_it_had_allowed_is_asked_again(server, play):
    async def scenario(watching):
        told, watch = await begun(server, watching)
        server.allowed = {"namespace": False, "own": False}
        server.cut()
        await passes(2)
        server.allowed = {"namespace": True, "own": True}
        await passes(5)
        assert told.holders == ["a", None, "a"]
        assert watch.how == "one watch of the namespace"

    play(scenario)


def test_what_the_watch_of_the_namespace_never_shows_has_one_of_its_own(server, play):
    async def scenario(watching):
        told, alone = Told(), Told()
        server.put("nightly")
        watching.begin("nightly", told)
        watch = watching.begin("sync.acme", alone, alone=True)
        await passes()
        assert (alone.holders, watch.how) == ([""], "a watch of its own")
        assert [stream.asked.get("fieldSelector") for stream in server.streams].count(None) == 1
        server.put("sync.acme", labels={}, kind="ADDED")
        server.delete("sync.acme")
        assert (alone.holders, told.holders) == (["", "a", ""], ["a"])
        assert [sight.version for sight in alone] == [11, 12, 13]
        for stream in server.streams:
            if "labelSelector" in stream.asked:
                stream.end.set_exception(StoreError("cut"))
        await passes(1)
        assert (alone.holders, told.holders) == (["", "a", ""], ["a", None, "a"])
        watch.end()
        await passes()
        assert len(server.streams) == 1

    play(scenario)


def test_no_more_of_these_than_there_may_be_and_none_lingers(server, play):
    async def scenario(watching):
        watches = [watching.begin(f"sync.{number}", Told(), alone=True) for number in range(12)]
        await passes()
        assert len(server.streams) == watcher.OWN_WATCHES
        assert watches[-1].how == "polling: only 8 leases have a watch of their own"
        for watch in watches:
            watch.end()
        await passes()
        assert server.streams == []
        assert watching._watchers[asyncio.get_running_loop()]._alone == set()

    play(scenario)


def test_what_is_denied_to_one_of_these_is_not_asked_for_any_other_for_a_while(server, play):
    server.allowed["own"] = False

    async def scenario(watching):
        told = Told()
        server.put("nightly")
        watching.begin("nightly", told)
        watching.begin("sync.0", Told(), alone=True)
        await passes(1)
        asked = len(server.asked)
        watches = [watching.begin(f"sync.{number}", Told(), alone=True) for number in range(100)]
        await passes(1)
        assert len(server.asked) == asked
        assert {watch.how for watch in watches} == {f"polling: {watcher.DENIED}"}
        assert told.holders == ["a"]
        assert len(watching._watchers[asyncio.get_running_loop()]._denied) == 1
        server.allowed["own"] = True
        await passes(watcher.RETRY)
        assert [watch.how for watch in watches].count("a watch of its own") == watcher.OWN_WATCHES
        assert told.holders == ["a"]
        assert watching._watchers[asyncio.get_running_loop()]._by_name is False

    play(scenario)


def test_these_take_no_watch_from_others_where_they_are_denied(server, play):
    server.allowed = {"namespace": False, "own": False}

    async def scenario(watching):
        for number in range(20):
            watching.begin(f"sync.{number}", Told(), alone=True)
        await passes(1)
        server.allowed["own"] = True
        told = Told()
        server.put("nightly")
        watch = watching.begin("nightly", told)
        await passes(1)
        assert (told.holders, watch.how) == (["a"], "a watch of its own")

    play(scenario)
