"""Every resource lock: a holder can be asked to let another lead, which changes nothing else."""

import pytest

from contract.records import RECORD, record
from singleton_jobs.errors import Conflict

STEP_DOWN = "singleton-jobs/step-down"


async def test_the_request_names_the_holder(shelf):
    lock = shelf.lock()
    asked = await shelf.lock(identity="operator").request_step_down(await lock.create(RECORD))
    found = await lock.get()
    assert asked.asked_to_step_down == found.asked_to_step_down == RECORD.holder_identity
    assert shelf.raw()["metadata"]["annotations"] == {STEP_DOWN: RECORD.holder_identity}


async def test_record_ledger_and_foreign_annotations_stay(shelf):
    lock = shelf.lock()
    created = await lock.create(RECORD, ledger="marks")
    shelf.edit(annotations={"example.com/note": "keep me"})
    before = await lock.get()
    asked = await lock.request_step_down(before)
    assert (asked.record, asked.ledger, asked.uid) == (RECORD, "marks", created.uid)
    assert asked.version > before.version
    assert shelf.raw()["metadata"]["annotations"]["example.com/note"] == "keep me"


async def test_a_request_is_no_sign_of_the_holders_life(shelf):
    lock = shelf.lock()
    created = await lock.create(RECORD)
    asked = await lock.request_step_down(created)
    assert asked.abandoned == created.abandoned
    assert asked.record.renew_time == created.record.renew_time


async def test_a_request_over_another_version_is_a_conflict(shelf):
    lock = shelf.lock()
    created = await lock.create(RECORD)
    await lock.update(record(lease_transitions=2), created)
    with pytest.raises(Conflict):
        await lock.request_step_down(created)
    assert (await lock.get()).asked_to_step_down is None


async def test_the_next_write_drops_the_request(shelf):
    lock = shelf.lock()
    asked = await lock.request_step_down(await lock.create(RECORD, ledger="marks"))
    swapped = await lock.update(record(lease_transitions=2), asked)
    assert swapped.asked_to_step_down is None
    assert swapped.ledger == "marks"
