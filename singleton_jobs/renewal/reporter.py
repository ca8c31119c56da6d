"""What happens to one lease here, told: events to everybody, measurements to hooks."""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

from ..events import Event, Measurement

__all__ = ["Measure", "Reporter"]

P = ParamSpec("P")

Measure = Callable[[Measurement], None]


class Reporter:
    """Fills in of which ``lease``, and as which ``identity``, something was seen."""

    def __init__(
        self, lease: str, identity: str, emit: Callable[[Event], None], measure: Measure | None, base: str = ""
    ) -> None:
        self.identity = identity
        self._lease = lease
        self._emit = emit
        self._measure = measure  # None: nobody wants to know
        self._more: dict[str, Any] = {"base": base} if base else {}

    def tell(self, kind: Callable[Concatenate[str, str, P], Event], *about: P.args, **more: P.kwargs) -> None:
        """Tell of the event ``kind(lease, identity, *about, **more)``."""
        self._emit(kind(self._lease, self.identity, *about, **more, **self._more))

    def measure(self, kind: Callable[Concatenate[str, str, P], Measurement], *about: P.args, **more: P.kwargs) -> None:
        """Tell hooks, if there are any, of the measurement ``kind(lease, identity, *about, **more)``."""
        if self._measure:
            self._measure(kind(self._lease, self.identity, *about, **more, **self._more))
