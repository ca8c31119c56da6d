"""Every store: leases of keys, which are deleted as exactly as they are swapped, and listed by their base."""

import asyncio
from dataclasses import replace

import pytest

from contract.records import RECORD, record
from contract.test_watching import Told, held_by
from singleton_jobs.errors import ConfigError, Conflict, StoreError
from singleton_jobs.locks import keyed


async def listed(shelf, base="sync"):
    """The pages of a list."""
    return [page async for page in shelf.store().list_keyed(base)]


async def test_the_lease_of_a_key_is_one_by_itself(shelf):
    acme, beta = shelf.keyed_lock("acme"), shelf.keyed_lock("beta")
    await acme.create(RECORD)
    assert await beta.get() is None
    await beta.create(record(holder_identity="other_1"))
    assert (await acme.get()).record == RECORD
    assert (await shelf.lock("sync.acme").get()).record == RECORD


async def test_it_says_which_key_it_is_for(shelf):
    created = await shelf.keyed_lock("İ / 7").create(RECORD)
    assert created.key == "İ / 7"
    assert (await shelf.lock("nightly").create(RECORD)).key is None


async def test_it_says_so_after_any_number_of_writes(shelf):
    lock = shelf.keyed_lock("A")
    stored = await lock.create(RECORD, ledger="marks")
    stored = await lock.update(record(lease_transitions=2), stored)
    stored = await lock.update(record(holder_identity="", lease_duration_seconds=1), stored, ledger="more")
    found = await shelf.keyed_lock("A").get()
    assert (stored.key, found.key, found.ledger) == ("A", "A", "more")
    assert [list(page) for page in await listed(shelf)] == [[shelf.keyed_lock("A").lease]]


async def test_no_label_of_all_leases_is_on_it(shelf):
    lock = shelf.keyed_lock("acme")
    await lock.update(record(lease_transitions=2), await lock.create(RECORD))
    assert shelf.raw("sync.acme")["metadata"]["labels"] == {"singleton-jobs/keyed": "sync"}


async def test_a_name_that_leaves_no_room_for_keys_is_refused(shelf):
    with pytest.raises(ConfigError, match="too long"):
        shelf.keyed_lock("acme", base="x" * 200)


async def test_what_is_deleted_is_gone(shelf):
    lock = shelf.keyed_lock("acme")
    assert await lock.delete(await lock.create(RECORD)) is None
    assert await lock.get() is None
    assert await listed(shelf) in ([], [{}])


async def test_another_version_is_not_deleted(shelf):
    lock = shelf.keyed_lock("acme")
    first = await lock.create(RECORD)
    second = await lock.update(record(lease_transitions=2), first)
    with pytest.raises(Conflict):
        await lock.delete(first)
    assert (await lock.get()).version == second.version


async def test_another_object_is_not_deleted(shelf):
    lock = shelf.keyed_lock("acme")
    first = await lock.create(RECORD)
    with pytest.raises(Conflict):
        await lock.delete(replace(first, uid="00000000-0000-4000-8000-000000000000"))
    await lock.delete(first)
    second = await lock.create(RECORD)
    with pytest.raises(Conflict):
        await lock.delete(first)
    assert (await lock.get()).uid == second.uid


async def test_what_is_gone_cannot_be_deleted(shelf):
    lock = shelf.keyed_lock("acme")
    first = await lock.create(RECORD)
    await lock.delete(first)
    with pytest.raises(Conflict):
        await lock.delete(first)


async def test_what_is_gone_cannot_be_swapped(shelf):
    lock = shelf.keyed_lock("acme")
    first = await lock.create(RECORD)
    await lock.delete(first)
    with pytest.raises(Conflict):
        await lock.update(record(lease_transitions=2), first)
    assert await lock.get() is None


async def test_who_deletes_and_who_takes_at_once_do_not_both_succeed(shelf):
    locks = [shelf.keyed_lock("acme", identity=f"me_{n}") for n in range(8)]
    first = await locks[0].create(RECORD)
    answers = await asyncio.gather(
        *(lock.update(record(holder_identity=lock.identity), first) for lock in locks[:4]),
        *(lock.delete(first) for lock in locks[4:]),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers].count(Conflict) == 7


async def test_it_is_another_one_after_a_deletion_and_newer(shelf):
    lock = shelf.keyed_lock("acme")
    first = await lock.create(RECORD, ledger="marks")
    await lock.delete(first)
    second = await lock.create(RECORD)
    assert second.uid != first.uid
    assert second.version > first.version
    assert second.ledger is None


async def test_a_list_is_of_one_base(shelf):
    await shelf.keyed_lock("acme").create(RECORD)
    await shelf.keyed_lock("Ünïq / 1").create(RECORD)
    await shelf.keyed_lock("acme", base="other").create(RECORD)
    await shelf.keyed_lock("acme", base="sync.more").create(RECORD)
    await shelf.lock("sync").create(RECORD)
    await shelf.lock("sync.plain").create(RECORD)
    (page,) = [page for page in await listed(shelf) if page]
    assert sorted(stored.key for stored in page.values()) == ["acme", "Ünïq / 1"]
    assert {name: stored.record for name, stored in page.items()} == dict.fromkeys(page, RECORD)
    assert sorted(page) == sorted(shelf.keyed_lock(key).lease for key in ("acme", "Ünïq / 1"))


async def test_a_list_has_pages(shelf, monkeypatch):
    monkeypatch.setattr(keyed, "PAGE", 2)
    locks = [shelf.keyed_lock(f"key-{n}") for n in range(5)]
    for lock in locks:
        await lock.create(RECORD)
    pages = [page for page in await listed(shelf) if page]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted(name for page in pages for name in page) == [lock.lease for lock in locks]


async def test_what_was_listed_can_be_replaced_and_deleted(shelf):
    await shelf.keyed_lock("acme").create(RECORD)
    (page,) = await listed(shelf)
    lock = shelf.keyed_lock("acme", identity="other_1")
    await lock.update(record(holder_identity="other_1"), page[lock.lease])
    (page,) = await listed(shelf)
    await lock.delete(page[lock.lease])
    assert await lock.get() is None


async def test_what_cannot_be_read_is_listed_as_an_error(shelf):
    await shelf.keyed_lock("acme").create(RECORD)
    await shelf.keyed_lock("beta").create(RECORD)
    shelf.misspell("sync.acme")
    (page,) = await listed(shelf)
    assert isinstance(page["sync.acme"], StoreError)
    assert page["sync.beta"].record == RECORD


async def test_a_watch_tells_of_the_deletion_and_of_what_comes_after(shelf):
    lock = shelf.keyed_lock("acme")
    told = Told(shelf.keyed_lock("acme", identity="other_1"))
    absent = await told.until(lambda sight: sight and sight.stored is None)
    stored = await lock.create(RECORD)
    there = await told.until(held_by("me_1"))
    await lock.delete(stored)
    gone = await told.until(lambda sight: sight and sight.stored is None and sight.version > there.version)
    anew = await lock.create(record(holder_identity="me_2"))
    assert (await told.until(held_by("me_2"))).version == anew.version
    assert absent.version < there.version < gone.version < anew.version
    told.watch.end()


async def test_who_watches_from_now_on_is_told_that_it_is_gone_since(shelf):
    lock = shelf.keyed_lock("acme")
    stored = await lock.create(RECORD)
    await lock.delete(stored)
    told = Told(shelf.keyed_lock("acme", identity="other_1"))
    sight = await told.until(lambda sight: sight is not None)
    assert sight.stored is None
    assert sight.version > stored.version
    told.watch.end()
