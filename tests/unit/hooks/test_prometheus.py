"""The Prometheus hook: what happens is counted, and the table in the documentation is the code's."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from singleton_jobs.concurrency.clock import Clock
from singleton_jobs.events import (
    FireEnded,
    FireGranted,
    FireInterrupted,
    FireMissed,
    FireSkipped,
    HolderChanged,
    ReplicaStarted,
    RequestEnded,
    RunSkipped,
    TermEnded,
    TermStarted,
)
from singleton_jobs.hooks.prometheus import MAX_JOBS, METRICS, PrometheusHook
from unit.stage import LIMIT, until

ME = ("nightly", "pod-a_1")
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
DOCS = Path(__file__).resolve().parents[3] / "docs/metrics.md"


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def hook(registry):
    return PrometheusHook(registry, clock=Clock(now=lambda: 5.0, wall=lambda: 1_800_000_000.0))


@pytest.fixture
def value(registry):
    def look(name, **labels):
        return registry.get_sample_value(f"singleton_jobs_{name}", labels)

    return look


def test_the_documented_table_is_the_codes():
    rows = re.findall(r"^\| `(singleton_jobs_\w+)` \| (\w+) \| (.+?) \| (.+?) \|$", DOCS.read_text(), re.MULTILINE)
    documented = [(name, kind, tuple(re.findall(r"`(\w+)`", labels)), text) for name, kind, labels, text in rows]
    assert documented == [(m.name, m.kind.__name__.lower(), m.labels, m.text) for m in METRICS]


def test_what_is_exported_is_what_is_listed(hook, registry):
    exported = {family.name for family in registry.collect()}
    assert exported == {metric.name.removesuffix("_total") for metric in METRICS}


def test_leading(hook, value):
    hook(ReplicaStarted(*ME, "memory", ("nightly", "weekly")))
    assert (value("is_leader", lease="nightly"), value("is_leader", lease="weekly")) == (0, 0)
    hook(TermStarted(*ME, 41))
    assert value("is_leader", lease="nightly") == 1
    hook(TermEnded(*ME, 41, True, "its renewals were not acknowledged in time", "expired"))
    assert value("is_leader", lease="nightly") == 0
    assert value("terms_ended_total", lease="nightly", ended="expired") == 1


def test_the_leases_of_keys_go_by_one_name(hook, value, registry):
    for key in "abc":
        hook(TermStarted(f"sync.{key}", "pod-a_1", 41, base="sync"))
        hook(RequestEnded(f"sync.{key}", "pod-a_1", "acquire", "done", 0.1, base="sync"))
    hook(TermEnded("sync.a", "pod-a_1", 41, False, "it was released", "released", base="sync"))
    hook(HolderChanged("sync.b", "pod-a_1", "other_1", base="sync"))
    hook(RunSkipped("sync.b", "pod-a_1", "sync", "busy", base="sync"))
    assert value("is_leader", lease="sync") == 2
    assert value("terms_ended_total", lease="sync", ended="released") == 1
    assert value("calls_skipped_total", lease="sync", reason="busy") == 1
    assert b"sync." not in generate_latest(registry)


def test_the_leases_of_spread_jobs_go_by_one_name_and_the_jobs_by_theirs(hook, value, registry):
    for job in ("mail", "report"):
        lease = f"reports.{job}"
        hook(HolderChanged(lease, "pod-a_1", None, base="reports"))
        hook(TermStarted(lease, "pod-a_1", 41, base="reports"))
        hook(RequestEnded(lease, "pod-a_1", "acquire", "done", 0.1, base="reports"))
        hook(FireGranted(lease, "pod-a_1", f"aps:default:{job}", NOON, 0.1, base="reports"))
        hook(FireEnded(lease, "pod-a_1", f"aps:default:{job}", NOON, True, base="reports"))
    hook(FireSkipped("reports.mail", "pod-a_1", "aps:default:mail", NOON, "refused", base="reports"))
    hook(TermEnded("reports.mail", "pod-a_1", 41, False, "it was released", "released", base="reports"))
    assert value("is_leader", lease="reports") == 1
    assert value("fires_total", lease="reports", job_name="aps:default:mail", outcome="run") == 1
    assert value("fires_total", lease="reports", job_name="aps:default:report", outcome="run") == 1
    assert value("fires_total", lease="reports", job_name="aps:default:mail", outcome="skipped") == 1
    assert b"reports." not in generate_latest(registry)


def test_a_follower_says_that_it_does_not_lead(hook, value):
    hook(HolderChanged("other", "pod-a_1", "pod-b_1"))
    assert value("is_leader", lease="other") == 0


@pytest.mark.parametrize("request_", ["acquire", "renew"])
def test_renewals_and_their_latency(hook, value, request_):
    hook(RequestEnded(*ME, request_, "done", 0.02))
    assert value("request_seconds_count", request=request_) == 1
    assert value("request_seconds_bucket", request=request_, le="0.025") == 1
    assert value("last_renewal_timestamp_seconds", lease="nightly") == 1_800_000_000
    assert value("request_errors_total", request=request_, error="done") is None


def test_errors_by_kind(hook, value):
    for outcome in ("conflict", "unknown", "unknown"):
        hook(RequestEnded(*ME, "renew", outcome, 0.5))
    assert value("request_errors_total", request="renew", error="unknown") == 2
    assert value("request_errors_total", request="renew", error="conflict") == 1
    assert value("last_renewal_timestamp_seconds", lease="nightly") is None


def test_fires_by_outcome(hook, value):
    for event in (
        FireGranted(*ME, "fn:report", NOON, 0.03),
        FireSkipped(*ME, "fn:report", NOON, "refused"),
        FireMissed(*ME, "fn:report", NOON),
        FireInterrupted(*ME, "fn:report", NOON),
    ):
        hook(event)
    for outcome in ("run", "skipped", "missed", "interrupted"):
        assert value("fires_total", lease="nightly", job_name="fn:report", outcome=outcome) == 1
    assert value("claim_seconds_sum", lease="nightly") == 0.03


@pytest.mark.parametrize(("ok", "at"), [(True, 1_800_000_000), (False, None)])
def test_only_a_good_end_is_a_success(hook, value, ok, at):
    hook(FireEnded(*ME, "fn:report", NOON, ok))
    assert value("last_success_timestamp_seconds", lease="nightly", job_name="fn:report") == at


def test_skipped_calls(hook, value):
    hook(RunSkipped(*ME, "module.function", "not-leader"))
    assert value("calls_skipped_total", lease="nightly", reason="not-leader") == 1


def test_labels_are_few_and_harmless(hook, registry, value):
    hook(HolderChanged("nightly", "pod-a_1", "evil\x1b[31m\n" + "x" * 9999))
    hook(FireMissed(*ME, "app:\x1b[31m\n" + "y" * 9999, NOON))
    for number in range(MAX_JOBS + 5):
        hook(FireMissed(*ME, f"app:{number}", NOON))
    text = generate_latest(registry).decode()
    assert "\x1b" not in text
    assert "evil" not in text
    assert max(map(len, text.splitlines())) < 250
    assert value("fires_total", lease="nightly", job_name="other", outcome="missed") == 6


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # as whoever runs the tests may have threads
def test_a_forked_child_does_not_lead(hook, value):
    hook(TermStarted(*ME, 41))
    if (child := os.fork()) == 0:
        hook(RunSkipped(*ME, "module.function", "not-ready"))
        os._exit(int(value("is_leader", lease="nightly") or 0))
    assert os.waitpid(child, 0)[1] == 0
    assert value("is_leader", lease="nightly") == 1


def test_a_replica_is_measured(make_replica, registry, value):
    replica = make_replica(hooks=[PrometheusHook(registry)])

    @replica.leader_only(lease="nightly", job="report", at_most_every=3600)
    def report():
        return "ran"

    leadership = replica.leadership("nightly")
    assert leadership.wait(LIMIT)
    assert report() == "ran"
    assert leadership.claim("mine", datetime.now(UTC))
    leadership._part.candidacy.wake()
    until(lambda: value("request_seconds_count", request="renew"))
    until(lambda: value("last_success_timestamp_seconds", lease="nightly", job_name="fn:report"))
    assert value("fires_total", lease="nightly", job_name="fn:report", outcome="run") == 1
    until(lambda: value("fires_total", lease="nightly", job_name="app:mine", outcome="run"))
    assert value("request_seconds_count", request="acquire") == 1
    replica.close()
    until(lambda: value("terms_ended_total", lease="nightly", ended="released"))


def test_nothing_is_measured_without_a_hook(replica):
    leadership = replica.leadership("nightly")
    leadership.start()
    assert leadership._part.candidacy.reporter._measure is None
