"""Renewals that are not put together and read anew are what they would be if they were."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singleton_jobs.locks.kubernetes.form import Form, Routine, Wording
from singleton_jobs.locks.kubernetes.objects import read_stored
from singleton_jobs.locks.record import LockRecord, merge_lease, micro_time

BEGIN = datetime(2026, 11, 28, 12, tzinfo=UTC)
RECORD = LockRecord("me_1", 15, BEGIN, BEGIN, 3)


def answer(version=7, renewed=BEGIN, written="2026-11-28T12:00:00Z", annotations=None, holder="me_1", **more):
    """As the API server tells it."""
    metadata = {"name": "nightly", "namespace": "jobs", "uid": "u-1", "resourceVersion": str(version)}
    if annotations:
        metadata["annotations"] = annotations
    metadata["managedFields"] = [{"manager": "x", "time": written, "fieldsV1": {"f:spec": {"f:renewTime": {}}}}]
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "acquireTime": micro_time(BEGIN)}
    whole = {"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": metadata, "spec": spec}
    spec |= {"renewTime": micro_time(renewed), "leaseTransitions": 3, **more}
    return json.dumps(whole, separators=(",", ":"))


def read(text, served_at=None):
    return read_stored("it", json.loads(text), served_at)


def routine(**how):
    text = answer(**how)
    made = Routine.after(read(text), text)
    assert made
    return made


texts = st.text(max_size=40) | st.sampled_from(['"time":"2026-11-28T12:00:00Z"', '"resourceVersion":"7"', "7", '"'])


@given(st.dictionaries(texts, texts, max_size=3), st.integers(0, 10**18), st.datetimes(BEGIN.replace(tzinfo=None)))
def test_an_answer_of_the_same_form_says_what_it_would_if_it_were_read(annotations, version, time):
    renewed, served_at = time.replace(tzinfo=UTC), BEGIN
    first = answer(annotations=annotations)
    made = Routine.after(read(first), first)
    if made:
        text = answer(version, renewed, "2026-11-28T12:00:09Z", annotations)
        known, anew = made.read(text, renewed, served_at), read(text, served_at)
        assert (known, known.raw) == (anew, anew.raw)


def test_one_follows_the_other():
    made = routine()
    for version in (8, 123456):
        at = BEGIN + timedelta(seconds=version)
        assert made.read(answer(version, at), at, None).version == version


@pytest.mark.parametrize(
    "text",
    [
        answer(8, annotations={"a": "b"}),
        answer(8, holder="them_1"),
        answer(8, renewed=BEGIN + timedelta(microseconds=1)),
        answer(8, written="2026-11-28T12:00:00.5Z"),
        answer(8, written="2026-11-28T12:00:99Z"),
        answer(8, strategy="new"),
        answer(8).replace("u-1", "u-2"),
        answer(8) + " ",
        answer(8).replace('"8"', '"eight"'),
        answer(8)[:-1],
        "",
        None,
    ],
    ids=range(12),
)
def test_an_answer_that_says_more_or_less_has_to_be_read(text):
    assert routine().read(text, BEGIN, None) is None


@pytest.mark.parametrize(
    "text",
    [
        answer(annotations={"resourceVersion": "7"}),
        answer(annotations={"time": "2026-11-28T12:00:00Z"}),
        answer(strategy={"renewTime": micro_time(BEGIN)}),
        answer(written="2026-11-28T14:00:00+02:00"),
        None,
    ],
    ids=[
        "two versions",
        "two times of the write",
        "two times of the renewal",
        "another way to write a time",
        "no text",
    ],
)
def test_what_could_be_misread_makes_no_routine(text):
    assert Routine.after(read(text or answer()), text) is None


@pytest.mark.parametrize(
    ("record", "edited", "ledger"),
    [
        (replace(RECORD, holder_identity=""), {}, None),
        (replace(RECORD, lease_transitions=4), {}, None),
        (replace(RECORD, lease_duration_seconds=16), {}, None),
        (replace(RECORD, renew_time=None), {}, None),
        (RECORD, {"version": 8}, None),
        (RECORD, {"uid": "u-2"}, None),
        (RECORD, {}, "{}"),
    ],
    ids=["release", "transition", "duration", "no time", "another version", "another object", "ledger"],
)
def test_what_changes_more_than_a_renewal_is_no_routine(record, edited, ledger):
    stored = read(answer())
    assert routine().serves(RECORD, stored, None)
    assert not routine().serves(record, replace(stored, **edited), ledger)


@given(st.dictionaries(texts, texts, max_size=3))
def test_the_next_request_is_worded_as_if_it_were_put_together(annotations):
    stored = read(answer(annotations=annotations))

    def make(version, renewed):
        lease = merge_lease(stored.raw, replace(RECORD, renew_time=renewed), None)
        lease["metadata"] |= {"resourceVersion": str(version)}
        return json.dumps(lease, separators=(",", ":"))

    wording = Wording.of(make(7, BEGIN), 7, micro_time(BEGIN))
    if wording:
        later = BEGIN + timedelta(days=1)
        assert wording.text(88, micro_time(later)) == make(88, later)


def test_a_request_is_put_together_once():
    made, calls = routine(), []

    def make():
        calls.append(1)
        return answer(7, BEGIN)

    assert made.text(BEGIN, make) == made.text(BEGIN, make) == answer(7, BEGIN)
    assert calls == [1]


def test_most_leases_have_a_form():
    assert Form.of(answer(), 7, "2026-11-28T12:00:00Z", micro_time(BEGIN))
    assert Wording.of(answer(), 7, micro_time(BEGIN))
