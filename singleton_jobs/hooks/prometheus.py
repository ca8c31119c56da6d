"""Metrics for Prometheus; needs ``pip install 'singleton-jobs[prometheus]'``.

``configure(hooks=[PrometheusHook()])``, then serve them as ``prometheus_client`` does. `METRICS` lists them all.
"""

import os
from typing import Any, NamedTuple

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from ..concurrency.clock import SYSTEM_CLOCK, Clock
from ..events import (
    Event,
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
from .log import printable

__all__ = ["METRICS", "Metric", "PrometheusHook"]

MAX_JOBS = 1000  # jobs that get a label of their own; those met later share one
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metric(NamedTuple):
    """One metric, as it is documented."""

    name: str
    kind: type[Counter] | type[Gauge] | type[Histogram]
    labels: tuple[str, ...]
    text: str


METRICS = (
    Metric(
        "singleton_jobs_is_leader",
        Gauge,
        ("lease",),
        "1 while this process holds the lease, else 0; of leases of keys or spread jobs: how many.",
    ),
    Metric(
        "singleton_jobs_terms_ended_total",
        Counter,
        ("lease", "ended"),
        "Terms that ended here: released, expired, taken, freed, deleted or abandoned.",
    ),
    Metric(
        "singleton_jobs_request_seconds",
        Histogram,
        ("request",),
        "Time of a request to the store: read, acquire, renew or release.",
    ),
    Metric(
        "singleton_jobs_request_errors_total",
        Counter,
        ("request", "error"),
        "Requests that were not done: conflict, not done, unknown or denied.",
    ),
    Metric(
        "singleton_jobs_last_renewal_timestamp_seconds",
        Gauge,
        ("lease",),
        "When this process last acquired or renewed the lease, in seconds since 1970.",
    ),
    Metric(
        "singleton_jobs_fires_total",
        Counter,
        ("lease", "job_name", "outcome"),
        "Fires, as seen here: run (claimed here), skipped, missed, interrupted, or rerun since it was interrupted.",
    ),
    Metric("singleton_jobs_claim_seconds", Histogram, ("lease",), "Time from asking for a claim until it was granted."),
    Metric(
        "singleton_jobs_last_success_timestamp_seconds",
        Gauge,
        ("lease", "job_name"),
        "When a fire of the job last ended well here, in seconds since 1970.",
    ),
    Metric(
        "singleton_jobs_calls_skipped_total",
        Counter,
        ("lease", "reason"),
        "Guarded calls that did not run here, by the reason that Skipped gives.",
    ),
)


class PrometheusHook:
    """Counts what happens; ``registry`` is prometheus_client's default one unless given.

    No label is ever a holder's name, or a key: the leases of all keys, or all jobs of a spread guard, go by one name.
    One hook a registry: a second one raises ValueError, as prometheus_client does.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._jobs: set[str] = set()
        self._leases: set[str] = set()
        self._metrics: dict[str, Any] = {metric.name: _made(metric, registry) for metric in METRICS}
        self._pid = os.getpid()

    def __call__(self, event: Event) -> None:  # noqa: C901, PLR0912 (a table of cases)
        """Take note of ``event``."""
        if self._pid != os.getpid():  # a child resets here, not at the fork: a thread may have held the metrics' locks
            self._pid = os.getpid()
            for lease in tuple(self._leases):
                self._leads(lease, 0)
        lease = event.base or event.lease
        match event:
            case RequestEnded(request=request, outcome=outcome, seconds=seconds):
                self._of("request_seconds", request).observe(seconds)
                if outcome != "done":
                    self._of("request_errors_total", request, outcome).inc()
                elif request in ("acquire", "renew"):
                    self._of("last_renewal_timestamp_seconds", lease).set(self._clock.wall())
            case ReplicaStarted(leases=leases):
                for each in leases:
                    self._leads(each, 0)
            case TermStarted(base=""):
                self._leads(lease, 1)
            case TermStarted():
                self._of("is_leader", lease).inc()
            case TermEnded(ended=ended):
                if event.base:
                    self._of("is_leader", lease).dec()
                else:
                    self._leads(lease, 0)
                self._of("terms_ended_total", lease, str(ended)).inc()
            case HolderChanged(base=""):  # that a candidate holds a lease itself is told by TermStarted
                self._leads(lease, 0)
            case FireGranted(job=job, seconds=seconds):
                self._fire(lease, job, "run")
                self._of("claim_seconds", lease).observe(seconds)
            case FireEnded(job=job, ok=True):
                self._of("last_success_timestamp_seconds", lease, self._job(job)).set(self._clock.wall())
            case FireSkipped(job=job):
                self._fire(lease, job, "skipped")
            case FireMissed(job=job):
                self._fire(lease, job, "missed")
            case FireInterrupted(job=job, then=then):
                self._fire(lease, job, "rerun" if then == "rerun" else "interrupted")
            case RunSkipped(reason=reason):
                self._of("calls_skipped_total", lease, reason).inc()

    def _fire(self, lease: str, job: str, outcome: str) -> None:
        self._of("fires_total", lease, self._job(job), outcome).inc()

    def _leads(self, lease: str, value: int) -> None:
        self._leases.add(lease)
        self._of("is_leader", lease).set(value)

    def _job(self, job: str) -> str:
        """A label for ``job``: safe to print, and of a bounded number."""
        label = printable(job, 100)
        if label not in self._jobs and len(self._jobs) >= MAX_JOBS:
            return "other"
        self._jobs.add(label)
        return label

    def _of(self, name: str, *labels: str) -> Any:
        return self._metrics[f"singleton_jobs_{name}"].labels(*labels)


def _made(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    if metric.kind is Histogram:
        return Histogram(metric.name, metric.text, metric.labels, buckets=BUCKETS, registry=registry)
    if metric.kind is Gauge:  # of several worker processes that share a folder, the one that leads or was last counts
        mode: Any = "livemax" if metric.name.endswith("is_leader") else "max"
        return Gauge(metric.name, metric.text, metric.labels, registry=registry, multiprocess_mode=mode)
    return Counter(metric.name, metric.text, metric.labels, registry=registry)
