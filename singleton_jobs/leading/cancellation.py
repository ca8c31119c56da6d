"""Cancel the running task's work when its term is lost, as ``asyncio.timeout`` does when time is up."""

import asyncio
from contextlib import suppress
from types import TracebackType
from weakref import ref

from ..errors import LeadershipLost
from ..term import Term

__all__ = ["Cancellation"]


class Cancellation:
    """Context manager round a coroutine's work: the loss of ``term``, or `cancel`, ends it with LeadershipLost."""

    __slots__ = ("_cancelling", "_inside", "_task", "_term", "called")

    def __init__(self, term: Term) -> None:
        self.called = False
        self._term = term
        self._inside = False

    def cancel(self) -> None:
        """End the work; from any thread."""
        task = self._task()
        if task:
            with suppress(RuntimeError):  # the loop was closed
                task.get_loop().call_soon_threadsafe(self._cancel)

    def __enter__(self) -> "Cancellation":
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("guarded coroutines run in asyncio tasks")
        self._task = ref(task)  # the term must not keep a task alive that nobody runs any more
        self._cancelling = task.cancelling()
        self._inside = True
        self._term._on_lost.add(self.cancel)
        if self._term._is_lost:
            self.cancel()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._inside = False
        self._term._on_lost.discard(self.cancel)
        if self.called:
            self._called_off(kind, error)

    def _called_off(self, kind: type[BaseException] | None, error: BaseException | None) -> None:
        task = self._task()
        if task and task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise LeadershipLost(self._term.lease, self._term.ending or "the replica is leaving") from error

    def _cancel(self) -> None:
        task = self._task()
        if task and self._inside and not self.called:
            self.called = True
            task.cancel()
