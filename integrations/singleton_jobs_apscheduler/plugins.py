"""APScheduler's plug-ins, by alias."""

from __future__ import annotations

from typing import Any, Literal

from apscheduler.schedulers.base import BaseScheduler

from singleton_jobs import ConfigError

__all__ = ["plugin"]


def plugin(kind: Literal["job store", "executor"], alias: str) -> Any:
    """The class behind ``alias``. Raises ConfigError if there is none."""
    known = BaseScheduler._jobstore_plugins if kind == "job store" else BaseScheduler._executor_plugins
    if alias not in known:
        raise ConfigError(f"there is no {kind} {alias!r} to guard; APScheduler has {', '.join(sorted(known))}")
    return known[alias].load()
