"""singleton-jobs: a scheduled job runs on exactly one replica, with nothing to deploy besides Kubernetes itself.

The public names are imported when they are first touched. So no module here may be called like one of them, such as
``running``: its import would take the name's place.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import Config as Config
    from .default import configure as configure
    from .default import exclusive as exclusive
    from .default import leader_only as leader_only
    from .default import leadership as leadership
    from .errors import AccessDenied as AccessDenied
    from .errors import ConfigError as ConfigError
    from .errors import LeadershipLost as LeadershipLost
    from .errors import LeaseBusy as LeaseBusy
    from .errors import LeaseExpired as LeaseExpired
    from .errors import NotLeader as NotLeader
    from .errors import SingletonJobsError as SingletonJobsError
    from .errors import StoreError as StoreError
    from .health import Health as Health
    from .leading.leadership import Leadership as Leadership
    from .leading.locker import LeaseLocker as LeaseLocker
    from .lifecycle import running as running
    from .replica import Replica as Replica
    from .reruns import InterruptedFire as InterruptedFire
    from .skipped import Skipped as Skipped
    from .term import Fire as Fire
    from .term import Term as Term
    from .term import current_fire as current_fire
    from .term import current_term as current_term

_HOMES = {
    "AccessDenied": "errors",
    "Config": "config",
    "ConfigError": "errors",
    "Fire": "term",
    "Health": "health",
    "InterruptedFire": "reruns",
    "Leadership": "leading.leadership",
    "LeadershipLost": "errors",
    "LeaseBusy": "errors",
    "LeaseExpired": "errors",
    "LeaseLocker": "leading.locker",
    "NotLeader": "errors",
    "Replica": "replica",
    "SingletonJobsError": "errors",
    "Skipped": "skipped",
    "StoreError": "errors",
    "Term": "term",
    "configure": "default",
    "current_fire": "term",
    "current_term": "term",
    "exclusive": "default",
    "leader_only": "default",
    "leadership": "default",
    "running": "lifecycle",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
