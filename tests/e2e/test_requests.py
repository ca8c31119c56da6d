"""What goes wrong with single requests, and what the leader then sends."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from controlplane.admin import Admin, lease_path
from controlplane.fixtures import MakePod
from controlplane.proxy import Proxy, Seen

from .journal import Journal, assert_no_overlap, boot_time
from .processes import ReplicaProcess, Starter

pytestmark = pytest.mark.e2e

TIMING = {"lease_duration": 20, "renew_deadline": 16, "retry_period": 0.5, "request_timeout": 3}
LOAD = 6.0  # seconds that a busy machine may add to what is bounded


@pytest.fixture
def leader(start: Starter, make_pod: MakePod, proxy: Proxy) -> ReplicaProcess:
    """Leads through the proxy."""
    replica = start("loop", pod=make_pod("leader", server=proxy), lease="job", config=TIMING)
    replica.wait_for("effect")
    return replica


def puts(proxy: Proxy) -> list[Seen]:
    return [seen for seen in proxy.requests if seen.method == "PUT"]


def tries(proxy: Proxy) -> list[tuple[Seen, Seen]]:
    """Consecutive requests that both were to replace the same version."""

    def version(seen: Seen) -> object:
        return json.loads(seen.body)["metadata"].get("resourceVersion")

    return [(a, b) for a, b in pairwise(puts(proxy)) if version(a) == version(b)]


def renewed(leader: ReplicaProcess, proxy: Proxy, times: int = 3) -> None:
    """It goes on renewing and working, under the term it began with."""
    proxy.wait_for(len(puts(proxy)) + times, "PUT", timeout=60)
    leader.wait_for("effect", after=boot_time())
    assert not leader.entries("TermEnded")
    assert len(leader.entries("TermStarted")) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_by_one_request(leader: ReplicaProcess, proxy: Proxy, status: int) -> None:
    proxy.on("PUT", "/leases/job", times=1).respond(status, {"Retry-After": "2"}).wait()
    renewed(leader, proxy)
    ((refused, again),) = tries(proxy)
    assert again.at - refused.at >= 2
    assert not [seen for seen in proxy.requests if refused.at < seen.at < again.at]


@pytest.mark.parametrize("status", [429, 503])
def test_long_retry_after_does_not_stall_the_renewals(leader: ReplicaProcess, proxy: Proxy, status: int) -> None:
    proxy.on("PUT", "/leases/job", times=2).respond(status, {"Retry-After": "32"}).wait(hits=2, timeout=16)
    renewed(leader, proxy)
    for refused, again in tries(proxy):
        assert 0.2 <= again.at - refused.at < 16


def test_dripping_answer_is_given_up_in_time(leader: ReplicaProcess, proxy: Proxy) -> None:
    dripping = proxy.on("PUT", "/leases/job", times=1).drip(0.1)  # more than a minute for the whole of it
    dripping.wait(landed=1)
    before = len(puts(proxy))
    renewed(leader, proxy)
    unanswered, again = puts(proxy)[before - 1 : before + 1]
    assert again.at - unanswered.at < 3 + 0.3 + LOAD
    assert dripping.statuses == [200]


def test_renewal_cut_after_it_landed_is_not_sent_again(leader: ReplicaProcess, proxy: Proxy) -> None:
    cut = proxy.on("PUT", "/leases/job", times=1).forward_then_drop()
    cut.wait(landed=1)
    assert cut.statuses == [200]
    renewed(leader, proxy)
    bodies = [seen.body for seen in puts(proxy)]
    assert len(set(bodies)) == len(bodies)
    assert proxy.count("GET", "/leases/job") <= 2  # the first one, and one for the own nonce if no watch has told


def test_cut_connections_cost_no_term(leader: ReplicaProcess, proxy: Proxy) -> None:
    for _ in range(4):
        before = len(puts(proxy))
        proxy.cut()
        proxy.wait_for(before + 2, "PUT", timeout=60)
    renewed(leader, proxy)


def test_creation_cut_after_it_landed_is_recognised(start: Starter, make_pod: MakePod, proxy: Proxy) -> None:
    cut = proxy.on("PUT", "/leases/job", times=1).forward_then_drop()
    started = boot_time()
    replica = start("loop", pod=make_pod("leader", server=proxy), lease="job", config={"lease_duration": 60})
    cut.wait(landed=1, timeout=30)
    assert cut.statuses == [201]
    assert replica.wait_for("effect").at - started < 30  # a stranger's record would be waited out
    assert len(puts(proxy)) == 2


def test_own_write_that_lands_late_costs_no_term(
    leader: ReplicaProcess, make_pod: MakePod, proxy: Proxy, admin: Admin, namespace: str
) -> None:
    hung = proxy.on("PUT", "/leases/job", times=1).hang()
    dropped = proxy.on("PUT", "/leases/job").drop()
    hung.wait()
    dropped.wait()
    late, retried = next((a, b) for a, b in tries(proxy))
    assert late.body != retried.body
    assert admin.raw("PUT", lease_path(namespace, "job"), late.body)[0] == 200
    proxy.clear()
    renewed(leader, proxy)


def test_write_of_a_deposed_leader_that_lands_late_is_refused(
    start: Starter, make_pod: MakePod, proxy: Proxy, admin: Admin, namespace: str, journal: Journal
) -> None:
    deposed = start("loop", pod=make_pod("deposed", server=proxy), lease="job")
    deposed.wait_for("effect")
    other = start("loop", pod=make_pod("other"), lease="job")
    other.wait_for("skipped", reason="not-leader")
    before = len(puts(proxy))
    proxy.on("PUT", "/leases/job").hang().wait()
    assert deposed.wait_for("TermEnded").lost
    taken = other.wait_for("effect")
    for late in puts(proxy)[before:]:
        assert admin.raw("PUT", lease_path(namespace, "job"), late.body)[0] == 409
    proxy.clear()
    deposed.wait_for("skipped", reason="not-leader", holder=taken.identity)
    other.wait_for("effect", after=boot_time())
    assert_no_overlap(journal.entries("effect"))


def test_followers_first_answer_that_drips_skips_the_call(start: Starter, make_pod: MakePod, proxy: Proxy) -> None:
    holder = start("loop", lease="job", config=TIMING).wait_for("effect")
    dripping = proxy.on("GET", "/leases/job", times=1).drip(0.1)
    follower = start("loop", pod=make_pod("follower", server=proxy), lease="job", config=TIMING)
    follower.wait_for("skipped", reason="store-unreachable")
    follower.wait_for("skipped", reason="not-leader", holder=holder.identity)
    first, second = [seen for seen in proxy.requests if seen.method == "GET"][:2]
    assert dripping.hits == 1
    assert second.at - first.at < 3 + 1.2 * 0.5 + LOAD
