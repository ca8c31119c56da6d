"""Beats that are killed in the midst of a message, and are to have it sent by the next."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from datetime import datetime

import pytest

from ..journal import Entry
from .beats import TIMING, Beats, Message

pytestmark = pytest.mark.e2e

KILLS = int(os.environ.get("KILLS", "3"))
ENTRY = {"report": 1.0}
RESEND = {**TIMING, "interrupted": "resend", "max_attempts": 3}


def moment(entry: Entry) -> float:
    return datetime.fromisoformat(entry.fire).timestamp()


def test_a_fire_over_which_a_beat_was_killed_is_sent_by_the_next(beats: Beats) -> None:
    beats.several(ENTRY, 3, settings=RESEND)
    for _ in range(KILLS):
        beats.wait_sent(2)
        leader = beats.leader()
        leader.in_the_midst("SIGKILL")
        leader.process.wait()
        beats(ENTRY, settings=RESEND)
    beats.wait_sent(3)
    beats.end_all()
    cut = [moment(entry) for entry in beats.journal.entries("midst")]
    messages: defaultdict[str, list[Message]] = defaultdict(list)
    for message in beats.messages():
        messages[message.id].append(message)
    assert len(set(cut)) == KILLS
    assert all(
        count == 1 for count in Counter((m.fire, m.attempt) for each in messages.values() for m in each).values()
    )
    again = [message for each in messages.values() for message in each if message.attempt and message.attempt > 1]
    assert sorted(message.fire or 0 for message in again) == cut, "each is sent by the next, whoever that is"
    assert beats.marks()["report"][4:] == []
    order = [message.fire for message in beats.messages()]
    for message in again:
        assert all(fire <= message.fire for fire in order[: order.index(message.fire)]), "before any later fire"


def test_as_before_nobody_sends_it_unless_that_is_asked_for(beats: Beats) -> None:
    beats.several(ENTRY, 2)
    beats.wait_sent(2)
    leader = beats.leader()
    leader.in_the_midst("SIGKILL")
    leader.process.wait()
    beats.wait_sent(2)
    beats.end_all()
    (cut,) = beats.journal.entries("midst")
    assert moment(cut) not in {message.fire for message in beats.messages()}
    assert {message.attempt for message in beats.messages()} == {1}
