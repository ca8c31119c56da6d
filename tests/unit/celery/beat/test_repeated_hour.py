"""Entries in the hour that clocks show twice in autumn, and schedules that never get on."""

from datetime import UTC, datetime

import freezegun.api
import pytest

from celery.beat import Scheduler
from celery.schedules import crontab, schedule
from unit.celery.beat.site import MINUTE, every, fires, now
from unit.stage import until

SECOND_PASS = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 02:10 in Berlin, for the second time
BERLIN = {"timezone": "Europe/Berlin", "beat_scheduler": Scheduler}


@pytest.fixture(autouse=True)
def _frozen_clocks_know_the_pass(monkeypatch):
    """freezegun's times forget it."""
    fake, now = freezegun.api.datetime_to_fakedatetime, freezegun.api.FakeDatetime.now
    monkeypatch.setattr(freezegun.api, "datetime_to_fakedatetime", lambda time: fake(time).replace(fold=time.fold))
    monkeypatch.setattr(freezegun.api.FakeDatetime, "now", lambda tz=None: now(UTC).astimezone(tz) if tz else now())


@pytest.fixture
def first_seen_in_it(lead, space, frozen):
    """A leader with these entries, first seen at 02:10 of the second pass."""

    def first_seen_in_it(entries):
        frozen.move_to(SECOND_PASS)
        beat = lead(entries, conf=BERLIN)
        until(lambda: all(map(space.mark_of, entries)))
        return beat

    return first_seen_in_it


def test_a_crontab_first_seen_in_it_goes_on_at_its_end(first_seen_in_it, frozen):
    beat = first_seen_in_it({"report": every(crontab(minute="*/5"))})
    sent = []
    for _ in range(60):
        beat.work()
        sent += fires(beat.app)
        frozen.tick(MINUTE)
    assert sent == [SECOND_PASS + (50 + 5 * n) * MINUTE for n in range(2)]


def test_a_crontab_of_that_hour_first_seen_in_it_is_sent_the_day_after(first_seen_in_it, frozen):
    beat = first_seen_in_it({"report": every(crontab(minute=30, hour=2)), "other": every(60, task="other")})
    for _ in range(60):
        beat.work()
        frozen.tick(MINUTE)
    assert fires(beat.app, "report") == []
    frozen.move_to(datetime(2026, 10, 26, 1, 30, tzinfo=UTC))
    beat.work()
    assert fires(beat.app, "report") == [now()]


def test_it_holds_nobody_up(first_seen_in_it, frozen):
    beat = first_seen_in_it({"report": every(crontab(minute="*/5")), "other": every(60, task="other")})
    frozen.tick(MINUTE)
    beat.work()
    assert fires(beat.app) == [now()]


def test_a_mark_of_the_second_pass_is_gone_on_from(make, space, frozen):
    frozen.move_to(SECOND_PASS)
    standby = make({"report": every(crontab(minute="*/5"))}, conf=BERLIN)
    space.claimed("report", now(), runs=3)
    frozen.tick(10 * MINUTE)
    standby.lead().work()
    assert fires(standby.app) == []
    frozen.tick(40 * MINUTE)
    standby.work()
    assert fires(standby.app) == [now()]


class Stuck(schedule):
    """Names one time for ever."""

    def remaining_estimate(self, last_run_at):
        return datetime(2026, 5, 6, 7, tzinfo=UTC) - self.now()

    def is_due(self, last_run_at):
        return True, 60


def test_a_schedule_that_never_gets_on_says_so_once_and_holds_nobody_up(lead, space, frozen, caplog):
    beat = lead({"stuck": every(Stuck(60)), "other": every(60, task="other")})
    until(lambda: space.mark_of("other"))
    for _ in range(3):
        frozen.tick(MINUTE)
        beat.work()
    sent = fires(beat.app, "other")
    assert len(sent) == 3
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [text for text in warnings if "'stuck' is not sent any more" in text] == warnings
    assert len(warnings) == 1
