"""The API server is away, before and while somebody leads."""

from __future__ import annotations

import pytest
from controlplane.admin import Admin
from controlplane.fixtures import MakePod
from controlplane.proxy import Proxy
from controlplane.server import ControlPlane

from .journal import Journal, assert_no_overlap, boot_time, eventually
from .processes import Starter

pytestmark = pytest.mark.e2e

LOAD = 6.0  # seconds that a busy machine may add to what is bounded


@pytest.mark.own_control_plane
def test_restart_within_the_deadline_costs_no_term(
    start: Starter, control_plane: ControlPlane, admin: Admin, namespace: str
) -> None:
    timing = {"lease_duration": 40, "renew_deadline": 30, "retry_period": 1}
    replica = start("loop", lease="job", config=timing)
    first = replica.wait_for("effect")
    other = start("loop", lease="job", config=timing)
    other.wait_for("skipped", reason="not-leader")
    control_plane.kill_apiserver()
    replica.wait_for("StoreFailed")
    control_plane.start_apiserver()
    replica.wait_for("StoreRecovered")
    before = admin.get_lease(namespace, "job")
    eventually(lambda: admin.get_lease(namespace, "job") != before, "a renewal")
    replica.wait_for("effect", after=boot_time())
    assert {effect.token for effect in replica.entries("effect")} == {first.token}
    assert not replica.entries("TermEnded")
    assert not other.entries("TermStarted")


@pytest.mark.own_control_plane
def test_outage_beyond_the_deadline_ends_the_term_in_time(
    start: Starter, control_plane: ControlPlane, journal: Journal
) -> None:
    replicas = [start("loop", lease="job") for _ in range(2)]
    leader = journal.wait_for("effect")
    (follower,) = (replica for replica in replicas if replica.who != leader.who)
    follower.wait_for("skipped", reason="not-leader")
    control_plane.kill_apiserver()
    died = boot_time()
    lost = journal.wait_for("TermEnded")
    assert lost.lost
    last = journal.entries("effect")[-1]
    assert last.at - died <= 2  # exact at any load: an effect is dated before its check
    for replica in replicas:
        replica.wait_for("skipped", after=died, reason="store-unreachable")
    control_plane.start_apiserver()
    again = journal.wait_for("effect", after=lost.at)
    assert again.token > leader.token
    assert_no_overlap(journal.entries("effect"))


def test_unreachable_at_start_runs_nothing_and_goes_on_trying(start: Starter, make_pod: MakePod, proxy: Proxy) -> None:
    proxy.refuse()
    replica = start("loop", pod=make_pod(server=proxy), lease="job")
    replica.wait_for("skipped", reason="store-unreachable", holder=None)
    output = replica.wait_for_output("trying again")
    assert "cannot be reached" in output
    assert proxy.url in output
    assert not replica.entries("effect")
    connectable = boot_time()
    proxy.accept()
    assert replica.wait_for("effect").at > connectable
    recovered = replica.wait_for("StoreRecovered")
    assert recovered.failures >= 1
    assert output.count("trying again") == 1  # said once, however often it was tried


def test_partitioned_leader_stops_in_time_and_another_leads(
    start: Starter, make_pod: MakePod, proxy: Proxy, journal: Journal
) -> None:
    cut_off = start("loop", pod=make_pod("cut-off", server=proxy), lease="job", every=0.01)
    before = cut_off.wait_for("effect")
    other = start("loop", pod=make_pod("other"), lease="job", every=0.01)
    other.wait_for("skipped", reason="not-leader")
    proxy.partition()
    partitioned = boot_time()
    assert cut_off.wait_for("TermEnded").lost
    taken = other.wait_for("effect")
    assert taken.token > before.token
    assert cut_off.entries("effect")[-1].at - partitioned <= 2
    proxy.heal()
    cut_off.wait_for("skipped", reason="not-leader", holder=taken.identity)
    other.wait_for("effect", after=boot_time())
    assert_no_overlap(journal.entries("effect"))
