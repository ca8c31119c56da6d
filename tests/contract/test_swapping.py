"""Every resource lock: who writes first wins, and everybody else is told."""

import asyncio
from dataclasses import replace

import pytest

from contract.records import NOON, RECORD, record
from singleton_jobs.errors import ConfigError, Conflict


async def test_an_absent_lease_reads_as_none(shelf):
    assert await shelf.lock().get() is None


async def test_what_was_created_can_be_read(shelf):
    created = await shelf.lock().create(RECORD)
    found = await shelf.lock(identity="other_1").get()
    assert found.record == RECORD
    assert found == replace(created, served_at=found.served_at)


async def test_of_eight_concurrent_creators_exactly_one_wins(shelf):
    locks = [shelf.lock(identity=f"me_{n}") for n in range(8)]
    answers = await asyncio.gather(
        *(lock.create(record(holder_identity=lock.identity)) for lock in locks), return_exceptions=True
    )
    winners = [answer for answer in answers if not isinstance(answer, Exception)]
    assert [type(answer) for answer in answers].count(Conflict) == 7
    assert (await locks[0].get()).record == winners[0].record


async def test_of_eight_concurrent_swaps_exactly_one_wins(shelf):
    locks = [shelf.lock(identity=f"me_{n}") for n in range(8)]
    first = await locks[0].create(RECORD)
    answers = await asyncio.gather(
        *(lock.update(record(holder_identity=lock.identity), first) for lock in locks), return_exceptions=True
    )
    winners = [answer for answer in answers if not isinstance(answer, Exception)]
    assert [type(answer) for answer in answers].count(Conflict) == 7
    assert (await locks[0].get()).record == winners[0].record


async def test_an_existing_lease_is_not_created_again(shelf):
    lock = shelf.lock()
    first = await lock.create(RECORD)
    with pytest.raises(Conflict):
        await lock.create(record(holder_identity="other_1"))
    assert (await lock.get()).version == first.version


async def test_a_swap_replaces_the_record(shelf):
    lock = shelf.lock()
    swapped = await lock.update(record(holder_identity="other_1"), await lock.create(RECORD))
    assert (await lock.get()).record == swapped.record == record(holder_identity="other_1")


async def test_a_swap_keeps_the_uid_and_raises_the_version(shelf):
    lock = shelf.lock()
    first = await lock.create(RECORD)
    second = await lock.update(record(lease_transitions=2), first)
    assert second.uid == first.uid
    assert second.version > first.version


async def test_a_stale_version_is_a_conflict_and_changes_nothing(shelf):
    lock = shelf.lock()
    first = await lock.create(RECORD)
    second = await lock.update(record(lease_transitions=2), first)
    with pytest.raises(Conflict):
        await lock.update(record(lease_transitions=3), first)
    assert (await lock.get()).version == second.version


async def test_an_edit_of_the_annotations_makes_a_version_stale(shelf):
    lock = shelf.lock()
    first = await lock.create(RECORD)
    shelf.edit(annotations={"someone": "was here"})
    with pytest.raises(Conflict):
        await lock.update(record(lease_transitions=2), first)


async def test_a_wrong_uid_is_a_conflict(shelf):
    lock = shelf.lock()
    first = await lock.create(RECORD)
    with pytest.raises(Conflict):
        await lock.update(record(lease_transitions=2), replace(first, uid="00000000-0000-4000-8000-000000000000"))


async def test_a_conflict_says_that_nothing_was_written(shelf):
    lock = shelf.lock()
    await lock.create(RECORD)
    with pytest.raises(Conflict) as caught:
        await lock.create(RECORD)
    assert caught.value.outcome == "conflict"


async def test_a_deleted_lease_reads_as_none(shelf):
    lock = shelf.lock()
    await lock.create(RECORD)
    shelf.delete()
    assert await lock.get() is None


async def test_a_swap_of_a_deleted_lease_is_a_conflict_and_does_not_bring_it_back(shelf):
    lock = shelf.lock()
    first = await lock.create(RECORD)
    shelf.delete()
    with pytest.raises(Conflict):
        await lock.update(record(lease_transitions=2), first)
    assert await lock.get() is None


async def test_a_recreated_lease_has_a_new_uid_and_a_higher_version(shelf):
    lock = shelf.lock()
    first = await lock.create(RECORD)
    shelf.delete()
    second = await lock.create(RECORD)
    assert second.uid != first.uid
    assert second.version > first.version


async def test_a_swap_of_the_deleted_one_leaves_the_recreated_one_alone(shelf):
    lock = shelf.lock()
    first = await lock.create(RECORD)
    shelf.delete()
    second = await lock.create(record(acquire_time=NOON))
    with pytest.raises(Conflict):
        await lock.update(record(lease_transitions=9), first)
    assert (await lock.get()).version == second.version


async def test_leases_of_other_names_are_left_alone(shelf):
    first = await shelf.lock("first").create(RECORD)
    await shelf.lock("second").create(record(holder_identity="other_1"))
    assert (await shelf.lock("first").get()).version == first.version


@pytest.mark.parametrize("name", ["..", "", "a/b", "under_score", "-dash", "x" * 254, "İstanbul"])
async def test_a_name_that_cannot_be_used_is_refused_before_any_request(shelf, name):
    with pytest.raises(ConfigError):
        shelf.lock(name)


async def test_names_are_lower_cased(shelf):
    await shelf.lock("Nightly.Report").create(RECORD)
    assert (await shelf.lock("nightly.report").get()).record == RECORD


async def test_a_version_is_swapped_also_without_the_object_it_was_read_from(shelf):
    lock = shelf.lock()
    first = await lock.create(RECORD)
    second = await lock.update(record(lease_transitions=2), replace(first, raw=None))
    assert (await lock.get()).record == second.record == record(lease_transitions=2)
