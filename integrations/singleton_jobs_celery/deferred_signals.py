"""Signals that would end the program in the midst of a dispatch wait for its end."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

__all__ = ["DeferredSignals"]

ENDING = (signal.SIGTERM, signal.SIGINT)


class DeferredSignals:
    """Inside ``with deferred_signals:`` SIGTERM and SIGINT are noted; their handlers are called at its end.

    A handler that raises there and then would cut a message short whose fire is claimed. A second signal is not kept
    waiting. Only the main thread gets signals; on any other this does nothing.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}
        self._noted: list[tuple[int, FrameType | None]] = []

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in ENDING:
            handler = signal.getsignal(number)
            if callable(handler):
                self._handlers[number] = handler
                signal.signal(number, self._note)

    def __exit__(self, *_: object) -> None:
        handlers, self._handlers = self._handlers, {}
        for number, handler in handlers.items():
            signal.signal(number, handler)
        noted, self._noted = self._noted, []
        for number, frame in noted:
            handlers[number](number, frame)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._noted:
            self._handlers[number](number, frame)
        self._noted.append((number, frame))
