"""Celery beat on exactly one replica, each tick dispatched once: ``celery -A app beat --scheduler singleton``.

Every replica runs the same beat. The one that holds the lease dispatches; each fire is claimed in the lease first, so
that it is sent once, also across crashes, hand-overs and skewed clocks. Another replica that takes over goes on where
the last one stopped. Tasks that must not run twice at once use `singleton_jobs.exclusive`.
"""

try:
    import celery.beat  # noqa: F401
except ImportError as error:
    raise ImportError("Celery is not installed: pip install 'singleton-jobs[celery]', for celery>=5.6") from error

from . import worker  # noqa: F401 (has a worker that imports this discard what is sent too late)
from .mixin import SingletonMixin
from .plugin import singleton

__all__ = ["SingletonMixin", "singleton"]
