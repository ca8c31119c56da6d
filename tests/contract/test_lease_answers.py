"""LeaseLock only: what each kind of answer, or none, says about a request."""

import asyncio

import pytest

from contract.records import RECORD, record
from singleton_jobs.errors import AccessDenied, Conflict, StoreError
from singleton_jobs.locks import KubernetesStore

pytestmark = pytest.mark.e2e


@pytest.fixture
def shelf(lease_shelf):
    return lease_shelf


async def failure(call) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, "not done"),
        (404, "not done"),
        (429, "not done"),
        (408, "unknown"),
        (500, "unknown"),
        (503, "unknown"),
        (504, "unknown"),
    ],
)
async def test_the_status_tells_whether_a_write_may_have_landed(shelf, status, outcome):
    lock = shelf.lock()
    first = await lock.create(RECORD)
    details = {"details": {"kind": "namespaces"}} if status == 404 else {}
    shelf.proxy.on("PUT").respond(status, body={"kind": "Status", "message": "no", **details})
    error = await failure(lock.update(RECORD, first))
    assert (type(error), error.outcome) == (StoreError, outcome)


async def test_retry_after_is_handed_on(shelf):
    shelf.proxy.on("GET").respond(429, headers={"Retry-After": "7"})
    assert (await failure(shelf.lock().get())).retry_after == 7


async def test_a_refused_request_is_sent_only_once(shelf):
    rule = shelf.proxy.on("GET").respond(503, headers={"Retry-After": "1"})
    await failure(shelf.lock().get())
    assert rule.hits == 1


async def test_a_refused_connection_did_nothing(shelf):
    shelf.proxy.refuse()
    assert (await failure(shelf.lock().create(RECORD))).outcome == "not done"


async def test_a_write_whose_answer_is_lost_may_have_landed(shelf):
    lock = shelf.lock()
    first = await lock.create(RECORD)
    rule = shelf.proxy.on("PUT").forward_then_drop()
    assert (await failure(lock.update(record(lease_transitions=2), first))).outcome == "unknown"
    assert (rule.hits, rule.statuses) == (1, [200])


async def test_a_write_on_a_connection_that_was_dropped_is_not_sent_again(shelf):
    lock = shelf.lock()
    first = await lock.create(RECORD)
    rule = shelf.proxy.on("PUT").drop()
    await failure(lock.update(RECORD, first))
    assert rule.hits == 1


async def test_a_request_is_limited_in_all(shelf):
    shelf.proxy.on("GET").drip(0.1)
    lock = type(shelf.lock())("nightly", "me_1", store=shelf.kubernetes, request_timeout=0.3)
    assert (await failure(lock.get())).outcome == "unknown"


async def test_the_server_is_told_the_limit_too(shelf):
    await shelf.lock().get()
    assert "timeout=5.000s" in shelf.proxy.requests[-1].path


async def test_a_2xx_that_cannot_be_read_is_unknown(shelf):
    lock = shelf.lock()
    first = await lock.create(RECORD)
    shelf.proxy.on("PUT").respond(200, body=b"<html>")
    assert (await failure(lock.update(RECORD, first))).outcome == "unknown"


async def test_a_2xx_of_another_shape_is_unknown(shelf):
    shelf.proxy.on("GET").respond(200, body={"kind": "Status"})
    assert (await failure(shelf.lock().get())).outcome == "unknown"


async def test_creation_is_a_put_without_a_version(shelf):
    await shelf.lock().create(RECORD)
    request = shelf.proxy.requests[-1]
    assert (request.method, b"resourceVersion" in request.body) == ("PUT", False)


async def test_a_swap_names_version_and_uid_and_leaves_managed_fields_out(shelf):
    lock = shelf.lock()
    first = await lock.create(RECORD)
    await lock.update(RECORD, first)
    body = shelf.proxy.requests[-1].body
    assert f'"resourceVersion":"{first.version}"'.encode() in body
    assert f'"uid":"{first.uid}"'.encode() in body
    assert b"managedFields" not in body


async def test_a_missing_namespace_is_no_missing_lease(shelf):
    store = KubernetesStore(namespace="not-there", strict_tls=False)
    try:
        error = await failure(store.lock("nightly", "me_1").create(RECORD))
    finally:
        await store.aclose()
    assert not isinstance(error, Conflict)


async def test_denied_access_names_the_role_to_apply(shelf, make_pod, monkeypatch):
    pod = make_pod(roles=[], server=shelf.proxy, service_account="nobody")
    monkeypatch.setenv("KUBECONFIG", str(pod.kubeconfig))
    store = KubernetesStore(strict_tls=False)
    try:
        error = await failure(store.lock("nightly", "me_1").get())
    finally:
        await store.aclose()
    assert isinstance(error, AccessDenied)
    for line in ("kind: Role", "  - nightly", f"namespace: {pod.namespace}"):
        assert line in str(error)


async def test_denied_access_to_keys_names_the_role_to_apply(shelf, make_pod, monkeypatch):
    pod = make_pod(roles=[], server=shelf.proxy, service_account="nobody")
    monkeypatch.setenv("KUBECONFIG", str(pod.kubeconfig))
    store = KubernetesStore(strict_tls=False)
    lock, pages = store.keyed_lock("sync", "acme", "me_1"), store.list_keyed("sync")
    try:
        errors = [
            await failure(lock.create(RECORD)),
            await failure(lock.delete(await shelf.keyed_lock("acme").create(RECORD))),
            await failure(anext(pages)),
        ]
    finally:
        await store.aclose()
    for error in errors:
        assert isinstance(error, AccessDenied)
        for line in ("kind: Role", "of sync,", "verbs: [get, create, update, delete, list]", f"space: {pod.namespace}"):
            assert line in str(error)
        assert "resourceNames" not in str(error)


async def test_a_deletion_says_exactly_what_it_deletes(shelf):
    lock = shelf.keyed_lock("acme")
    first = await lock.create(RECORD)
    await lock.delete(first)
    request = shelf.proxy.requests[-1]
    exactly = f'"preconditions":{{"uid":"{first.uid}","resourceVersion":"{first.version}"}}'
    assert (request.method, exactly.encode() in request.body) == ("DELETE", True)


@pytest.mark.parametrize(
    ("status", "outcome"), [(400, "not done"), (429, "not done"), (500, "unknown"), (504, "unknown")]
)
async def test_the_status_tells_whether_a_deletion_may_have_landed(shelf, status, outcome):
    lock = shelf.keyed_lock("acme")
    first = await lock.create(RECORD)
    shelf.proxy.on("DELETE").respond(status)
    error = await failure(lock.delete(first))
    assert (type(error), error.outcome) == (StoreError, outcome)


async def test_credentials_refused_once_are_read_again(shelf):
    rule = shelf.proxy.on("GET", times=1).respond(401)
    assert await shelf.lock().get() is None
    assert rule.hits == 1


async def test_credentials_refused_twice_are_denied(shelf):
    rule = shelf.proxy.on("GET").respond(401)
    assert isinstance(await failure(shelf.lock().get()), AccessDenied)
    assert rule.hits == 2


async def test_concurrent_requests_share_at_most_sixteen_connections(shelf):
    await asyncio.gather(*(shelf.lock(f"lease-{n}").get() for n in range(40)))
    assert shelf.proxy.connections <= 16


async def test_an_event_about_the_lease_is_recorded(shelf):
    lock = shelf.lock()
    await lock.create(RECORD)
    await lock.record_event("became leader")
    _, events = shelf.admin.request("GET", f"/api/v1/namespaces/{shelf.namespace}/events")
    assert [event["message"] for event in events["items"]] == ["me_1 became leader"]


async def test_a_lost_creation_race_is_told_from_the_field_it_names(shelf):
    await shelf.lock().create(RECORD)
    status, answer = shelf.admin.put_lease(shelf.namespace, "nightly", {"spec": {}})
    assert status == 422
    assert [cause["field"] for cause in answer["details"]["causes"]] == ["metadata.resourceVersion"]
