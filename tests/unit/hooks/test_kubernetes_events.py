"""Which events become Kubernetes Events, and how many."""

from datetime import UTC, datetime

import pytest

from singleton_jobs.events import FireInterrupted, HolderChanged, StepDownRequested, TermEnded, TermStarted
from singleton_jobs.hooks.kubernetes import BURST, EVERY, Limit, note

ME = ("nightly", "pod-a_1")


@pytest.mark.parametrize(
    ("event", "reason", "says", "warning"),
    [
        (TermStarted(*ME, 41, "pod-b_1"), "TookOver", "took over from pod-b_1", False),
        (TermStarted(*ME, 41), "Acquired", "took the free lease", False),
        (TermEnded(*ME, 41, False, "it was released", "released"), "HandedOver", "gave the lease back", False),
        (TermEnded(*ME, 41, True, "the lease was deleted", "deleted"), "Lost", "the lease was deleted", True),
        (StepDownRequested(*ME), "StepDownRequested", "was asked to step down", False),
        (
            FireInterrupted(*ME, "fn:report", datetime(2026, 11, 27, 12, tzinfo=UTC)),
            "FireInterrupted",
            "fn:report was interrupted at 2026-11-27T12:00:00+00:00;",
            True,
        ),
    ],
)
def test_what_is_told(event, reason, says, warning):
    told = note(event)
    assert (told.reason, told.warning) == (reason, warning)
    assert says in told.text


def test_what_happens_all_the_time_is_not_told():
    assert note(HolderChanged(*ME, "pod-b_1")) is None


@pytest.mark.parametrize("lost", [True, False])
def test_leases_of_keys_come_and_go_untold(lost):
    assert note(TermStarted("sync.acme", "pod-a_1", 41, base="sync")) is None
    assert note(TermEnded("sync.acme", "pod-a_1", 41, lost, "why", base="sync")) is None


def test_hostile_text_is_harmless():
    told = note(TermStarted(*ME, 41, "\x1b[31m\u202e\n" + "x" * 300_000))
    assert told.text.isascii()
    assert told.text.isprintable()
    assert len(told.text) < 300


def test_a_burst_then_a_few():
    limit = Limit()
    assert [limit.allows(0.0) for _ in range(BURST + 3)] == [True] * BURST + [False] * 3
    assert limit.dropped == 3
    assert not limit.allows(EVERY - 1)
    assert limit.allows(EVERY + 1)
    assert not limit.allows(EVERY + 2)


def test_after_a_long_rest_no_more_than_a_burst():
    limit = Limit()
    limit.allows(0.0)
    assert sum(limit.allows(1e6) for _ in range(2 * BURST)) == BURST
