"""Requests for Leases without a control plane: what is sent, how often, and what an answer makes of it."""

import asyncio
import json
import socket
import ssl
import threading
from datetime import UTC, datetime
from random import Random

import pytest

from singleton_jobs.errors import AccessDenied, Conflict, StoreError
from singleton_jobs.locks import LeaseLock, LockRecord
from singleton_jobs.locks.kubernetes.account import Account
from singleton_jobs.locks.kubernetes.connection import Connection
from singleton_jobs.locks.kubernetes.credentials import Access
from singleton_jobs.locks.kubernetes.api import ApiServer
from singleton_jobs.locks.kubernetes.lease import KubernetesStore
from singleton_jobs.locks.kubernetes.watcher import Watching

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RECORD = LockRecord("me_1", 15, NOW, NOW, 1)
LEASE = {
    "metadata": {
        "name": "nightly",
        "uid": "uid-1",
        "resourceVersion": "7",
        "annotations": {"theirs": "kept"},
        "managedFields": [{"time": "2026-11-22T12:00:00Z"}],
    },
    "spec": {"holderIdentity": "other_1", "leaseDurationSeconds": 15, "theirs": "kept"},
}


class Desk:
    """A server that gives the answers it was told to, one connection after the other; ``None``: it hangs up."""

    def __init__(self):
        self.address = ""
        self.namespace = None
        self.requests = []
        self.answers = []
        self.loads = []
        self.connections = 0

    def load(self, *, anew):
        self.loads.append(anew)
        return Access(self.address, f"Bearer {len(self.loads)}", tls=lambda: None)

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:14] == b"content-length"), 0
                )
                body = await reader.readexactly(length)
                self.requests.append((head.decode(), json.loads(body) if body else None))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer is None:
                    break
                status, text, *headers = answer
                data = text if isinstance(text, bytes) else json.dumps(text).encode()
                lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(data)}", *headers, "", ""]
                writer.write("\r\n".join(lines).encode() + data)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def at_the_desk(answers, work):
    """The result of ``work(lock)`` against these answers, and the desk."""
    desk = Desk()
    desk.answers = list(answers)

    async def main():
        async with await asyncio.start_server(desk.serve, "127.0.0.1", 0) as server:
            desk.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            store = KubernetesStore.__new__(KubernetesStore)
            store.namespace, store.address, store.proxy = "default", desk.address, None
            store.server = ApiServer(Account(desk))
            store.watching = Watching(store.server, "default", Random(1))
            try:
                return await work(LeaseLock("nightly", "me_1", store=store))
            finally:
                await store.aclose()

    return asyncio.run(main()), desk


def failing(answers, work):
    caught = []

    async def attempt(lock):
        with pytest.raises(StoreError) as error:
            await work(lock)
        caught.append(error.value)

    _, desk = at_the_desk(answers, attempt)
    return caught[0], desk


async def get(lock):
    return await lock.get()


async def create(lock):
    return await lock.create(RECORD)


async def swap(lock):
    found = await lock.get()
    return await lock.update(RECORD, found, ledger="{}")


def test_a_swap_names_uid_and_version_keeps_what_is_others_and_leaves_managed_fields_out():
    written, desk = at_the_desk([(200, LEASE)], swap)
    head, body = desk.requests[-1]
    assert head.startswith("PUT /apis/coordination.k8s.io/v1/namespaces/default/leases/nightly?timeout=5.000s ")
    metadata = body["metadata"]
    assert (metadata["uid"], metadata["resourceVersion"]) == ("uid-1", "7")
    assert metadata["annotations"] == {"theirs": "kept", "singleton-jobs/fires": "{}"}
    assert "managedFields" not in metadata
    assert body["spec"]["theirs"] == "kept"
    assert (written.uid, written.version) == ("uid-1", 7)


def test_a_swap_names_uid_and_version_also_without_the_object_that_was_read():
    async def bare(lock):
        found = await lock.get()
        await lock.update(RECORD, type(found)(found.record, None, "uid-9", 9))

    _, desk = at_the_desk([(200, LEASE)], bare)
    metadata = desk.requests[-1][1]["metadata"]
    assert (metadata["uid"], metadata["resourceVersion"]) == ("uid-9", "9")


def test_a_creation_is_a_put_without_a_version():
    _, desk = at_the_desk([(201, LEASE)], create)
    head, body = desk.requests[-1]
    assert head.startswith("PUT ")
    assert "resourceVersion" not in body["metadata"]


@pytest.mark.parametrize(
    ("labels", "sent"),
    [
        (None, {"app.kubernetes.io/managed-by": "singleton-jobs"}),
        ({"team": "blue"}, {"app.kubernetes.io/managed-by": "singleton-jobs", "team": "blue"}),
        ({"app.kubernetes.io/managed-by": "them"}, {"app.kubernetes.io/managed-by": "them"}),
    ],
)
@pytest.mark.parametrize("work", [create, swap])
def test_what_is_written_has_our_label_unless_it_says_that_it_is_somebody_elses(labels, sent, work):
    lease = {**LEASE, "metadata": LEASE["metadata"] | {"labels": labels}}
    _, desk = at_the_desk([(200, lease)], work)
    if work is create:
        sent = {"app.kubernetes.io/managed-by": "singleton-jobs"}
    assert desk.requests[-1][1]["metadata"]["labels"] == sent


def test_who_asks_a_holder_to_step_down_makes_the_lease_not_ours():
    async def ask(lock):
        await lock.request_step_down(await lock.get())

    _, desk = at_the_desk([(200, LEASE)], ask)
    assert "labels" not in desk.requests[-1][1]["metadata"]


def test_a_lost_creation_race_is_a_conflict():
    lost = {"details": {"causes": [{"field": "metadata.resourceVersion"}]}}
    assert isinstance(failing([(422, lost)], create)[0], Conflict)
    assert not isinstance(failing([(422, {"message": "another field"})], create)[0], Conflict)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(400, "not done"), (408, "unknown"), (429, "not done"), (500, "unknown"), (503, "unknown"), (504, "unknown")],
)
def test_the_status_tells_whether_a_write_may_have_landed(status, outcome):
    error, desk = failing([(status, {})], create)
    assert (type(error), error.outcome) == (StoreError, outcome)
    assert len(desk.requests) == 1


@pytest.mark.parametrize("status", [409, 404])
def test_another_version_and_a_vanished_lease_are_conflicts(status):
    async def stale(lock):
        await lock.update(RECORD, await lock.get())

    error, _ = failing([(200, LEASE), (status, {})], stale)
    assert isinstance(error, Conflict)


@pytest.mark.parametrize("text", [b"<html>", b"[]", {"kind": "Status"}])
def test_a_2xx_that_cannot_be_read_is_unknown(text):
    assert failing([(200, text)], create)[0].outcome == "unknown"


def test_a_write_on_a_kept_connection_that_drops_is_not_sent_again():
    error, desk = failing([(200, LEASE), None], swap)
    assert error.outcome == "unknown"
    assert [head.partition(" ")[0] for head, _ in desk.requests] == ["GET", "PUT"]


def test_nobody_listening_means_not_done():
    async def nowhere(lock):
        lock._store.server._account._credentials.address = "http://127.0.0.1:1"
        await lock.create(RECORD)

    assert failing([(200, LEASE)], nowhere)[0].outcome == "not done"


def test_retry_after_is_handed_on():
    assert failing([(429, {}, "Retry-After: 7")], get)[0].retry_after == 7


def test_refused_credentials_are_read_anew_once():
    stored, desk = at_the_desk([(401, {}), (200, LEASE)], get)
    assert stored.version == 7
    assert desk.loads == [False, True]
    error, desk = failing([(401, {})], get)
    assert isinstance(error, AccessDenied)
    assert len(desk.requests) == 2


def test_refused_credentials_are_followed_by_a_connection_with_the_new_ones():
    _, desk = at_the_desk([(401, {}), (200, LEASE)], get)
    assert desk.connections == 2  # a client certificate belongs to its connection


def test_connections_are_kept_while_nothing_is_refused():
    async def thrice(lock):
        for _ in range(3):
            await lock.get()

    _, desk = at_the_desk([(200, LEASE)], thrice)
    assert desk.connections == 1


def test_a_connection_that_took_longer_than_its_request_is_there_for_the_next(monkeypatch):
    resolved, look_up = threading.Event(), socket.getaddrinfo

    def slow(*arguments, **options):
        resolved.wait(10)
        return look_up(*arguments, **options)

    async def work(lock):
        server, desk = lock._store.server, lock._store.server._account._credentials
        desk.address = desk.address.replace("127.0.0.1", "localhost")
        monkeypatch.setattr(socket, "getaddrinfo", slow)
        with pytest.raises(StoreError, match="no answer within"):
            await server.request("GET", "/first", timeout=0.05)
        (kept,) = server._sessions.values()
        (making,) = kept.connections._making
        resolved.set()
        await making
        await server.request("GET", "/second", timeout=10)

    _, desk = at_the_desk([(200, LEASE)], work)
    assert (desk.connections, len(desk.requests)) == (1, 1)


def test_denied_access_names_the_role():
    error, _ = failing([(403, {"message": "forbidden"})], get)
    assert isinstance(error, AccessDenied)
    assert "  - nightly" in str(error)


def test_a_missing_namespace_is_no_missing_lease():
    assert at_the_desk([(404, {"details": {"kind": "leases"}})], get)[0] is None
    error, _ = failing([(404, {"details": {"kind": "namespaces"}})], get)
    assert "create the namespace" in str(error)


@pytest.mark.parametrize(
    ("date", "served_at"),
    [
        ("Sat, 28 Nov 2026 21:04:05 GMT", datetime(2026, 11, 28, 21, 4, 5, tzinfo=UTC)),
        ("Sun, 01 Jan 2034 00:00:00 GMT", datetime(2034, 1, 1, tzinfo=UTC)),
        ("Sat, 31 Feb 2026 21:04:05 GMT", None),
        ("Sat, 28 Foo 2026 21:04:05 GMT", None),
        ("Saturday, 28-Nov-26 21:04:05 GMT", None),
        ("now", None),
    ],
)
def test_the_servers_time_is_that_of_its_answer(date, served_at):
    stored, _ = at_the_desk([(200, LEASE, f"Date: {date}")], get)
    assert stored.served_at == served_at


def test_credentials_that_no_header_can_hold_are_refused_each_time():
    async def work(lock):
        desk, load = lock._store.server._account._credentials, lock._store.server._account._credentials.load
        await lock.get()
        desk.load = lambda *, anew: load(anew=anew)._replace(authorization="Bearer x\0")
        lock._store.server._account.refused(lock._store.server._account._access)
        for _ in range(2):
            with pytest.raises(StoreError, match="more than one line") as error:
                await lock.get()
            assert error.value.outcome == "not done"

    _, desk = at_the_desk([(200, LEASE)], work)
    assert len(desk.requests) == 1


def test_a_certificate_that_is_refused_after_the_handshake_is_read_anew(monkeypatch):
    async def refuse(*_, **__):
        raise ssl.SSLError("tlsv13 alert certificate required")

    async def work(lock):
        with monkeypatch.context() as patched:
            patched.setattr(Connection, "ask", refuse)
            with pytest.raises(StoreError, match="certificate required") as error:
                await lock.get()
        assert error.value.outcome == "unknown"
        await lock.get()

    _, desk = at_the_desk([(200, LEASE)], work)
    assert desk.loads == [False, True]


def test_an_answer_that_is_no_utf_8_is_not_taken_for_another():
    """What is read is written back."""
    text = json.dumps(LEASE).encode().replace(b'"nightly"', b'"night\xffly"')
    assert text != json.dumps(LEASE).encode()
    error, _ = failing([(200, text)], get)
    assert error.outcome == "unknown"
    assert "unreadable" in str(error)


def keyed(lock):
    return lock._store.keyed_lock("sync", "Acme", "me_1")


async def listed(lock):
    return [page async for page in lock._store.list_keyed("sync")]


def page(*names, token=""):
    items = [LEASE | {"metadata": LEASE["metadata"] | {"name": name}} for name in names]
    return 200, {"metadata": {"continue": token}, "items": items}


def test_the_lease_of_a_key_is_made_with_its_key_and_without_our_label():
    _, desk = at_the_desk([(201, LEASE)], lambda lock: keyed(lock).create(RECORD))
    head, body = desk.requests[-1]
    assert head.startswith("POST /apis/coordination.k8s.io/v1/namespaces/default/leases?timeout=5.000s ")
    assert body["metadata"]["name"].startswith("sync.acme--")
    assert body["metadata"]["labels"] == {"singleton-jobs/keyed": "sync"}
    assert body["metadata"]["annotations"] == {"singleton-jobs/key": "Acme"}


def test_a_swap_of_what_has_lost_its_key_gives_it_back():
    async def work(lock):
        lock = keyed(lock)
        await lock.update(RECORD, await lock.get())

    _, desk = at_the_desk([(200, LEASE)], work)
    assert desk.requests[-1][1]["metadata"]["labels"] == {"singleton-jobs/keyed": "sync"}
    assert desk.requests[-1][1]["metadata"]["annotations"] == {"theirs": "kept", "singleton-jobs/key": "Acme"}


def test_the_lease_of_a_key_that_exists_is_a_conflict():
    error, _ = failing([(409, {"reason": "AlreadyExists"})], lambda lock: keyed(lock).create(RECORD))
    assert isinstance(error, Conflict)


async def delete(lock):
    await lock.delete(await lock.get())


def test_a_deletion_names_uid_and_version():
    _, desk = at_the_desk([(200, LEASE), (200, {"kind": "Status"})], delete)
    head, body = desk.requests[-1]
    assert head.startswith("DELETE /apis/coordination.k8s.io/v1/namespaces/default/leases/nightly?timeout=5.000s ")
    assert body["preconditions"] == {"uid": "uid-1", "resourceVersion": "7"}


@pytest.mark.parametrize("status", [409, 404])
def test_another_version_and_one_that_has_gone_are_conflicts_for_who_deletes(status):
    error, _ = failing([(200, LEASE), (status, {})], delete)
    assert isinstance(error, Conflict)


def test_a_list_of_keys_is_asked_for_in_pages_by_their_label():
    pages, desk = at_the_desk([page("sync.a", "sync.b", token="next/=="), page("sync.c")], listed)
    assert [list(page) for page in pages] == [["sync.a", "sync.b"], ["sync.c"]]
    first, second = (head.partition(" HTTP")[0] for head, _ in desk.requests)
    assert first.endswith("/leases?timeout=30.000s&limit=500&labelSelector=singleton-jobs%2Fkeyed%3Dsync")
    assert second == f"{first}&continue=next%2F%3D%3D"


def test_a_list_that_the_server_has_forgotten_begins_anew_once():
    gone = (410, {"message": "the provided continue parameter is too old"})
    answers = [page("sync.a", token="one"), gone, page("sync.a", token="two"), page("sync.c")]
    pages, desk = at_the_desk(answers, listed)
    assert [list(page) for page in pages] == [["sync.a"], ["sync.a"], ["sync.c"]]
    assert [("continue=" in head) for head, _ in desk.requests] == [False, True, False, True]
    error, desk = failing([page("sync.a", token="one"), gone, page("sync.a", token="two"), gone], listed)
    assert "too old" in str(error)
    assert len(desk.requests) == 4


def test_a_list_that_is_denied_names_the_role():
    error, _ = failing([(403, {"message": "forbidden"})], listed)
    assert isinstance(error, AccessDenied)
    assert "verbs: [get, create, update, delete, list]" in str(error)
