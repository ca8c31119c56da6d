"""Every resource lock: what is stored comes back, and what others stored stays."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from contract.records import NOON, RECORD, WHOLE, record
from singleton_jobs.errors import StoreError
from singleton_jobs.locks.record import LockRecord


@pytest.mark.parametrize("time", [NOON, WHOLE, NOON.replace(microsecond=100_000)], ids=["six digits", "none", "one"])
async def test_times_are_kept_to_the_microsecond(shelf, time):
    lock = shelf.lock()
    await lock.create(record(acquire_time=time, renew_time=time))
    assert (await lock.get()).record.renew_time == time


async def test_times_are_stored_with_exactly_six_digits(shelf):
    await shelf.lock().create(record(renew_time=WHOLE))
    assert shelf.raw()["spec"]["renewTime"] == "2026-11-22T12:00:00.000000Z"


async def test_times_of_other_zones_are_stored_as_utc(shelf):
    lock = shelf.lock()
    await lock.create(record(renew_time=NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))))
    assert (await lock.get()).record.renew_time == NOON
    assert shelf.raw()["spec"]["renewTime"] == "2026-11-22T12:00:00.123456Z"


async def test_times_that_are_not_known_are_not_stored(shelf):
    lock = shelf.lock()
    await lock.create(record(acquire_time=None, renew_time=None))
    found = (await lock.get()).record
    assert (found.acquire_time, found.renew_time) == (None, None)


@pytest.mark.parametrize(("given", "found"), [(0.3, 1), (14.01, 15), (15, 15)])
async def test_durations_are_rounded_up_to_whole_seconds(shelf, given, found):
    lock = shelf.lock()
    await lock.create(record(lease_duration_seconds=given))
    assert (await lock.get()).record.lease_duration_seconds == found


async def test_a_record_with_little_in_it_comes_back(shelf):
    lock = shelf.lock()
    await lock.create(LockRecord())
    assert (await lock.get()).record == LockRecord()


async def test_a_holder_may_be_empty(shelf):
    lock = shelf.lock()
    await lock.update(record(holder_identity="", lease_duration_seconds=1), await lock.create(RECORD))
    assert (await lock.get()).record.holder_identity == ""


async def test_foreign_labels_and_annotations_are_kept(shelf):
    lock = shelf.lock()
    await lock.create(RECORD)
    shelf.edit(labels={"team": "blue"}, annotations={"example.com/note": "keep me"})
    await lock.update(record(lease_transitions=2), await lock.get())
    metadata = shelf.raw()["metadata"]
    assert metadata["labels"].items() >= {"team": "blue"}.items()
    assert metadata["annotations"]["example.com/note"] == "keep me"


async def test_unknown_fields_do_not_keep_a_lease_from_being_read(shelf):
    lock = shelf.lock()
    await lock.create(RECORD)
    shelf.add_unknown_fields()
    assert (await lock.get()).record == RECORD


async def test_a_ledger_is_stored_beside_the_record(shelf):
    lock = shelf.lock()
    created = await lock.create(RECORD, ledger='{"v":1}')
    assert created.ledger == (await lock.get()).ledger == '{"v":1}'
    assert shelf.raw()["metadata"]["annotations"] == {"singleton-jobs/fires": '{"v":1}'}


async def test_a_lease_without_a_ledger_has_none(shelf):
    assert (await shelf.lock().create(RECORD)).ledger is None


async def test_a_swap_without_a_ledger_keeps_the_stored_one(shelf):
    lock = shelf.lock()
    swapped = await lock.update(record(lease_transitions=2), await lock.create(RECORD, ledger="marks"))
    assert swapped.ledger == (await lock.get()).ledger == "marks"


async def test_a_swap_with_a_ledger_replaces_the_stored_one(shelf):
    lock = shelf.lock()
    await lock.update(RECORD, await lock.create(RECORD, ledger="marks"), ledger="more marks")
    assert (await lock.get()).ledger == "more marks"


async def test_a_ledger_leaves_foreign_annotations_alone(shelf):
    lock = shelf.lock()
    await lock.create(RECORD)
    shelf.edit(annotations={"example.com/note": "keep me"})
    await lock.update(RECORD, await lock.get(), ledger="marks")
    assert shelf.raw()["metadata"]["annotations"] == {"example.com/note": "keep me", "singleton-jobs/fires": "marks"}


async def test_an_unreadable_lease_is_an_error_of_unknown_outcome(shelf):
    lock = shelf.lock()
    await lock.create(RECORD)
    shelf.spoil()
    with pytest.raises(StoreError) as caught:
        await lock.get()
    assert (type(caught.value), caught.value.outcome) == (StoreError, "unknown")


async def test_an_answer_tells_the_stores_time(shelf):
    lock = shelf.lock()
    await lock.create(RECORD)
    assert abs((await lock.get()).served_at - datetime.now(UTC)) < timedelta(seconds=10)


async def test_an_answer_tells_when_the_lease_was_last_written(shelf):
    lock = shelf.lock()
    created = await lock.create(RECORD)
    found = await lock.get()
    assert found.written_at == created.written_at
    assert abs(found.served_at - found.written_at) < timedelta(seconds=10)


async def test_a_lock_knows_who_writes_through_it(shelf):
    assert shelf.lock(identity="app-0_k3j9").identity == "app-0_k3j9"


async def test_a_lock_can_be_named_to_people(shelf):
    assert "nightly" in shelf.lock().describe()


async def test_recording_an_event_is_never_an_error(shelf):
    assert await shelf.lock().record_event("became leader") is None
