"""SIGTERM as an exception of the main thread, which ends a program by way of its ``finally`` blocks."""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType
from typing import Any, NoReturn

from .concurrency.threads import start_thread
from .errors import ConfigError

__all__ = ["ExitOnSigterm"]

RAISE_AGAIN = 0.02  # seconds


class ExitOnSigterm:
    """From `start` until `restore`, SIGTERM raises SystemExit, after calling the handler that was there.

    Once only: a second one does not cut the clean-up short. Python drops what a handler raises in the midst of
    ``__del__``, or of a callback of a weak reference or fork; that is raised again a moment later.
    """

    def __init__(self) -> None:
        self._leaving = False
        self._raised: BaseException | None = None
        self._dropped: BaseException | None = None
        self._unraisable_before = sys.unraisablehook
        self._previous: Any = None

    def start(self) -> None:
        """Handle SIGTERM. Raises ConfigError on other threads than the main one: only that gets signals."""
        self._previous = signal.getsignal(signal.SIGTERM)
        try:
            signal.signal(signal.SIGTERM, self._handle)
        except ValueError:  # the interpreter knows its main thread, also where eventlet has replaced threads
            raise ConfigError(
                'running(sigterm="exit") must be entered on the main thread: only it gets signals'
            ) from None

    def disarm(self) -> None:
        """Raise nothing any more."""
        self._leaving = True
        self._dropped = None

    def restore(self) -> None:
        """Put things back as they were, unless somebody else has changed them."""
        if signal.getsignal(signal.SIGTERM) == self._handle:
            signal.signal(signal.SIGTERM, self._previous or signal.SIG_DFL)
        if sys.unraisablehook == self._on_unraisable:
            sys.unraisablehook = self._unraisable_before
        self._raised = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._dropped:
            error, self._dropped = self._dropped, None
            raise error
        try:
            if callable(self._previous):
                self._previous(number, frame)
        except BaseException as error:  # noqa: BLE001 (raised again)
            self._raise(error)
        if not self._leaving:
            self._raise(SystemExit(128 + number))

    def _raise(self, error: BaseException) -> NoReturn:
        self._leaving = True
        self._raised = error
        if sys.unraisablehook != self._on_unraisable:
            self._unraisable_before, sys.unraisablehook = sys.unraisablehook, self._on_unraisable
        raise error

    def _on_unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        if self._raised and unraisable.exc_value is self._raised:
            self._dropped = self._raised
            start_thread(_terminate_again, "singleton-jobs-sigterm")
        else:
            self._unraisable_before(unraisable)


def _terminate_again() -> None:
    time.sleep(RAISE_AGAIN)  # until the callback has ended
    os.kill(os.getpid(), signal.SIGTERM)
