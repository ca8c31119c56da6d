"""`running`: a context manager round a main, so that leases are given back when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .concurrency.synchronization import run_blocking
from .config import Seconds, seconds
from .default import default_replica
from .errors import ConfigError
from .leading.core import core_of
from .replica import Replica

if TYPE_CHECKING:
    from types import TracebackType

    from .sigterm import ExitOnSigterm

__all__ = ["running"]


class running:  # noqa: N801 (read as a verb: with running(...))
    """Context manager round a main: starts the candidacies named, and at the end drains and releases everything.

    Covers the default replica (or ``replica``), also what is guarded inside. Nested uses count; the outermost drains,
    up to ``drain`` seconds. From then on guarded calls are ``Skipped("draining")``, until it is entered again.

    ``sigterm="exit"`` turns SIGTERM into SystemExit, after calling the handler that was there: pods get SIGTERM, and
    Python then skips everything that would release. It needs the main thread; ConfigError elsewhere. Inside a
    framework that handles SIGTERM itself, leave it at ``"leave"``.
    """

    def __init__(
        self,
        *leases: str,
        sigterm: Literal["leave", "exit"] = "leave",
        drain: Seconds = 10,
        replica: Replica | None = None,
    ) -> None:
        if sigterm not in ("leave", "exit"):
            raise ConfigError(f"sigterm must be 'leave' or 'exit', not {sigterm!r}")
        on = replica or default_replica()
        self._core = core_of(on)
        self._leaderships = [on.leadership(lease) for lease in leases]
        self._sigterm = sigterm
        self._handler: ExitOnSigterm | None = None
        self._drain = seconds("drain", drain, zero=True)

    def __enter__(self) -> running:
        if self._sigterm == "exit":
            from .sigterm import ExitOnSigterm

            self._handler = ExitOnSigterm()
            self._handler.start()
        try:
            self._core.enter_running(self)
            for leadership in self._leaderships:
                leadership.start()
            return self  # noqa: TRY300 (inside: what comes here is an entry that failed, too)
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._disarm()
        try:
            run_blocking(self._core.exit_running(self, self._drain, block=True))
        finally:
            self._restore()
            self._core.forget_running(self)  # also if that was interrupted before it began

    async def __aenter__(self) -> running:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._disarm()
        try:
            await self._core.exit_running(self, self._drain, block=False)
        finally:
            self._restore()
            self._core.forget_running(self)  # also if that was interrupted before it began

    def _disarm(self) -> None:
        if self._handler:
            self._handler.disarm()

    def _restore(self) -> None:
        if self._handler:
            self._handler.restore()
