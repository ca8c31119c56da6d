"""How a beat is set up: ``app.conf.singleton_jobs``, and the environment for what it does not say."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from celery import Celery

from singleton_jobs import Config, ConfigError, Leadership
from singleton_jobs.default import default_replica
from singleton_jobs.leading.core import core_of
from singleton_jobs.replica import replica_on
from singleton_jobs.reruns import MAX_ATTEMPTS, attempts

__all__ = ["Settings"]

DEFAULT_LEASE = "celery-beat"
TIMING = Config._fields
PLACE = ("store", "namespace", "identity", "prefix")


class Settings(NamedTuple):
    """What a beat goes by; ``inner`` names the scheduler that is guarded, None: whatever ``beat_scheduler`` names.

    ``attempts``: how often a fire is sent, if a beat was cut short while it sent it; 1 is once.
    """

    lease: str
    config: Config | None
    place: dict[str, Any]
    inner: Any
    attempts: int

    @classmethod
    def of(cls, app: Celery) -> Settings:
        """Read ``app.conf.singleton_jobs``. Raises ConfigError for what it does not know, and for values that cannot
        work.
        """
        given = app.conf.get("singleton_jobs") or {}
        if not isinstance(given, dict):
            raise ConfigError(f"app.conf.singleton_jobs must be a dict of settings, not {given!r}")
        known = ("lease", "scheduler", "config", "interrupted", "max_attempts", *PLACE, *TIMING)
        if unknown := [key for key in given if key not in known]:
            raise ConfigError(
                f"app.conf.singleton_jobs has no setting {', '.join(map(repr, unknown))}; it knows {', '.join(known)}"
            )
        lease = given.get("lease") or os.environ.get("SINGLETON_JOBS_CELERY_LEASE") or DEFAULT_LEASE
        place = {key: given[key] for key in PLACE if given.get(key) is not None}
        most = attempts(given.get("interrupted", "skip"), given.get("max_attempts", MAX_ATTEMPTS), "resend")
        return cls(lease, _timing(given), place, given.get("scheduler"), most)

    def leadership(self) -> Leadership:
        """The candidacy of this beat, through the process's own replica, or one like it in the place that is named."""
        replica = replica_on(core_of(default_replica()).but(**self.place)) if self.place else default_replica()
        return replica.leadership(self.lease, self.config)


def _timing(given: dict[str, Any]) -> Config | None:
    timing = {key: given[key] for key in TIMING if key in given}
    config = given.get("config")
    if config is not None and (timing or not isinstance(config, Config)):
        raise ConfigError("app.conf.singleton_jobs: config is a singleton_jobs.Config, instead of single timings")
    return Config(**timing) if timing else config
