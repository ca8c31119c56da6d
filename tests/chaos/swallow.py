"""Answers that are lost one at a time: each time, what was struck has recovered from the time before."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from controlplane.rules import Rule

from chaos.log import Log, boot_time
from chaos.site import Slot

LOOK = 0.05  # seconds from one look at what recovers to the next
REACHED = 0.5  # seconds in which each lease that is held is renewed, at 3/2/0.4
RECOVERED = 4.0  # seconds after which it has, or its term was lost, which the checker sees

After = Callable[[float, Callable[[], None]], None]


def swallow(slot: Slot, leases: Iterable[str]) -> dict[str, Rule]:
    """The next answer to a write of each lease is lost."""
    return {lease: slot.proxy.on("PUT", f"/leases/{lease}?", times=1).forward_then_drop() for lease in leases}


def swallow_each(slot: Slot, leases: tuple[str, ...], log: Log, after: After, last: float, pace: int) -> None:
    """Strike, and again until ``last``, on the boot-time clock, each time when all that was struck is renewed."""
    if boot_time() >= last or not slot.process.running:
        return
    rules = swallow(slot, leases)
    struck = log.write("fault", kind="swallow", until=boot_time(), size=0, by=slot.who, by_pid=slot.process.pid)

    def leave() -> None:
        for rule in rules.values():
            rule.remove()
        look()

    def look() -> None:
        if all(_recovered(slot, lease, rule) for lease, rule in rules.items()):
            swallow_each(slot, leases, log, after, last, pace)
        elif boot_time() < struck + RECOVERED * pace:
            after(LOOK, look)

    after(REACHED * pace, leave)


def _recovered(slot: Slot, lease: str, rule: Rule) -> bool:
    """Whether nothing of it was lost, or a write after the one that was has been answered."""
    return len(rule.statuses) == rule.hits and slot.told.get(lease, 0.0) >= slot.untold.get(lease, 0.0)
