"""The task that a Celery worker runs, as `singleton_jobs.exclusive` sees it."""

from __future__ import annotations

from typing import NoReturn

from celery import Task
from celery._state import get_current_task

__all__ = ["CeleryTask", "running_task"]


class CeleryTask:
    """One run of a task."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.id: str = task.request.id
        self.name: str = task.name
        self.redelivered = bool((task.request.delivery_info or {}).get("redelivered"))

    def retry(self, error: Exception, countdown: float) -> NoReturn:
        """Have Celery run it again; that counts as one of the task's retries."""
        raise self._task.retry(exc=error, countdown=countdown)


def running_task() -> CeleryTask | None:
    """The task that runs on this thread; None if it was called as a plain function."""
    task = get_current_task()
    if task is None or task.request.called_directly or not task.request.id:
        return None
    return CeleryTask(task)
