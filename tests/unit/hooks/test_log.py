"""The log: which event is said at which level, and that nobody writes into it what they like."""

import logging
from datetime import UTC, datetime

import pytest

from singleton_jobs import AccessDenied, StoreError
from singleton_jobs.events import (
    ClockOff,
    FireInterrupted,
    FireMissed,
    FireSkipped,
    HolderChanged,
    MarkLowered,
    ReplicaStarted,
    RunSkipped,
    StoreFailed,
    StoreRecovered,
    TermEnded,
    TermStarted,
)
from singleton_jobs.hooks.log import log_events, printable

ME = ("nightly", "me_1")
TWO = datetime(2026, 11, 27, 2, tzinfo=UTC)
AT_TWO = "at 2026-11-27T02:00:00+00:00:"


@pytest.mark.parametrize(
    ("event", "level", "words"),
    [
        (ReplicaStarted(*ME, "a store", ("nightly", "rebuild")), logging.INFO, ["me_1", "a store", "nightly, rebuild"]),
        (TermStarted(*ME, 41), logging.INFO, ["nightly", "me_1", "41"]),
        (TermEnded(*ME, 41, True, "no answer"), logging.WARNING, ["nightly", "lost", "no answer"]),
        (TermEnded(*ME, 41, False, "it was released"), logging.INFO, ["nightly", "it was released"]),
        (HolderChanged(*ME, "other_1"), logging.INFO, ["other_1"]),
        (HolderChanged(*ME, None), logging.INFO, ["nobody"]),
        (TermStarted("sync.acme", "me_1", 41, base="sync"), logging.DEBUG, ["sync.acme", "41"]),
        (TermEnded("sync.acme", "me_1", 41, False, "released", base="sync"), logging.DEBUG, ["sync.acme"]),
        (TermEnded("sync.acme", "me_1", 41, True, "gone", base="sync"), logging.WARNING, ["sync.acme", "lost"]),
        (HolderChanged("sync.acme", "me_1", None, base="sync"), logging.DEBUG, ["nobody"]),
        (TermStarted("reports.north", "me_1", 41, base="reports"), logging.DEBUG, ["reports.north", "41"]),
        (RunSkipped(*ME, "report", "not-leader"), logging.DEBUG, ["report", "not-leader"]),
        (FireSkipped(*ME, "aps:a", TWO, "refused"), logging.DEBUG, ["aps:a", AT_TWO, "claimed before"]),
        (
            FireSkipped(*ME, "aps:a", TWO, "store-unreachable"),
            logging.INFO,
            ["aps:a", AT_TWO, "store-unreachable"],
        ),
        (FireInterrupted(*ME, "aps:a", TWO), logging.WARNING, ["aps:a", AT_TWO, "nobody runs it again"]),
        (FireMissed(*ME, "aps:a", TWO), logging.WARNING, ["aps:a", AT_TWO, "grace"]),
        (MarkLowered(*ME, "aps:a", TWO), logging.WARNING, ["aps:a", "for 2026-11-27T02:00:00+00:00,", "yet to come"]),
        (ClockOff(*ME, 3600.4), logging.WARNING, ["nightly", "me_1", "3600 s ahead", "set the host's clock"]),
        (ClockOff(*ME, -75.0), logging.WARNING, ["75 s behind"]),
        (StoreFailed(*ME, StoreError("no route")), logging.WARNING, ["no route", "again"]),
        (StoreFailed(*ME, AccessDenied("apply this Role")), logging.ERROR, ["apply this Role"]),
        (StoreRecovered(*ME, 7), logging.INFO, ["7"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_event_has_its_level_and_its_words(event, level, words, caplog):
    caplog.set_level(logging.DEBUG, "singleton_jobs")
    log_events(event)
    (record,) = caplog.records
    assert record.levelno == level
    assert all(word in record.getMessage() for word in words), record.getMessage()


def test_a_foreign_holder_cannot_write_lines_into_the_log(caplog):
    caplog.set_level(logging.INFO, "singleton_jobs")
    log_events(HolderChanged(*ME, "x\n\x1b[31mERROR all is lost"))
    assert "\n" not in caplog.messages[0]
    assert "\x1b" not in caplog.messages[0]


def test_a_foreign_holder_cannot_fill_the_log():
    assert len(printable("x" * 300_000)) == 200
