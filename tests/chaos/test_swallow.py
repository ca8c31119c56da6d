"""An answer is lost again only when what was struck has been renewed since."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from chaos.log import boot_time
from chaos.swallow import swallow_each


class Struck:
    """Stands for a slot, its proxy, the log and the storm's agenda."""

    def __init__(self) -> None:
        self.who = "pod-0"
        self.process = SimpleNamespace(running=True, pid=1)
        self.proxy = self
        self.told: dict[str, float] = {}
        self.untold: dict[str, float] = {}
        self.rule = SimpleNamespace(hits=0, statuses=[], remove=lambda: None)
        self.strikes = 0
        self.agenda: list[Callable[[], None]] = []

    def on(self, method: str, path: str, *, times: int) -> Any:
        return SimpleNamespace(forward_then_drop=lambda: self.rule)

    def write(self, event: str, **fields: object) -> float:
        self.strikes += 1
        return boot_time()

    def after(self, delay: float, action: Callable[[], None]) -> None:
        self.agenda.append(action)

    def goes_on(self) -> None:
        self.agenda.pop()()


def test_the_next_strike_waits_until_the_lease_is_renewed() -> None:
    slot: Any = Struck()
    swallow_each(slot, ("x",), slot, slot.after, boot_time() + 60, 1)
    slot.rule.hits = 1
    slot.goes_on()
    assert slot.strikes == 1  # nobody knows yet whether the write landed
    slot.rule.statuses, slot.untold = [200], {"x": 1.0}
    slot.goes_on()
    assert slot.strikes == 1
    slot.told = {"x": 2.0}
    slot.goes_on()
    assert slot.strikes == 2


def test_there_is_no_strike_after_the_last_or_at_nobody() -> None:
    slot: Any = Struck()
    swallow_each(slot, ("x",), slot, slot.after, boot_time() - 1, 1)
    slot.process.running = False
    swallow_each(slot, ("x",), slot, slot.after, boot_time() + 60, 1)
    assert slot.strikes == 0
