"""Records and Lease specs: every partial, foreign or broken spec, and exact MicroTimes."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from singleton_jobs import StoreError
from singleton_jobs.locks import LockRecord, lease_spec_to_lock_record, lock_record_to_lease_spec
from singleton_jobs.locks.record import merge_lease, read_lease

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
RECORD = LockRecord("app_1", 15, NOON, NOON + timedelta(microseconds=5), 3)


def test_a_spec_is_json_with_times_as_strings():
    assert lock_record_to_lease_spec(RECORD) == {
        "holderIdentity": "app_1",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-11-22T12:00:00.000000Z",
        "renewTime": "2026-11-22T12:00:00.000005Z",
        "leaseTransitions": 3,
    }


def test_a_record_survives_the_way_there_and_back():
    assert lease_spec_to_lock_record(lock_record_to_lease_spec(RECORD)) == RECORD


@pytest.mark.parametrize(("given", "written"), [(0.2, 1), (1, 1), (1.001, 2), (14.99, 15)])
def test_durations_are_rounded_up(given, written):
    assert lock_record_to_lease_spec(LockRecord("a", given))["leaseDurationSeconds"] == written


def test_no_duration_is_left_out():
    assert "leaseDurationSeconds" not in lock_record_to_lease_spec(LockRecord("a"))


def test_unknown_times_are_left_out():
    assert lock_record_to_lease_spec(LockRecord("a", 15)).keys() == {
        "holderIdentity",
        "leaseDurationSeconds",
        "leaseTransitions",
    }


def test_an_empty_spec_gives_an_empty_record():
    assert lease_spec_to_lock_record({}) == LockRecord("", 0, None, None, 0)


def test_nulls_are_as_good_as_nothing():
    names = ["holderIdentity", "leaseDurationSeconds", "acquireTime", "renewTime", "leaseTransitions"]
    assert lease_spec_to_lock_record(dict.fromkeys(names)) == LockRecord()


def test_a_partial_spec_gives_what_it_has():
    assert lease_spec_to_lock_record({"holderIdentity": "kubectl"}) == LockRecord("kubectl")


def test_unknown_fields_are_ignored():
    assert lease_spec_to_lock_record({"strategy": "OldestEmulationVersion", "x": [1]}) == LockRecord()


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T12:00:00Z",
        "2026-11-22T12:00:00.000000Z",
        "2026-11-22T13:00:00+01:00",
        "2026-11-22T06:30:00.000000-05:30",
    ],
)
def test_times_are_read_in_any_zone_and_become_utc(text):
    time = lease_spec_to_lock_record({"renewTime": text}).renew_time
    assert (time, time.tzinfo) == (NOON, UTC)


def test_times_of_other_zones_are_written_as_utc():
    local = NOON.astimezone(timezone(timedelta(hours=-8)))
    assert lock_record_to_lease_spec(LockRecord(renew_time=local))["renewTime"] == "2026-11-22T12:00:00.000000Z"


def test_naive_times_are_not_written():
    with pytest.raises(ValueError, match="aware"):
        lock_record_to_lease_spec(LockRecord(renew_time=datetime(2026, 11, 22)))


@pytest.mark.parametrize(
    "spec",
    [
        {"renewTime": "2026-11-22T12:00:00"},
        {"renewTime": "yesterday"},
        {"renewTime": 1_800_000_000},
        {"holderIdentity": 7},
        {"leaseDurationSeconds": "15"},
        {"leaseDurationSeconds": True},
        {"leaseTransitions": 1.5},
    ],
    ids=str,
)
def test_a_broken_spec_is_refused(spec):
    with pytest.raises((TypeError, ValueError)):
        lease_spec_to_lock_record(spec)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        "text",
        7,
        {},
        {"metadata": None},
        {"metadata": []},
        {"metadata": {"annotations": "x"}},
        {"metadata": {}, "spec": "x"},
        {"metadata": {}, "spec": {"leaseTransitions": "x"}},
        {"metadata": {}, "spec": {"renewTime": "0001-01-01T00:00:00.000000+23:00"}},
        {"metadata": {"annotations": {"singleton-jobs/fires": 7}}},
    ],
    ids=str,
)
def test_what_is_no_lease_is_an_error_of_unknown_outcome(raw):
    with pytest.raises(StoreError) as caught:
        read_lease(raw)
    assert caught.value.outcome == "unknown"


def test_a_lease_without_a_spec_is_an_empty_record():
    assert read_lease({"metadata": {}}) == (LockRecord(), None)


def test_merging_keeps_foreign_fields_and_leaves_the_original_alone():
    raw = {"kind": "Lease", "metadata": {"labels": {"a": "b"}}, "spec": {"strategy": "x", "holderIdentity": "old"}}
    merged = merge_lease(raw, RECORD, "marks")
    assert merged["spec"]["strategy"] == "x"
    assert merged["metadata"] == {"labels": {"a": "b"}, "annotations": {"singleton-jobs/fires": "marks"}}
    assert raw["spec"]["holderIdentity"] == "old"
    assert "annotations" not in raw["metadata"]


def test_a_record_cannot_be_changed():
    with pytest.raises(AttributeError):
        RECORD.holder_identity = "me"
