"""APScheduler 3 on exactly one replica: ``guard(scheduler, lease="jobs")`` before ``scheduler.start()``.

Every replica runs the same scheduler. The one that holds the lease fires the jobs; each fire is claimed in the lease
first, so that it runs once, also across crashes, hand-overs and skewed clocks. Another replica that takes over goes
on with the first fire after the last claimed one.
"""

try:
    import apscheduler.schedulers.base  # noqa: F401 (APScheduler 4 has none)
except ImportError as error:
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = f"APScheduler {version('apscheduler')} is not supported yet"
    except PackageNotFoundError:
        found = "APScheduler is not installed"
    raise ImportError(f"{found}: pip install 'singleton-jobs[apscheduler]', for apscheduler>=3.11,<4") from error

from .guarding import SingletonExecutor, guard
from .jobstore import SingletonJobStore
from .repeating import interrupted
from .spread import Spread

__all__ = ["SingletonExecutor", "SingletonJobStore", "Spread", "guard", "interrupted"]
