"""Beat on several replicas, against a real broker and a real API server: each fire once."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from math import inf
from pathlib import Path

import pytest
from controlplane.fixtures import MakePod
from controlplane.proxy import Proxy

from ..journal import boot_time, eventually
from .beats import LOAD, TIMING, Beats
from .gateway import Gateway

pytestmark = pytest.mark.e2e

ENTRIES = {f"entry-{number}": 1.0 for number in range(4)}
APSCHEDULERS = Path(__file__).resolve().parents[1] / "apscheduler" / "programs"  # which can set a clock off
EMBEDDED = ("worker", "-B", "-P", "prefork", "-c", "1", "-Q", "nobody-asks", "--without-gossip", "--without-mingle")
FAILOVER = TIMING["lease_duration"] + TIMING["retry_period"] + 2


def test_behaviour_01_each_fire_is_sent_once_and_counted(beats: Beats) -> None:
    beats.several(ENTRIES, 2)
    beats.wait_sent(4 * 10)
    beats.end_all()
    verdict = beats.verdict()
    verdict.assert_once()
    for entry in ENTRIES:
        fires = [message.fire for message in beats.messages(entry)]
        assert all(after - before == pytest.approx(1) for before, after in pairwise(fires)), fires
    assert len({message.id for message in beats.messages()}) == len(beats.messages())


def test_behaviour_02_killed_leaders_double_nothing(beats: Beats) -> None:
    beats.several(ENTRIES)
    for _ in range(2):
        beats.wait_sent(8)
        beats.leader().process.kill()
        beats(ENTRIES)
    beats.wait_sent(8)
    beats.end_all()
    verdict = beats.verdict()
    verdict.assert_once(lost=2)
    assert verdict.gap <= FAILOVER + 1 + LOAD


@pytest.mark.parametrize("when", ["anywhere", "between claim and message"])
def test_behaviour_03_a_stopped_leader_doubles_nothing_when_it_goes_on(beats: Beats, when: str) -> None:
    beats.several(ENTRIES, 2)
    beats.wait_sent(8)
    leader = beats.leader()
    if when == "anywhere":
        leader.process.stop()
    else:
        leader.in_the_midst("SIGSTOP")
        leader.process.wait_for("midst")
    eventually(lambda: beats.holder() not in (None, leader.process.who), "another leads")
    beats.wait_sent(8)
    sent = len(leader.process.entries("published"))
    leader.process.go_on()
    beats.wait_sent(12)
    late = leader.process.entries("published")[sent:]
    assert len(late) <= (when != "anywhere"), "no further claim; only what it was in the midst of"
    beats.end_all()
    beats.verdict().assert_once(lost=4)
    if late:
        (message,) = [message for message in beats.messages() if message.id == late[0].id]
        assert message.expires < time.time() - boot_time() + late[0].at, "a worker discards it"


@pytest.mark.parametrize("when", ["anywhere", "in the midst of a message"])
def test_behaviour_04_terminated_leaders_lose_and_double_nothing(beats: Beats, when: str) -> None:
    beats.several(ENTRIES)
    for _ in range(2):
        beats.wait_sent(8)
        leader = beats.leader()
        if when == "anywhere":
            leader.process.terminate()
        else:
            leader.in_the_midst("SIGTERM")
        assert leader.process.wait() == 0
        assert "ERROR" not in leader.process.output
        assert "Traceback" not in leader.process.output
        beats(ENTRIES)
    beats.wait_sent(8)
    beats.end_all()
    verdict = beats.verdict()
    verdict.assert_once()
    assert verdict.gap <= TIMING["retry_period"] + 1 + 1 + LOAD


def test_behaviour_05_a_rolling_deploy_loses_and_doubles_nothing(beats: Beats) -> None:
    old = beats.several(ENTRIES, 2)
    beats.wait_sent(8)
    for beat in old:
        beats(ENTRIES).ready()
        assert beat.end() == 0
    beats.wait_sent(8)
    beats.end_all()
    beats.verdict().assert_once()


def test_behaviour_06_a_late_take_over_sends_again_nothing(beats: Beats) -> None:
    entries = {**ENTRIES, "slow": 1000.0}
    first, standby = beats.several(entries, 2)
    beats.wait_sent(4 * 7)
    beats.leader().process.kill()
    beats.wait_sent(8)
    beats.end_all()
    beats.verdict().assert_once(lost=1)
    assert not beats.messages("slow")


def test_behaviour_06_a_crontab_that_has_fired_does_not_fire_again(beats: Beats) -> None:
    entries = {"cron": {"minute": "*"}, "tick": 1.0}
    beats.several(entries, 2)
    beats.wait_sent(1, "cron", timeout=75)
    beats.leader().process.kill()
    beats.wait_sent(3, "tick")
    beats.end_all()
    assert len(beats.messages("cron")) == 1
    beats.verdict().assert_once(lost=1)


def test_behaviour_07_without_an_api_server_the_dispatch_stops_in_time_and_goes_on(
    beats: Beats, make_pod: MakePod, proxy: Proxy
) -> None:
    for _ in range(2):
        beats(ENTRIES, pod=make_pod(server=proxy)).ready()
    beats.wait_sent(8)
    proxy.partition()
    began = boot_time()
    sleep_until(began + TIMING["lease_duration"] + 1)
    assert max(each.at for each in beats.published()) <= began + TIMING["lease_duration"]
    proxy.heal()
    healed = boot_time()
    beats.wait_sent(8)
    beats.end_all()
    beats.verdict().assert_once(lost=4)
    assert min(each.at for each in beats.published() if each.at > healed) - healed < FAILOVER + LOAD


def test_behaviour_08_a_leader_without_a_broker_lets_another_lead(beats: Beats, make_pod: MakePod) -> None:
    with Gateway(beats.redis.port) as gateway:
        cut_off = beats(ENTRIES, broker=gateway.url).ready()
        beats.wait_sent_by(cut_off, 8)
        others = beats.several(ENTRIES, 2)
        gateway.close()
        for beat in others[:1]:
            eventually(lambda: beats.holder() in {other.process.who for other in others}, "another leads")
        beats.wait_sent(8)
        cut_off.process.kill()
    beats.end_all()
    beats.verdict().assert_once(lost=1)


def test_behaviour_08_a_leader_whose_tick_stalls_lets_another_lead(beats: Beats) -> None:
    beats.several(ENTRIES, 2)
    beats.wait_sent(8)
    leader = beats.leader()
    leader.in_the_midst("15")  # seconds
    leader.process.wait_for("midst")
    eventually(lambda: beats.holder() not in (None, leader.process.who), "another leads")
    beats.wait_sent(8)
    assert not leader.process.entries("published")[-1].at > leader.process.entries("midst")[-1].at
    leader.process.kill()
    beats.end_all()
    beats.verdict().assert_once(lost=1)


def test_behaviour_09_a_replica_with_a_wrong_clock_lets_the_others_dispatch_every_tick(beats: Beats) -> None:
    wrong = beats(ENTRIES, skew=3600, path=[APSCHEDULERS])
    wrong.process.wait_for("ClockOff")
    beats.several(ENTRIES, 2)
    beats.wait_sent(4 * 8)
    assert not wrong.process.entries("published")
    beats.end_all()
    verdict = beats.verdict()
    verdict.assert_once()
    assert verdict.gap < 1 + LOAD


def test_behaviour_11_an_embedded_beat_drains_and_releases_with_its_worker(beats: Beats) -> None:
    worker = beats(ENTRIES, command=EMBEDDED)
    beats.wait_sent(8)
    assert worker.end() == 0
    assert "Traceback" not in worker.process.output
    assert beats.holder() is None
    beats.verdict().assert_once()


def test_behaviour_11_an_orphaned_beat_ends(beats: Beats) -> None:
    worker = beats(ENTRIES, command=EMBEDDED)
    (pid, *_) = {entry.pid for entry in beats.wait_sent(4)}
    assert pid != worker.process.pid
    worker.process.kill()
    eventually(lambda: not is_running(pid), "the beat of a killed worker ends", timeout=TIMING["retry_period"] + LOAD)
    eventually(lambda: beats.holder() is None, "it has given the lease back")


def test_behaviour_12_a_crash_between_claim_and_message_skips_exactly_that_fire(beats: Beats) -> None:
    beats.several({"tick": 1.0}, 2)
    beats.wait_sent(3)
    leader = beats.leader()
    leader.in_the_midst("SIGKILL")
    (skipped,) = [leader.process.wait_for("midst")]
    beats.wait_sent(4)
    beats.end_all()
    verdict = beats.verdict()
    assert not verdict.doubled
    assert verdict.lost == {"tick": 1}
    assert skipped.fire not in {each.fire for each in beats.published()}
    told = [entry for entry in beats.journal.entries("FireInterrupted") if entry.job == "celery:tick"]
    assert skipped.fire in {entry.time for entry in told}


def test_behaviour_13_many_entries(beats: Beats) -> None:
    beats.several({}, 2, many=250)
    beats.wait_sent(3 * 250)
    beats.end_all()
    beats.verdict().assert_once()


def test_behaviour_13_too_many_entries_are_refused_before_the_first_tick(beats: Beats) -> None:
    beat = beats({}, many=5000)
    assert beat.process.wait() != 0
    assert "room for 200 KiB" in beat.process.output
    assert "each with a lease of its own" in beat.process.output
    assert beats.holder() is None


def test_behaviour_15_an_interval_longer_than_any_beat_lives_still_fires(beats: Beats) -> None:
    every, due = 12.0, inf
    while not beats.published("slow"):
        beat = beats({"slow": every}).ready()
        due = min(due, boot_time() + every)
        if boot_time() < due:
            time.sleep(2.5)
        else:
            eventually(lambda: beats.published("slow"), lambda: beats.journal.tail())
        assert beat.end() == 0
    (sent,) = beats.published("slow")
    (sender,) = (beat for beat in beats.every if beat.process.who == sent.who)
    assert sent.at - sender.process.wait_for("beat").at < every, "it does not count from its own start"
    assert len(beats.messages("slow")) == 1


def sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - boot_time()))


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
