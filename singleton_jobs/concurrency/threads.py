"""Native threads and waiting, also where gevent or eventlet have replaced both.

A native thread never touches a lock of eventlet's that a greenlet may hold: it would wait for it for ever.
"""

from __future__ import annotations

import _thread
import sys
import threading
import time
from _queue import SimpleQueue  # the C one: never a cooperative stand-in
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any, Protocol, TypeVar
from weakref import WeakSet

from .forks import at_fork, notice_fork

__all__ = [
    "COOPERATIVE_POLL",
    "OwnedLock",
    "Worker",
    "lock_maker",
    "new_lock",
    "new_owned_lock",
    "patched_by",
    "start_thread",
]

T = TypeVar("T")

COOPERATIVE_POLL = 0.02  # seconds; under gevent and eventlet a native event would stop the whole process
IDLE_POLL = 0.1  # seconds; the same for what goes on as long as the process


def patched_by() -> str | None:
    """``"gevent"`` or ``"eventlet"`` if ``threading`` in this process was replaced by cooperative stand-ins."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent and gevent.is_module_patched("threading"):
        return "gevent"
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet and eventlet.is_monkey_patched("thread"):
        return "eventlet"
    return None


def _native(name: str) -> Any:
    patch = patched_by()
    if patch == "gevent":
        return sys.modules["gevent.monkey"].get_original("_thread", name)
    if patch == "eventlet":
        return getattr(sys.modules["eventlet.patcher"].original("_thread"), name)
    return getattr(_thread, name)


def lock_maker() -> Callable[[], threading.Lock]:
    """What makes native locks, for whoever makes many."""
    maker: Callable[[], threading.Lock] = _native("allocate_lock")
    return maker


def new_lock() -> threading.Lock:
    """A native lock; held for microseconds only, so that it may be taken on any kind of thread."""
    return lock_maker()()


class OwnedLock(Protocol):
    """A lock that its owner may take again, and that knows whether the calling thread is its owner."""

    def __enter__(self) -> object: ...
    def __exit__(self, *_: object) -> object: ...
    def _is_owned(self) -> bool: ...


def new_owned_lock() -> OwnedLock:
    """A native lock for what a signal's handler may ask: it interrupts its thread anywhere, also while that owns it."""
    lock: OwnedLock = _native("RLock")()
    return lock


def start_thread(target: Callable[[], None], name: str) -> None:
    """Start a daemon thread of the operating system: a cooperative one could be starved by the program's work."""
    patch = patched_by()
    if patch == "gevent":  # import the hub's parts here: two threads that do so at once deadlock
        import_module("gevent.hub").get_hub()
    if patch:
        _native("start_new_thread")(target, ())
    else:
        threading.Thread(target=target, name=name, daemon=True).start()


class Worker:
    """One daemon thread that runs blocking calls one after the other.

    Unlike an executor's, it still works while the interpreter exits, and never holds the exit up. With
    ``cooperative``, calls run where the program's own threads do: on a greenlet if they are greenlets. It is the
    hub's of whoever submits first.
    """

    def __init__(self, name: str, *, cooperative: bool = False) -> None:
        self._name = name
        self._cooperative = cooperative
        self.start_anew()
        _workers.add(self)

    def start_anew(self) -> None:
        """Have no thread and no tasks: those of a parent process stayed with it."""
        self._tasks: deque[Callable[[], None]] = deque()
        self._calls: SimpleQueue[None] = SimpleQueue()
        self._lock = new_lock()
        self._started = False

    def submit(self, task: Callable[[], None], *, soon: bool = True) -> None:
        """Run ``task`` after all that was submitted before; it must not raise. Not ``soon``: at the next `call_up`."""
        notice_fork()
        self._tasks.append(task)
        if soon:
            self.call_up()

    def call_up(self) -> None:
        """Have done what is to be done: a thread that is woken for each of many small tasks costs more than they do."""
        if not self._tasks:
            return
        self._calls.put(None)
        if not self._started:
            if self._cooperative and patched_by():
                _thread.start_new_thread(self._look, (self._tasks,))
            else:
                start_thread(partial(self._run, self._tasks, self._calls), self._name)

    async def call(self, function: Callable[[], T]) -> T:
        """The result of ``function()``, awaited on any event loop; a caller that gives up leaves it running."""
        import asyncio

        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)  # type: ignore[arg-type]
            else:
                future.set_exception(error)

        def task() -> None:
            try:
                outcome: tuple[T | None, BaseException | None] = function(), None
            except Exception as error:  # noqa: BLE001 (handed to the caller, who awaits it)
                outcome = None, error
            with suppress(RuntimeError):  # the loop was closed
                loop.call_soon_threadsafe(settle, *outcome)

        self.submit(task)
        return await future

    def _is_first(self) -> bool:
        """Whether this thread is the one; it says so itself, since whoever starts it may be interrupted."""
        with self._lock:
            first, self._started = not self._started, True
        return first

    def _run(self, tasks: deque[Callable[[], None]], calls: SimpleQueue[None]) -> None:
        first = self._is_first()
        while first:
            calls.get()
            while tasks:
                tasks.popleft()()

    def _look(self, tasks: deque[Callable[[], None]]) -> None:
        first = self._is_first()
        while first and tasks is self._tasks:  # or this is the copy of a greenlet, in a forked child
            if tasks:
                tasks.popleft()()
            else:
                time.sleep(IDLE_POLL)


_workers: WeakSet[Worker] = WeakSet()


def _after_fork_in_child() -> None:
    """The threads stayed with the parent, perhaps in the middle of something."""
    for worker in tuple(_workers):
        worker.start_anew()


at_fork(_after_fork_in_child)
